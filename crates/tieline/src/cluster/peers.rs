//! The other nodes, and the link to each.
//!
//! Owns who is a peer: the registry's members, nodes that opened a link to us, foreign nodes that an
//! entry names. Invariant: there is one link for each address, and it ends when nothing speaks for
//! the peer any more.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::{Inner, pending::PendingReply};
use crate::{link::Link, registry::Member};

pub(super) type PeerMap = HashMap<Arc<str>, Arc<Peer>>;

/// Another node.
pub(super) struct Peer {
    pub(super) address: Arc<str>,
    pub(super) link: Link<PendingReply>,
    /// Whether its lease lives, or an entry names it though it is foreign: messages to many are sent
    /// to it even where the link is down, so that it is named among those that were not reached.
    in_membership: AtomicBool,
}

#[derive(Default)]
pub(super) struct Peers(Mutex<Arc<PeerMap>>);

impl Peers {
    /// A snapshot of all.
    pub(super) fn all(&self) -> Arc<PeerMap> {
        Arc::clone(&self.0.lock())
    }

    /// The peer at an address; its link is opened on first sight.
    pub(super) fn get_or_connect(&self, address: &Arc<str>, cluster: &Inner) -> Arc<Peer> {
        let mut all = self.0.lock();
        if let Some(peer) = all.get(address) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(Peer {
            address: Arc::clone(address),
            link: Link::start(
                Arc::clone(address),
                Arc::clone(&cluster.settings),
                &cluster.tasks,
            ),
            in_membership: AtomicBool::new(true),
        });
        Arc::make_mut(&mut all).insert(Arc::clone(address), Arc::clone(&peer));
        peer
    }

    /// Goes by what the registry says: opens links to those whose lease lives, and ends those that
    /// neither the registry nor the link itself speaks for. `foreign` are the addresses of foreign
    /// nodes that entries name.
    pub(super) fn sync_members(&self, members: &[Member], foreign: &[Arc<str>], cluster: &Inner) {
        let own = cluster.address.as_deref();
        let leased = |address: &str| members.iter().any(|m| m.leased && *m.address == *address);
        let others = members.iter().filter(|member| member.leased);
        let others = others.map(|member| &member.address);
        for address in others.chain(foreign) {
            if own != Some(address) {
                self.get_or_connect(address, cluster);
            }
        }
        let mut all = self.0.lock();
        let known = |address: &str| leased(address) || foreign.iter().any(|a| **a == *address);
        let mut gone = Vec::new();
        for (address, peer) in all.iter() {
            let known = known(address);
            peer.in_membership.store(known, Ordering::Release);
            if !known && !peer.link.is_up() {
                gone.push(Arc::clone(address));
            }
        }
        for address in gone {
            if let Some(peer) = Arc::make_mut(&mut all).remove(&address) {
                peer.link.end();
            }
        }
    }

    /// Ends all links.
    pub(super) fn end(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        all.values().for_each(|peer| peer.link.end());
    }
}

/// How it stands with another node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Where it is reached.
    pub address: Arc<str>,
    /// Its process; `None` until it has answered once, and for a foreign node.
    pub process: Option<Uuid>,
    /// Whether messages to it are sent now.
    pub up: bool,
    /// Whether it is a node of go-websocket, or another that speaks the unary service only.
    pub foreign: bool,
}

impl Peer {
    pub(super) fn status(&self) -> PeerStatus {
        PeerStatus {
            address: Arc::clone(&self.address),
            process: self.link.process(),
            up: self.link.is_up(),
            foreign: self.link.is_unary_only(),
        }
    }

    /// Whether messages to many go to it.
    pub(super) fn is_in_membership(&self) -> bool {
        self.in_membership.load(Ordering::Acquire) || self.link.is_up()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .field("up", &self.link.is_up())
            .finish_non_exhaustive()
    }
}
