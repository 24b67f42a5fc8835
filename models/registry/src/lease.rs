//! Joins and renewals.

use crate::{
    setup::Setup,
    world::{Health, Known, Pid, Place, Process, World},
};

impl Setup {
    /// A renewal, and the join if the lease is lost; none if it changes nothing.
    pub(crate) fn renew(&self, w: &World, p: Pid) -> Option<World> {
        let (addr, old) = (self.addr(p), &w.processes[p]);
        let (holder, alive) = (w.registry.node[addr], w.registry.alive[addr]);
        let same = holder == Some(old.session);
        let mut n = w.clone();
        if same && alive && old.joined && !old.conflict {
            let reports = self.follows_refills() && old.has_refilled();
            n.registry.refilled[addr] |= reports;
            return (n != *w).then_some(n);
        }
        let process = &mut n.processes[p];
        if self.rules.guard && alive && addr != p && holder.is_some_and(|holder| holder.pid != p) {
            (process.conflict, process.joined) = (true, false);
            return (n != *w).then_some(n);
        }
        if self.is_etcd && same {
            process.session.fence += 1;
        }
        let anew = !same && (self.is_etcd || !self.rules.stamps);
        if anew {
            process.session = Process::new(p, process.session.life % 7 + 1).session;
        }
        let loses = !same || !alive && self.rules.audit;
        if loses {
            self.rejoin(process);
        }
        (process.joined, process.conflict) = (true, false);
        if self.follows_refills() && loses {
            n.registry.refilled[addr] = !process.has_connections();
        }
        let session = process.session;
        (n.registry.node[addr], n.registry.alive[addr]) = (Some(session), true);
        n.registry.sighted[addr] &= !self.rules.reap_checks;
        if !same && !self.rules.keep_on_join {
            self.remove_entries(w, &mut n, p);
        }
        Some(n)
    }

    /// Everything that this process holds is claimed again.
    fn rejoin(&self, process: &mut Process) {
        for slot in process
            .slots
            .0
            .iter_mut()
            .filter(|slot| slot.conn.is_some())
        {
            if slot.op.is_some() {
                slot.recheck = self.rules.audit;
            } else {
                slot.known = Known::Unknown;
            }
            slot.to_refill = self.follows_refills();
        }
    }

    /// What a join of the draft does.
    fn remove_entries(&self, before: &World, n: &mut World, p: Pid) {
        let addr = self.addr(p);
        for id in 0..self.clients {
            let slot = &mut n.processes[p].slots[id];
            if slot.conn.is_none() && slot.op.is_none() {
                slot.known = Known::Absent;
                slot.forget_if_absent();
            }
            let is_here = before.registry.place[id] == Some(Place::Node(addr));
            let Some(own) = before.registry.own[id].filter(|_| is_here) else {
                continue;
            };
            if before.registry.alive[addr] && self.serves(before, own, id) {
                n.bad = Some("I7 a join removes the live entries of another process");
            }
            n.registry.remove(id);
        }
    }

    /// Whether every process that can reach the registry has joined it: within one lease, each does.
    pub(crate) fn all_have_joined(&self, w: &World) -> bool {
        self.pids().all(|p| {
            let process = &w.processes[p];
            let joined = w.registry.node[self.addr(p)] == Some(process.session);
            process.health != Health::Up || joined || process.conflict
        })
    }
}
