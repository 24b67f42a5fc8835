//! Nodes that call a registry directly, without a claim table.
//!
//! Owns the calls and their plain checks; each fails the scenario where the registry fails.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, Cursor, Entry, JoinOutcome, JoinRequest, LeaseInfo,
    NodeReport, NodeSession, Owner, Registry, Release, ReleaseOutcome, Stamp, Verdict,
};
use uuid::Uuid;

use crate::{
    expect::{client_id, expect_reply, report_at},
    harness::RegistryHarness,
};

pub(super) const ADDRESS_A: &str = "a.test:7000";
pub(super) const ADDRESS_B: &str = "b.test:7000";
pub(super) const FOREIGN_ADDRESS: &str = "go.test:8000";

/// Longer than any scenario takes, so that no lease expires by chance on a busy machine.
pub(super) const LONG_LEASE: Duration = Duration::from_mins(2);

/// A registry over an empty store, with calls that must succeed.
pub(super) struct Fixture {
    pub(super) registry: Arc<dyn Registry>,
}

impl Fixture {
    pub(super) async fn new(harness: &dyn RegistryHarness) -> Self {
        Self {
            registry: harness.registry().await,
        }
    }

    /// A new process joins with a long lease. It must succeed.
    pub(super) async fn join(&self, address: &str) -> NodeSession {
        self.join_for(address, LONG_LEASE).await
    }

    pub(super) async fn join_for(&self, address: &str, lease: Duration) -> NodeSession {
        let request = request(address, lease);
        self.must_join(&request).await.0
    }

    pub(super) async fn must_join(&self, request: &JoinRequest) -> (NodeSession, LeaseInfo) {
        match expect_reply(self.registry.join(request).await) {
            JoinOutcome::Joined(session, lease_info) => (session, lease_info),
            JoinOutcome::Busy(holder) => panic!(
                "the join of {} must succeed, \
                 but the registry says that {holder} holds the address",
                request.address
            ),
        }
    }

    pub(super) async fn claim_batch(
        &self,
        session: &NodeSession,
        claims: &[Claim],
    ) -> Vec<Verdict> {
        match expect_reply(self.registry.claim(session, claims).await) {
            ClaimOutcomes::Verdicts(verdicts) => {
                assert_eq!(
                    verdicts.len(),
                    claims.len(),
                    "there must be one verdict for each claim"
                );
                verdicts
            }
            ClaimOutcomes::Lost => panic!(
                "the session of {} must be valid, but the registry says that it is lost",
                session.address
            ),
        }
    }

    pub(super) async fn claim(
        &self,
        session: &NodeSession,
        name: &str,
        stamp: u64,
        kind: ClaimKind,
    ) -> Verdict {
        let claim = claim(name, stamp, kind);
        let mut verdicts = self.claim_batch(session, &[claim]).await;
        verdicts.remove(0)
    }

    /// Makes a fresh claim, which must be granted.
    pub(super) async fn must_claim(&self, session: &NodeSession, name: &str, stamp: u64) {
        let verdict = self.claim(session, name, stamp, ClaimKind::Fresh).await;
        assert!(
            matches!(verdict, Verdict::Granted { .. }),
            "the claim of {name:?} must be granted: {verdict:?}"
        );
    }

    pub(super) async fn release(
        &self,
        session: &NodeSession,
        name: &str,
        up_to: u64,
    ) -> ReleaseOutcome {
        let release = [release(name, up_to)];
        expect_reply(self.registry.release(session, &release).await)
    }

    pub(super) async fn locate(&self, name: &str) -> Option<Entry> {
        expect_reply(self.registry.locate(name, true).await).entry()
    }

    /// Asserts that an id belongs to a node by a claim with this stamp, and that its lease is
    /// alive.
    pub(super) async fn assert_at(&self, name: &str, address: &str, stamp: u64) {
        let owner = Owner::Node {
            stamp: Stamp(stamp),
            leased: true,
        };
        let address = address.into();
        assert_eq!(
            self.locate(name).await,
            Some(Entry { address, owner }),
            "{name:?}"
        );
    }

    /// All entries, as other programs see them. An id may come twice, with the same address.
    pub(super) async fn scan_all(&self) -> BTreeMap<ClientId, Arc<str>> {
        let (mut all, mut from) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = expect_reply(self.registry.scan(cursor).await);
            for (id, address) in page.items {
                let before = all.insert(id.clone(), address.clone());
                assert!(before.is_none_or(|before| before == address), "{id:?}");
            }
            from = page.next;
        }
        all
    }

    /// The ids under a session's address, sorted, each once.
    pub(super) async fn ids_of(&self, session: &NodeSession) -> Vec<ClientId> {
        let (mut ids, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = expect_reply(self.registry.ids_of(session, cursor).await);
            ids.extend(page.items.into_iter().map(|(id, _)| id));
            from = page.next;
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

pub(super) fn request(address: &str, lease: Duration) -> JoinRequest {
    JoinRequest {
        address: address.into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(1),
        lease,
        has_connections: false,
    }
}

/// What a node reports whose clock shows this.
pub(super) fn report(now: u64) -> NodeReport {
    report_at(Stamp(now))
}

pub(super) fn claim(name: &str, stamp: u64, kind: ClaimKind) -> Claim {
    Claim {
        id: client_id(name),
        stamp: Stamp(stamp),
        kind,
    }
}

pub(super) fn release(name: &str, up_to: u64) -> Release {
    Release {
        id: client_id(name),
        up_to: Stamp(up_to),
    }
}

pub(super) fn granted() -> Verdict {
    Verdict::Granted { displaced: None }
}

pub(super) fn displacing(address: &str) -> Verdict {
    Verdict::Granted {
        displaced: Some(address.into()),
    }
}

pub(super) fn taken(by: &str) -> Verdict {
    Verdict::Taken { by: by.into() }
}
