//! The connections that a peer server holds at once.
//!
//! Owns two bounds: one for connections of peers, and a smaller one for strangers, which is what every
//! connection is until it shows that it belongs to a peer. Must not know what that takes. Invariant: a
//! stranger never keeps a peer out, because the oldest stranger leaves when a new one finds no place.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

#[derive(Debug)]
pub(super) struct Places {
    max_peers: usize,
    max_strangers: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    peers: usize,
    /// By their number, so that the first is the oldest.
    strangers: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// All places for peers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Places {
    /// There is at least one place for strangers: a peer passes through it.
    pub(super) fn new(max_peers: usize, max_strangers: usize) -> Arc<Self> {
        Arc::new(Self {
            max_peers,
            max_strangers: max_strangers.max(1),
            taken: Mutex::default(),
        })
    }

    /// A place for a new connection, and whether the oldest stranger had to leave for it.
    pub(super) fn enter(self: &Arc<Self>) -> (Arc<Place>, bool) {
        let revoked = CancellationToken::new();
        let mut taken = self.taken.lock();
        let is_full = taken.strangers.len() >= self.max_strangers;
        if is_full && let Some((_, oldest)) = taken.strangers.pop_first() {
            oldest.cancel();
        }
        let number = taken.next;
        taken.next += 1;
        taken.strangers.insert(number, revoked.clone());
        drop(taken);
        let place = Place {
            places: Arc::clone(self),
            number,
            revoked,
            is_peer: AtomicBool::new(false),
        };
        (Arc::new(place), is_full)
    }
}

/// The place of one connection; dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    revoked: CancellationToken,
    /// Changed under the lock of `taken`.
    is_peer: AtomicBool,
}

impl Place {
    /// The connection belongs to a peer. Its place for a stranger is free from now on.
    pub(super) fn promote(&self) -> Result<(), Full> {
        if self.is_peer() {
            return Ok(());
        }
        let mut taken = self.places.taken.lock();
        if self.is_peer() {
            return Ok(());
        }
        if taken.peers >= self.places.max_peers {
            return Err(Full);
        }
        // A stranger that had to leave meanwhile is about to be closed all the same.
        taken.strangers.remove(&self.number);
        taken.peers += 1;
        self.is_peer.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`promote`](Self::promote) would succeed now.
    pub(super) fn check_room(&self) -> Result<(), Full> {
        let is_full = self.places.taken.lock().peers >= self.places.max_peers;
        if is_full && !self.is_peer() {
            return Err(Full);
        }
        Ok(())
    }

    pub(super) fn is_peer(&self) -> bool {
        self.is_peer.load(Ordering::Acquire)
    }

    /// Completes when a newer connection needs this stranger's place.
    pub(super) fn revoked(&self) -> WaitForCancellationFuture<'_> {
        self.revoked.cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if self.is_peer() {
            taken.peers -= 1;
        } else {
            taken.strangers.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_revoked(place: &Place) -> bool {
        place.revoked.is_cancelled()
    }

    #[test]
    fn the_oldest_stranger_makes_room() {
        let places = Places::new(1, 2);
        let [(first, a), (second, b), (_third, c)] = std::array::from_fn(|_| places.enter());
        assert_eq!([a, b, c], [false, false, true]);
        assert!(is_revoked(&first) && !is_revoked(&second));
        drop(second);
        assert!(!places.enter().1, "its place is free");
    }

    #[test]
    fn a_peer_leaves_the_places_of_strangers() {
        let places = Places::new(1, 1);
        let (peer, _) = places.enter();
        assert_eq!(peer.promote(), Ok(()));
        assert_eq!(peer.promote(), Ok(()), "no second place is taken");
        let (stranger, made_room) = places.enter();
        assert!(!made_room && !is_revoked(&peer));
        assert_eq!(stranger.promote(), Err(Full));
        drop(peer);
        assert_eq!(stranger.promote(), Ok(()));
    }
}
