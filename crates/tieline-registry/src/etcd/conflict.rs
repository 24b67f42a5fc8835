//! Who wins an id.
//!
//! Owns the decision on one claim, from what stands in etcd; knows no call. The rule is the same on
//! every registry: the connection that arrived last wins, a foreign write wins over what was granted
//! before it.

use std::sync::Arc;

use super::{
    layout::{self, Shadow},
    rpc::KeyValue,
};
use crate::types::{Claim, ClaimKind, NodeSession, Stamp};

/// What stands under an id: the entry, its shadow, and, where it was asked for, the shadow's node.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    place: Option<KeyValue>,
    own: Option<KeyValue>,
    shadow: Option<Shadow>,
    /// The address whose node was asked for, and whether it is registered.
    node: Option<(Arc<str>, bool)>,
}

/// The decision on a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Taken {
        by: Arc<str>,
    },
    /// Granted with this stamp, as soon as it is written.
    Write {
        stamp: Stamp,
        displaced: Option<Arc<str>>,
        /// A node that must not be registered then.
        unless: Option<Arc<str>>,
    },
    /// Granted, and it stands there already.
    Stands,
}

impl Seen {
    /// What the reads of the entry, its shadow and perhaps of a node have found.
    pub(super) fn new(
        mut reads: impl Iterator<Item = Option<KeyValue>>,
        node: Option<&Arc<str>>,
    ) -> Self {
        let place = reads.next().flatten();
        let own = reads.next().flatten();
        Self {
            shadow: own.as_ref().and_then(Shadow::read),
            node: node.map(|node| (node.clone(), reads.next().flatten().is_some())),
            place,
            own,
        }
    }

    /// The revisions at which entry and shadow were written; 0 for what does not exist.
    pub(super) fn revisions(&self) -> (i64, i64) {
        let revision = |kv: &Option<KeyValue>| kv.as_ref().map_or(0, |kv| kv.mod_revision);
        (revision(&self.place), revision(&self.own))
    }

    /// The latest stamp in it.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.shadow.as_ref().map(|own| own.stamp)
    }

    pub(super) fn decide(&self, session: &NodeSession, claim: &Claim) -> Decision {
        let shadow = self.shadow.as_ref();
        let mine = shadow.is_some_and(|own| own.address == session.address);
        let late = shadow.is_some_and(|own| claim.stamp <= own.stamp);
        let foreign = self.foreign(session);
        if let Some(by) = foreign
            && (claim.kind != ClaimKind::Fresh || mine && late)
        {
            return Decision::Taken {
                by: layout::address(by),
            };
        }
        let Some(own) = shadow else {
            return write(claim.stamp, None, None);
        };
        if mine {
            let stamp = claim.stamp.max(own.stamp);
            return if self.stands(session, stamp) {
                Decision::Stands
            } else {
                write(stamp, None, None)
            };
        }
        let other = own.address.clone();
        let exclusive = claim.kind == ClaimKind::Exclusive;
        let lives = self.node.as_ref() == Some(&(other.clone(), true));
        if late || exclusive && lives {
            return Decision::Taken { by: other };
        }
        let unless = exclusive.then(|| other.clone());
        write(claim.stamp, Some(other), unless)
    }

    /// The entry, if a program wrote it that knows no shadows. What names the claimant is not foreign:
    /// of two entries only the shadow was lost.
    fn foreign(&self, session: &NodeSession) -> Option<&KeyValue> {
        self.place.as_ref().filter(|place| {
            let names = |address: &str| address.as_bytes() == &place.value[..];
            let shadowed = self.shadow.as_ref().is_some_and(|own| names(&own.address));
            !shadowed && !names(&session.address)
        })
    }

    /// Whether both keys are as this session would write them, its lease included: what an earlier
    /// session wrote would go with that one's lease.
    fn stands(&self, session: &NodeSession, stamp: Stamp) -> bool {
        let leased =
            |kv: &Option<KeyValue>| kv.as_ref().is_some_and(|kv| kv.lease == session.lease_id);
        leased(&self.place)
            && leased(&self.own)
            && self.foreign(session).is_none()
            && self.stamp() == Some(stamp)
    }
}

fn write(stamp: Stamp, displaced: Option<Arc<str>>, unless: Option<Arc<str>>) -> Decision {
    Decision::Write {
        stamp,
        displaced,
        unless,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::id::ClientId;

    const LEASE: i64 = 7;

    /// A key with this value; none where it is empty.
    fn kv(value: &str, lease: i64) -> Option<KeyValue> {
        let kv = || KeyValue {
            value: value.to_owned().into(),
            mod_revision: 3,
            lease,
            ..KeyValue::default()
        };
        (!value.is_empty()).then(kv)
    }

    fn seen(place: &str, own: &str, lease: i64) -> Seen {
        Seen::new([kv(place, lease), kv(own, lease)].into_iter(), None)
    }

    /// What node `me` is told.
    fn decide(seen: &Seen, stamp: u64, kind: ClaimKind) -> Decision {
        let session = NodeSession {
            address: "me".into(),
            process: Uuid::nil(),
            ttl: Duration::from_secs(1),
            lease_id: LEASE,
            fencing_token: 1,
        };
        let claim = Claim {
            id: ClientId::new("x").unwrap(),
            stamp: Stamp(stamp),
            kind,
        };
        seen.decide(&session, &claim)
    }

    fn taken(by: &str) -> Decision {
        Decision::Taken { by: by.into() }
    }

    #[test]
    fn the_connection_that_arrived_last_wins() {
        let free = seen("", "", 0);
        let other = seen("you", "5 you", 1);
        for kind in [ClaimKind::Fresh, ClaimKind::Held] {
            assert_eq!(decide(&free, 1, kind), write(Stamp(1), None, None));
            assert_eq!(decide(&other, 5, kind), taken("you"));
            let displaced = Some("you".into());
            assert_eq!(decide(&other, 6, kind), write(Stamp(6), displaced, None));
        }
    }

    #[test]
    fn an_entry_of_ones_own_never_goes_back() {
        let mine = seen("me", "5 me", LEASE);
        assert_eq!(decide(&mine, 4, ClaimKind::Held), Decision::Stands);
        assert_eq!(decide(&mine, 5, ClaimKind::Held), Decision::Stands);
        let newer = write(Stamp(6), None, None);
        assert_eq!(decide(&mine, 6, ClaimKind::Fresh), newer);
        let again = write(Stamp(5), None, None);
        let former = seen("me", "5 me", LEASE - 1);
        assert_eq!(decide(&former, 5, ClaimKind::Held), again);
        let unplaced = seen("", "5 me", LEASE);
        assert_eq!(decide(&unplaced, 5, ClaimKind::Held), again);
    }

    #[test]
    fn a_foreign_write_wins_over_what_was_granted_before_it() {
        let bare = seen("go", "", 0);
        let mine = seen("go", "5 me", LEASE);
        assert_eq!(decide(&bare, 9, ClaimKind::Held), taken("go"));
        assert_eq!(decide(&mine, 9, ClaimKind::Held), taken("go"));
        assert_eq!(decide(&mine, 5, ClaimKind::Fresh), taken("go"));
        let newer = write(Stamp(9), None, None);
        assert_eq!(decide(&bare, 9, ClaimKind::Fresh), newer);
        assert_eq!(decide(&mine, 9, ClaimKind::Fresh), newer);
    }

    #[test]
    fn an_exclusive_claim_displaces_nobody_who_lives() {
        let kind = ClaimKind::Exclusive;
        assert_eq!(decide(&seen("go", "", 0), 9, kind), taken("go"));
        let unknown = seen("you", "5 you", 1);
        let you: Arc<str> = "you".into();
        let unless = write(Stamp(9), Some(you.clone()), Some(you.clone()));
        assert_eq!(decide(&unknown, 9, kind), unless);
        let reads = [kv("you", 1), kv("5 you", 1), kv("uuid", 1)];
        let living = Seen::new(reads.into_iter(), Some(&you));
        assert_eq!(decide(&living, 9, kind), taken("you"));
        let reads = [kv("you", 1), kv("5 you", 1), None];
        let dead = Seen::new(reads.into_iter(), Some(&you));
        assert_eq!(decide(&dead, 9, kind), unless);
    }
}
