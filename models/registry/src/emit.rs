//! How a message finds its client: by a cached route, the registry, a node.

use crate::{
    setup::Setup,
    world::{Addr, Emit, Health, Id, Place, Stamp, World},
};

/// The only client that messages are sent to.
const CLIENT: Id = 0;

impl Setup {
    /// The next step of the message.
    pub(crate) fn emit_step(&self, w: &mut World) {
        let own = w.registry.own[CLIENT];
        let shadow = own.filter(|_| self.rules.shadow);
        let shadow = shadow.map(|own| Place::Node(own.addr));
        w.emit = match (w.emit, w.registry.place[CLIENT].or(shadow)) {
            (Emit::Sent(addr, stamp), _) => Self::arrive(w, addr, stamp),
            // Its node answers for itself.
            (_, Some(Place::Foreign)) => Emit::Idle,
            (_, Some(Place::Node(addr))) => self.follow(w, addr),
            (_, None) if self.rules.epoch && self.may_lack_entries(w) => Emit::Idle, // unknown
            (_, None) => Emit::Offline,
        };
        if w.emit == Emit::Offline && w.covered {
            w.bad = Some("I6 Offline for a client that was connected all the time");
        }
        if matches!(w.emit, Emit::Idle | Emit::Offline) {
            (w.emit, w.tried) = (Emit::Idle, (None, 0));
        }
    }

    /// The message reaches a node: it is delivered, comes back, or finds nobody.
    fn arrive(w: &mut World, addr: Addr, stamp: Stamp) -> Emit {
        let process = &w.processes[addr];
        let ends = if process.health == Health::Down {
            // Unreachable, or an outdated route.
            stamp != 0
        } else if let Some(conn) = process.slots[CLIENT].conn {
            if conn.granted == 0 {
                w.told = conn.order;
            }
            true
        } else {
            false
        };
        w.tried = (Some((addr, stamp)), w.tried.1 + 1);
        if ends { Emit::Idle } else { Emit::Ask }
    }

    /// The registry names a node.
    fn follow(&self, w: &World, addr: Addr) -> Emit {
        let down = w.processes[addr].health == Health::Down;
        if !w.registry.alive[addr] && (down || !self.rules.try_link) {
            return Emit::Offline;
        }
        let own = w.registry.own[CLIENT].filter(|own| own.addr == addr);
        let stamp = own.map_or(0, |own| own.stamp);
        let again = |tried: (Addr, Stamp)| {
            if self.rules.chase {
                tried == (addr, stamp)
            } else {
                tried.0 == addr || w.tried.1 >= 2
            }
        };
        if w.tried.0.is_some_and(again) {
            Emit::Offline
        } else {
            Emit::Sent(addr, stamp)
        }
    }

    /// Whether a client may be connected and have no entry: not every live node has refilled.
    fn may_lack_entries(&self, w: &World) -> bool {
        let registry = &w.registry;
        let lacks = |addr| {
            registry.node[addr].is_some() && registry.alive[addr] && !registry.refilled[addr]
        };
        registry.is_young || self.pids().any(lacks)
    }

    /// Whether the message can go on: its node runs, and the client's claim there is decided.
    pub(crate) fn emit_can_go_on(&self, w: &World) -> bool {
        match w.emit {
            Emit::Idle => false,
            Emit::Sent(addr, _) => {
                let process = &w.processes[addr];
                let conn = process.slots[CLIENT].conn;
                let waits = conn.is_some_and(|conn| conn.granted == 0);
                process.health != Health::Paused
                    && !(waits && self.rules.granted_first && process.health != Health::Down)
            }
            Emit::Ask | Emit::Offline => true,
        }
    }

    /// Whether the client is connected to a node that is up, and registered there; or it was, until the
    /// registry lost its data, and has stayed.
    pub(crate) fn is_covered(&self, w: &mut World) -> bool {
        let node = self.registered_at(w);
        if w.registry.own[CLIENT].is_some() || node.is_none() {
            w.lost = None;
        }
        node.is_some()
    }

    /// The node that serves the client and has registered it, or had until the registry lost its data. An
    /// older connection at another node does not count: a node that was paused for longer than its lease is
    /// not waited for.
    pub(crate) fn registered_at(&self, w: &World) -> Option<Addr> {
        let up = |addr: Addr| w.processes[addr].health == Health::Up;
        if let Some(own) = w.registry.own[CLIENT] {
            // Another program may have deleted the entry, and left the shadow.
            let place = w.registry.place[CLIENT];
            let is_named = place.is_none_or(|place| place == Place::Node(own.addr));
            let registered = is_named && up(own.addr) && self.serves(w, own, CLIENT);
            return registered.then_some(own.addr);
        }
        let stays = |addr: &Addr| {
            let conn = w.processes[*addr].slots[CLIENT].conn;
            up(*addr) && conn.is_some_and(|conn| conn.granted != 0)
        };
        w.lost.filter(stays)
    }
}
