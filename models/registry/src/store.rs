//! The registry's side: who wins a claim, and what each request changes.
//!
//! On Redis, a request is one script. On etcd, a claim reads and then swaps, so it may take several steps, and
//! a fence makes late requests fail.

use crate::{
    setup::Setup,
    world::{
        Addr, Answer, Conn, Health, Id, Operation, Own, Place, Process, Request, Session, Stamp,
        World,
    },
};

/// The stamp with which a claim wins against what is registered, or none.
pub(crate) fn contest(
    (place, own): (Option<Place>, Option<Own>),
    addr: Addr,
    stamp: Stamp,
    held: bool,
) -> Option<Stamp> {
    let by_other =
        |place| place != Place::Node(addr) && own.is_none_or(|own| place != Place::Node(own.addr));
    let foreign = place.is_some_and(by_other);
    match own {
        // Another program has written after our grant.
        _ if foreign && held => None,
        Some(own) if own.addr == addr => {
            (!foreign || stamp > own.stamp).then_some(stamp.max(own.stamp))
        }
        Some(own) => (stamp > own.stamp).then_some(stamp),
        None => Some(stamp),
    }
}

impl Setup {
    pub(crate) fn execute(
        &self,
        w: &mut World,
        addr: Addr,
        id: Id,
        session: Session,
        request: Request,
    ) -> Answer {
        let rules = &self.rules;
        if rules.shadow && !self.is_etcd && w.registry.place[id].is_none() {
            // Every script repairs what another program has deleted.
            w.registry.place[id] = w.registry.own[id].map(|own| Place::Node(own.addr));
        }
        let leased = w.registry.alive[addr] || !rules.lease_to_write;
        let checked = rules.stamps || matches!(request, Request::Claim { .. });
        if checked && !(leased && w.registry.node[addr] == Some(session)) {
            return Answer::Lost;
        }
        let keys = (w.registry.place[id], w.registry.own[id]);
        match request {
            Request::Claim { held, .. } if !rules.stamps => {
                Self::claim_of_draft(w, addr, id, session, held)
            }
            Request::Claim { seen, .. } if self.is_etcd && seen.unwrap_or_default() != keys => {
                Answer::Seen(keys)
            }
            Request::Claim { stamp, held, .. } => {
                let Some(stamp) = contest(keys, addr, stamp, held) else {
                    return Answer::Taken;
                };
                w.registry.put(id, session, addr, stamp);
                let displaced = keys.1.map(|own| own.addr).filter(|&before| before != addr);
                Answer::Granted { stamp, displaced }
            }
            Request::Release { up_to } => {
                self.release(w, addr, id, up_to);
                Answer::Released
            }
        }
    }

    fn release(&self, w: &mut World, addr: Addr, id: Id, up_to: Stamp) {
        let place = w.registry.place[id];
        let matches = |own: &Own| {
            if self.rules.stamps {
                own.addr == addr && own.stamp <= up_to
            } else {
                place == Some(Place::Node(addr)) && own.stamp == up_to
            }
        };
        if let Some(own) = w.registry.own[id].filter(matches) {
            if self.serves(w, own, id) {
                w.bad = Some("I3 a release removes the entry of a live claim");
            }
            w.registry.remove(id);
        }
    }

    fn claim_of_draft(w: &mut World, addr: Addr, id: Id, session: Session, held: bool) -> Answer {
        let registry = &mut w.registry;
        let owner = match registry.place[id] {
            Some(Place::Node(owner)) if owner != addr && registry.alive[owner] => Some(owner),
            _ => None,
        };
        if held && (registry.place[id] == Some(Place::Foreign) || owner.is_some()) {
            return Answer::Taken;
        }
        registry.counter += 1;
        registry.put(id, session, addr, registry.counter);
        Answer::Granted {
            stamp: registry.counter,
            displaced: owner.filter(|_| !held),
        }
    }

    /// Whether the process that holds the address has the connection that this entry was made for.
    pub(crate) fn serves(&self, w: &World, own: Own, id: Id) -> bool {
        let Some(session) = w.registry.node[own.addr] else {
            return false;
        };
        let Process {
            health,
            session: current,
            slots,
            ..
        } = w.processes[session.pid];
        let grants = |op: Operation| matches!(op.answer, Some(Answer::Granted { stamp, .. }) if stamp == own.stamp);
        let is_for = |conn: Conn| {
            conn.granted == own.stamp
                || self.rules.stamps && conn.stamp == own.stamp
                || slots[id]
                    .op
                    .is_some_and(|op| op.order == conn.order && grants(op))
        };
        health != Health::Down && current == session && slots[id].conn.is_some_and(is_for)
    }
}
