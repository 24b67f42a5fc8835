//! A node's side: what it wants from the registry, and what each answer makes of that.

use crate::{
    setup::Setup,
    store::contest,
    world::{
        Addr, Answer, Conn, Id, Known, Operation, Own, Pid, Place, Process, Request, Slot, Stamp,
        World,
    },
};

impl Setup {
    /// The request that this process wants to send for this client, if any.
    pub(crate) fn wanted(&self, w: &World, p: Pid, id: Id) -> Option<Request> {
        let slot = w.processes[p].slots[id];
        let claim = |stamp, held| {
            Some(Request::Claim {
                stamp,
                held,
                seen: None,
            })
        };
        match (slot.conn, slot.known) {
            (Some(conn), Known::Mine(stamp)) if conn.granted == stamp => {
                let audits = self.rules.audit && !self.is_intact(w, p, id, stamp);
                audits.then(|| claim(self.stamp_to_claim(conn), true))?
            }
            (Some(conn), _) => claim(self.stamp_to_claim(conn), conn.granted != 0),
            (None, Known::Absent) => {
                let own = self.listed(w, p, id).filter(|_| self.rules.sweep)?;
                Some(self.release_of(w, own.stamp, own.stamp))
            }
            (None, Known::Mine(stamp)) => Some(self.release_of(w, slot.claimed, stamp)),
            (None, Known::Unknown) => Some(self.release_of(w, slot.claimed, 0)),
        }
    }

    fn stamp_to_claim(&self, conn: Conn) -> Stamp {
        if self.rules.stamps || conn.granted == 0 {
            conn.stamp
        } else {
            conn.granted
        }
    }

    /// A release of an entry with the stamp `own`; the draft knows it by what was granted.
    fn release_of(&self, w: &World, own: Stamp, granted: Stamp) -> Request {
        let up_to = if !self.rules.stamps {
            granted
        } else if self.rules.own_stamp {
            own
        } else {
            2 * w.orders + 1
        };
        Request::Release { up_to }
    }

    /// Whether the registry has what this process believes to have.
    fn is_intact(&self, w: &World, p: Pid, id: Id, stamp: Stamp) -> bool {
        let (addr, session) = (self.addr(p), w.processes[p].session);
        let is_own = |own: Own| {
            let same_life = !self.is_etcd || own.life == (session.pid, session.life);
            (own.addr, own.stamp) == (addr, stamp) && same_life
        };
        w.registry.place[id] == Some(Place::Node(addr)) && w.registry.own[id].is_some_and(is_own)
    }

    /// The entry that the registry lists for this process.
    fn listed(&self, w: &World, p: Pid, id: Id) -> Option<Own> {
        let (addr, session) = (self.addr(p), w.processes[p].session);
        let own = w.registry.own[id].filter(|own| own.addr == addr);
        own.filter(|_| w.registry.node[addr] == Some(session))
    }

    pub(crate) fn send(&self, w: &mut World, p: Pid, id: Id) {
        let request = self.wanted(w, p, id).expect("a request is wanted");
        let Process { session, slots, .. } = &mut w.processes[p];
        let slot = &mut slots[id];
        match request {
            Request::Claim { stamp, .. } => slot.claimed = slot.claimed.max(stamp),
            Request::Release { up_to } => slot.claimed = up_to,
        }
        slot.op = Some(Operation {
            order: slot.conn.map_or(0, |conn| conn.order),
            session: *session,
            request,
            answer: None,
        });
    }

    pub(crate) fn answer(&self, w: &mut World, p: Pid, id: Id) {
        let Process {
            session,
            joined,
            slots,
            ..
        } = &mut w.processes[p];
        let slot = &mut slots[id];
        let op = slot.op.take().expect("an operation is in progress");
        match op.answer.expect("it was executed") {
            Answer::Granted { stamp, displaced } => {
                let told = &mut w.told;
                on_granted(slot, &op, stamp, told);
                let evicts = slot.conn.is_some() || !self.rules.stamps;
                let displaced = displaced.filter(|_| evicts);
                w.evicts.extend(displaced.map(|before| (before, id, stamp)));
            }
            Answer::Seen(keys) => {
                let Request::Claim { stamp, held, .. } = op.request else {
                    unreachable!("only a claim reads first")
                };
                if contest(keys, self.addr(p), stamp, held).is_none() {
                    return self.taken(w, p, id, op.order);
                }
                let seen = Some(keys);
                slot.op = Some(Operation {
                    request: Request::Claim { stamp, held, seen },
                    answer: None,
                    ..op
                });
            }
            Answer::Taken => self.taken(w, p, id, op.order),
            Answer::Lost => {
                slot.known = Known::Unknown;
                // A request of an earlier session is only sent again.
                *joined = *joined && op.session != *session;
            }
            Answer::Released => slot.known = Known::Absent,
        }
        w.processes[p].slots[id].forget_if_absent();
    }

    fn taken(&self, w: &mut World, p: Pid, id: Id, order: u8) {
        let slot = &mut w.processes[p].slots[id];
        slot.known = Known::Absent;
        if slot.conn.is_some_and(|conn| conn.order == order) {
            self.close(w, p, id);
        }
        w.processes[p].slots[id].forget_if_absent();
    }

    pub(crate) fn evict(&self, w: &mut World, addr: Addr, id: Id, stamp: Stamp) {
        let slot = &mut w.processes[addr].slots[id];
        match slot.conn {
            Some(_) if self.rules.evict_asks && slot.op.is_some() => slot.recheck = true,
            Some(_) if self.rules.evict_asks => slot.known = Known::Unknown,
            Some(conn) if conn.granted != 0 && conn.granted < stamp => {
                slot.known = Known::Unknown;
                self.close(w, addr, id);
            }
            _ => {}
        }
    }

    /// The protocol refuses a connection, or closes it as replaced.
    fn close(&self, w: &mut World, p: Pid, id: Id) {
        let slot = &mut w.processes[p].slots[id];
        let conn = slot.conn.take().expect("there is a connection");
        (slot.recheck, slot.to_refill) = (false, false);
        // A wrong clock may cost the newest connection its place.
        let lies = conn.stamp % 2 == 1 && self.rules.arrival;
        if conn.order == w.newest[id] && !lies {
            w.bad = Some("I4 the newest connection is closed");
        }
        if conn.order == w.told && conn.granted == 0 {
            w.bad = Some("I8 Delivered was said of a connection that is refused");
        }
    }

    /// The outcome of the request in progress, if any, will never be known.
    pub(crate) fn forget(&self, w: &mut World, p: Pid, id: Id) -> Option<Operation> {
        let op = w.processes[p].slots[id].op.take()?;
        w.processes[p].slots[id].known = Known::Unknown;
        if self.is_etcd && self.rules.stamps {
            // To fence it.
            w.processes[p].joined = false;
        }
        Some(op)
    }
}

fn on_granted(slot: &mut Slot, op: &Operation, stamp: Stamp, told: &mut u8) {
    if std::mem::take(&mut slot.recheck) {
        slot.known = Known::Unknown;
    } else {
        slot.known = Known::Mine(stamp);
        slot.to_refill = false;
    }
    if let Some(conn) = slot.conn.as_mut().filter(|conn| conn.order == op.order) {
        conn.granted = stamp;
        if *told == conn.order {
            *told = 0;
        }
    }
}
