//! What the protocol will do in a world, and what the passage of time brings. Each of these changes the world.
//!
//! A world in which no such step is left is quiet: there the invariants must hold.

use std::collections::BTreeSet;

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Addr, Health, Id, Own, Pid, Place, World},
};

impl Setup {
    pub(crate) fn steps(&self, w: &World, out: &mut Vec<A>) {
        for p in self.pids() {
            self.steps_of_process(w, p, out);
        }
        let awake = |addr: Addr| w.processes[addr].health != Health::Paused;
        let evicts = w.evicts.iter().filter(|evict| awake(evict.0));
        out.extend(evicts.map(|&(addr, id, stamp)| A::Evict(addr, id, stamp)));
        out.extend((0..w.late.len()).map(A::ExecuteLate));
        if self.emit_can_go_on(w) {
            out.push(A::EmitStep);
        }
        if w.registry.is_young && self.all_have_joined(w) {
            out.push(A::Settle);
        }
        if self.is_etcd {
            Self::expiries_of_etcd(w, out);
        } else {
            for addr in self.pids() {
                self.lease_of(w, addr, out);
            }
        }
    }

    fn steps_of_process(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let process = &w.processes[p];
        let up = process.health == Health::Up;
        for id in 0..self.clients {
            match process.slots[id].op {
                None if up && process.joined && self.wanted(w, p, id).is_some() => {
                    out.push(A::Send(p, id));
                }
                Some(op) if op.answer.is_none() => out.push(A::Execute(p, id)),
                Some(_) if up => out.push(A::Answer(p, id)),
                _ => {}
            }
            let running = matches!(process.health, Health::Up | Health::Cut);
            if running && process.slots[id].arrived.is_some() {
                out.push(A::Accept(p, id));
            }
        }
        match process.health {
            Health::Up if self.renew(w, p).is_some() => out.push(A::Renew(p)),
            Health::Paused | Health::Cut => out.push(A::Recover(p)),
            _ => {}
        }
    }

    /// A lease expires exactly while its process cannot renew it.
    fn is_renewed(w: &World, (pid, life): (Pid, u8)) -> bool {
        let process = &w.processes[pid];
        process.health == Health::Up && process.session.life == life && !process.conflict
    }

    fn expiries_of_etcd(w: &World, out: &mut Vec<A>) {
        let nodes = w.registry.node.0.iter().flatten();
        let nodes = nodes.map(|session| (session.pid, session.life));
        let entries = w.registry.own.0.iter().flatten().map(|own| own.life);
        let lives: BTreeSet<_> = nodes.chain(entries).collect();
        let expired = lives.into_iter().filter(|&life| !Self::is_renewed(w, life));
        out.extend(expired.map(|(pid, life)| A::Expire(pid, life)));
    }

    /// The lease of an address on Redis, and the reaper.
    fn lease_of(&self, w: &World, addr: Addr, out: &mut Vec<A>) {
        let Some(session) = w.registry.node[addr] else {
            return;
        };
        let (alive, sighted) = (w.registry.alive[addr], w.registry.sighted[addr]);
        let renewed = Self::is_renewed(w, (session.pid, session.life));
        if alive && !renewed {
            out.push(A::Expire(addr, session.life));
        }
        let spared = renewed && self.rules.sight_twice;
        if !(alive || sighted || spared) {
            out.push(A::Sight(addr));
        }
        if !sighted || alive && self.rules.reap_checks {
            return;
        }
        let is_listed = |id: &Id| {
            let is_here = |own: Own| {
                let placed = w.registry.place[*id] == Some(Place::Node(addr));
                own.addr == addr && (self.rules.stamps || placed)
            };
            w.registry.own[*id].is_some_and(is_here)
        };
        let before = out.len();
        out.extend(
            (0..self.clients)
                .filter(is_listed)
                .map(|id| A::ReapEntry(addr, id)),
        );
        if out.len() == before {
            out.push(A::ReapNode(addr));
        }
    }
}
