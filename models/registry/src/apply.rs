//! Carries out one action.

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Addr, Conn, Emit, Health, Id, Known, Own, Pid, Place, Process, Registry, World},
};

impl Setup {
    pub(crate) fn apply(&self, w: &mut World, action: A) {
        match action {
            A::Connect(..)
            | A::ConnectSkewed(..)
            | A::Arrive(..)
            | A::Accept(..)
            | A::Disconnect(..) => self.apply_to_connection(w, action),
            A::Crash(..) | A::Restart(..) | A::Pause(..) | A::Cut(..) | A::Recover(..) => {
                self.apply_to_process(w, action);
            }
            A::Send(p, id) => self.send(w, p, id),
            A::Answer(p, id) => self.answer(w, p, id),
            A::Execute(..)
            | A::LoseRequest(..)
            | A::LoseAnswer(..)
            | A::DelayRequest(..)
            | A::CopyRequest(..)
            | A::ExecuteLate(..) => self.apply_to_request(w, action),
            A::Evict(addr, id, stamp) => {
                w.evicts.remove(&(addr, id, stamp));
                self.evict(w, addr, id, stamp);
            }
            A::LoseEvict(addr, id, stamp) => {
                w.left.lose_evict -= 1;
                w.evicts.remove(&(addr, id, stamp));
            }
            A::Renew(p) => *w = self.renew(w, p).expect("the renewal changes something"),
            A::IdleAudit(p, id) => {
                w.left.idle_audit -= 1;
                w.processes[p].slots[id].known = Known::Unknown;
            }
            A::EmitStart(cached) => {
                (w.left.emit, w.covered) = (w.left.emit - 1, true);
                w.emit = cached.map_or(Emit::Ask, |addr| Emit::Sent(addr, 0));
            }
            A::EmitStep => self.emit_step(w),
            _ => self.apply_to_registry(w, action),
        }
    }

    fn apply_to_connection(&self, w: &mut World, action: A) {
        match action {
            A::Connect(p, id) | A::ConnectSkewed(p, id) => {
                let skewed = matches!(action, A::ConnectSkewed(..));
                let waits = w.processes[p].health == Health::Paused && !self.rules.arrival;
                (w.orders, w.newest[id]) = (w.orders + 1, w.orders + 1);
                let stamp = if skewed {
                    w.left.skew -= 1;
                    2 * w.orders - 3
                } else {
                    w.left.connect -= 1;
                    if waits { 0 } else { 2 * w.orders }
                };
                Self::accept(w, p, id, w.orders, stamp);
            }
            A::Arrive(p, id) => {
                (w.left.connect, w.left.early) = (w.left.connect - 1, w.left.early - 1);
                (w.orders, w.newest[id]) = (w.orders + 1, w.orders + 1);
                w.processes[p].slots[id].arrived = Some(w.orders);
            }
            A::Accept(p, id) => {
                let order = w.processes[p].slots[id].arrived.take();
                let order = order.expect("a connection has arrived");
                Self::accept(w, p, id, order, 2 * order);
            }
            A::Disconnect(p, id) => {
                let slot = &mut w.processes[p].slots[id];
                if slot.conn.is_none() {
                    slot.arrived = None;
                }
                let ended = slot.conn.take();
                (slot.recheck, slot.to_refill) = (false, false);
                slot.forget_if_absent();
                if ended.is_some_and(|conn| conn.order == w.told) {
                    w.told = 0;
                }
            }
            _ => unreachable!("it concerns a connection"),
        }
    }

    fn accept(w: &mut World, p: Pid, id: Id, order: u8, stamp: u8) {
        let slot = &mut w.processes[p].slots[id];
        let granted = 0;
        slot.conn = Some(Conn {
            order,
            stamp,
            granted,
        });
        slot.to_refill = false;
    }

    fn apply_to_process(&self, w: &mut World, action: A) {
        match action {
            A::Crash(p) => {
                w.left.crash -= 1;
                for id in 0..self.clients {
                    let op = self.forget(w, p, id).filter(|op| op.answer.is_none());
                    let late = op.map(|op| (self.addr(p), id, op.session, op.request));
                    w.late.extend(late);
                }
                w.processes[p] = Process {
                    health: Health::Down,
                    ..Process::new(p, w.processes[p].session.life)
                };
            }
            A::Restart(p) => {
                w.left.restart -= 1;
                w.processes[p] = Process::new(p, w.processes[p].session.life % 7 + 1);
            }
            A::Pause(p) => {
                w.left.pause -= 1;
                w.processes[p].health = Health::Paused;
            }
            A::Cut(p) => {
                w.left.cut -= 1;
                w.processes[p].health = Health::Cut;
                for id in 0..self.clients {
                    self.forget(w, p, id);
                }
            }
            A::Recover(p) => {
                w.processes[p].health = Health::Up;
                let accepted = w.processes[p].slots.0.iter_mut();
                let accepted = accepted.filter_map(|slot| slot.conn.as_mut());
                let unstamped = accepted.filter(|conn| conn.stamp == 0);
                unstamped.for_each(|conn| conn.stamp = 2 * w.orders + 1);
            }
            _ => unreachable!("it concerns a process"),
        }
    }

    fn apply_to_request(&self, w: &mut World, action: A) {
        match action {
            A::Execute(p, id) => {
                let op = w.processes[p].slots[id].op.expect("a request is sent");
                let answer = self.execute(w, self.addr(p), id, op.session, op.request);
                let op = &mut w.processes[p].slots[id].op;
                op.as_mut().expect("it is still there").answer = Some(answer);
            }
            A::CopyRequest(p, id) => {
                w.left.copy -= 1;
                let op = w.processes[p].slots[id].op.expect("a request is sent");
                w.late.push((self.addr(p), id, op.session, op.request));
            }
            A::LoseRequest(p, id) | A::LoseAnswer(p, id) | A::DelayRequest(p, id) => {
                w.left.lose -= 1;
                let op = self.forget(w, p, id).expect("a request is sent");
                if let A::DelayRequest(..) = action {
                    w.late.push((self.addr(p), id, op.session, op.request));
                }
            }
            A::ExecuteLate(i) => {
                let (addr, id, session, request) = w.late.remove(i);
                self.execute(w, addr, id, session, request);
            }
            _ => unreachable!("it concerns a request"),
        }
    }

    fn apply_to_registry(&self, w: &mut World, action: A) {
        let registry = &mut w.registry;
        match action {
            A::Wipe => self.wipe(w),
            A::Snapshot => w.snapshot = Some(Box::new(*registry)),
            A::Failover => {
                w.left.failover -= 1;
                *registry = *w.snapshot.take().expect("there is a snapshot");
            }
            A::Stall => {
                w.left.stall -= 1;
                registry.alive = Registry::EMPTY.alive;
            }
            A::ForeignConnect(id) => {
                (w.left.foreign, w.orders) = (w.left.foreign - 1, w.orders + 1);
                (w.newest[id], w.foreign[id]) = (w.orders, true);
                registry.place[id] = Some(Place::Foreign);
            }
            A::ForeignDisconnect(id) => (w.foreign[id], registry.place[id]) = (false, None),
            A::Expire(pid, life) if self.is_etcd => self.expire_on_etcd(w, (pid, life)),
            A::Expire(addr, _) => registry.alive[addr] = false,
            A::Settle => registry.is_young = false,
            A::Sight(addr) => registry.sighted[addr] = true,
            A::ReapEntry(addr, id) => self.reap(w, addr, id),
            A::ReapNode(addr) => {
                (registry.node[addr], registry.alive[addr]) = (None, false);
                registry.sighted[addr] = false;
            }
            _ => unreachable!("it concerns the registry"),
        }
    }

    fn wipe(&self, w: &mut World) {
        w.left.wipe -= 1;
        if self.follows_refills() {
            w.lost = self.registered_at(w);
        }
        w.registry = Registry {
            is_young: self.follows_refills(),
            ..Registry::EMPTY
        };
    }

    fn expire_on_etcd(&self, w: &mut World, life: (Pid, u8)) {
        let registry = &mut w.registry;
        let dead = |own: Option<Own>| own.is_some_and(|own| own.life == life);
        for id in (0..self.clients)
            .filter(|&id| dead(registry.own[id]))
            .collect::<Vec<_>>()
        {
            registry.remove(id);
        }
        for addr in self.pids() {
            let node = registry.node[addr];
            registry.node[addr] = node.filter(|session| (session.pid, session.life) != life);
            registry.alive[addr] = registry.node[addr].is_some();
        }
    }

    fn reap(&self, w: &mut World, addr: Addr, id: Id) {
        let own = w.registry.own[id].expect("there is an entry");
        let never_away = w.left.pause == self.faults.pause && w.left.cut == self.faults.cut;
        if self.serves(w, own, id) && (w.registry.alive[addr] || never_away) {
            w.bad = Some("I3 the reaper removes a live entry");
        }
        w.registry.remove(id);
    }
}
