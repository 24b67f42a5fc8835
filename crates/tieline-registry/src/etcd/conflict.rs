//! Decides who wins an id.
//!
//! Owns the decision on one claim from the keys in etcd. Must not know calls. The rule is the same on every
//! registry: the connection that arrived last wins, and a write of another program wins over claims that
//! were granted before it.

use std::sync::Arc;

use super::{
    layout::{self, Shadow},
    rpc::KeyValue,
};
use crate::types::{Claim, ClaimKind, NodeSession, Stamp};

/// The keys of an id: the entry, its shadow, and the shadow's node if it was read too.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    /// Whether there is an entry beside the shadow.
    is_shared: bool,
    entry: Option<KeyValue>,
    shadow_kv: Option<KeyValue>,
    shadow: Option<Shadow>,
    /// The address whose node was read, and whether it is registered.
    node: Option<(Arc<str>, bool)>,
}

/// The decision on a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Taken {
        by: Arc<str>,
    },
    /// Granted, once this is written.
    Write {
        stamp: Stamp,
        displaced: Option<Arc<str>>,
        /// A node that must not be registered at that moment.
        unless_registered: Option<Arc<str>>,
    },
    /// Granted, and the keys are as they should be.
    AlreadyWritten,
}

impl Observed {
    /// From the reads of the entry, if other programs share it, its shadow and, optionally, a node.
    pub(super) fn new(
        mut reads: impl Iterator<Item = Option<KeyValue>>,
        is_shared: bool,
        node: Option<&Arc<str>>,
    ) -> Self {
        let entry = if is_shared {
            reads.next().flatten()
        } else {
            None
        };
        let shadow_kv = reads.next().flatten();
        Self {
            shadow: shadow_kv.as_ref().and_then(Shadow::parse),
            node: node.map(|node| (node.clone(), reads.next().flatten().is_some())),
            is_shared,
            entry,
            shadow_kv,
        }
    }

    /// The revisions at which the entry and the shadow were written; 0 if one does not exist.
    pub(super) fn revisions(&self) -> (i64, i64) {
        let revision = |kv: &Option<KeyValue>| kv.as_ref().map_or(0, |kv| kv.mod_revision);
        (revision(&self.entry), revision(&self.shadow_kv))
    }

    /// The stamp of the shadow.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.shadow.as_ref().map(|shadow| shadow.stamp)
    }

    /// The decision on a claim of this session. `is_leased` says which leases are the session's.
    pub(super) fn decide(
        &self,
        session: &NodeSession,
        claim: &Claim,
        is_leased: impl Fn(i64) -> bool,
    ) -> Decision {
        let shadow = self.shadow.as_ref();
        let is_own = shadow.is_some_and(|shadow| shadow.address == session.address);
        let late = shadow.is_some_and(|shadow| claim.stamp <= shadow.stamp);
        let foreign = self.foreign(session);
        if let Some(by) = foreign
            && (claim.kind != ClaimKind::Fresh || is_own && late)
        {
            return Decision::Taken {
                by: layout::entry_address(by),
            };
        }
        let Some(shadow) = shadow else {
            return write(claim.stamp, None, None);
        };
        if is_own {
            let stamp = claim.stamp.max(shadow.stamp);
            return if self.is_written(session, stamp, is_leased) {
                Decision::AlreadyWritten
            } else {
                write(stamp, None, None)
            };
        }
        let other = shadow.address.clone();
        let exclusive = claim.kind == ClaimKind::Exclusive;
        let lives = self.node.as_ref() == Some(&(other.clone(), true));
        if late || exclusive && lives {
            return Decision::Taken { by: other };
        }
        let unless_registered = exclusive.then(|| other.clone());
        write(claim.stamp, Some(other), unless_registered)
    }

    /// The entry, if another program wrote it. An entry with the claimant's address is not foreign: only
    /// its shadow was lost.
    fn foreign(&self, session: &NodeSession) -> Option<&KeyValue> {
        self.entry.as_ref().filter(|entry| {
            let names = |address: &str| address.as_bytes() == &entry.value[..];
            let shadowed = self
                .shadow
                .as_ref()
                .is_some_and(|shadow| names(&shadow.address));
            !shadowed && !names(&session.address)
        })
    }

    /// Whether the keys are as this session would write them, its leases included: keys that an earlier
    /// session wrote expire with that session's leases.
    fn is_written(
        &self,
        session: &NodeSession,
        stamp: Stamp,
        is_leased: impl Fn(i64) -> bool,
    ) -> bool {
        let kept = |kv: &Option<KeyValue>| kv.as_ref().is_some_and(|kv| is_leased(kv.lease));
        (kept(&self.entry) || !self.is_shared)
            && kept(&self.shadow_kv)
            && self.foreign(session).is_none()
            && self.stamp() == Some(stamp)
    }

    /// Whether this session wrote the shadow, with one of its leases.
    pub(super) fn is_counted(&self, is_leased: impl Fn(i64) -> bool) -> bool {
        self.shadow_kv
            .as_ref()
            .is_some_and(|kv| is_leased(kv.lease))
    }
}

fn write(
    stamp: Stamp,
    displaced: Option<Arc<str>>,
    unless_registered: Option<Arc<str>>,
) -> Decision {
    Decision::Write {
        stamp,
        displaced,
        unless_registered,
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

    fn seen(entry: &str, shadow: &str, lease: i64) -> Observed {
        Observed::new(
            [kv(entry, lease), kv(shadow, lease)].into_iter(),
            true,
            None,
        )
    }

    /// The decision for node `me`.
    fn decide(seen: &Observed, stamp: u64, kind: ClaimKind) -> Decision {
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
        seen.decide(&session, &claim, |lease| lease == LEASE)
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
    fn a_nodes_own_stamp_never_goes_back() {
        let mine = seen("me", "5 me", LEASE);
        assert_eq!(decide(&mine, 4, ClaimKind::Held), Decision::AlreadyWritten);
        assert_eq!(decide(&mine, 5, ClaimKind::Held), Decision::AlreadyWritten);
        let newer = write(Stamp(6), None, None);
        assert_eq!(decide(&mine, 6, ClaimKind::Fresh), newer);
        let again = write(Stamp(5), None, None);
        let former = seen("me", "5 me", LEASE - 1);
        assert_eq!(decide(&former, 5, ClaimKind::Held), again);
        let unplaced = seen("", "5 me", LEASE);
        assert_eq!(decide(&unplaced, 5, ClaimKind::Held), again);
    }

    #[test]
    fn a_foreign_write_wins_over_earlier_grants() {
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
    fn without_an_entry_the_shadow_decides() {
        let seen = |shadow| Observed::new([kv(shadow, LEASE)].into_iter(), false, None);
        let (mine, other) = (seen("5 me"), seen("5 you"));
        assert_eq!(decide(&mine, 5, ClaimKind::Held), Decision::AlreadyWritten);
        let newer = write(Stamp(6), None, None);
        assert_eq!(decide(&mine, 6, ClaimKind::Fresh), newer);
        assert_eq!(decide(&other, 5, ClaimKind::Held), taken("you"));
        let displaced = Some("you".into());
        let won = write(Stamp(6), displaced, None);
        assert_eq!(decide(&other, 6, ClaimKind::Held), won);
        let (you, reads) = ("you".into(), [kv("5 you", LEASE), kv("uuid", 1)]);
        let living = Observed::new(reads.into_iter(), false, Some(&you));
        assert_eq!(decide(&living, 9, ClaimKind::Exclusive), taken("you"));
    }

    #[test]
    fn an_exclusive_claim_displaces_no_live_node() {
        let kind = ClaimKind::Exclusive;
        assert_eq!(decide(&seen("go", "", 0), 9, kind), taken("go"));
        let unknown = seen("you", "5 you", 1);
        let you: Arc<str> = "you".into();
        let unless = write(Stamp(9), Some(you.clone()), Some(you.clone()));
        assert_eq!(decide(&unknown, 9, kind), unless);
        let reads = [kv("you", 1), kv("5 you", 1), kv("uuid", 1)];
        let living = Observed::new(reads.into_iter(), true, Some(&you));
        assert_eq!(decide(&living, 9, kind), taken("you"));
        let reads = [kv("you", 1), kv("5 you", 1), None];
        let dead = Observed::new(reads.into_iter(), true, Some(&you));
        assert_eq!(decide(&dead, 9, kind), unless);
    }
}
