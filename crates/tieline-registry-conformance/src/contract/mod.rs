//! The plain contract of each operation, with no protocol around it.
//!
//! Owns a few nodes that ask a registry directly. Where registries may differ, a scenario accepts what
//! the contract allows and says so.

pub(super) mod bulk;
pub(super) mod claims;
pub(super) mod lives;
mod random;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tieline_registry::{
    Candidate, Claim, ClaimKind, Claimed, ClientId, Cursor, Entry, Join, Owner, Registry, Release,
    Released, Session, Stamp, Tenure, Verdict,
};
use uuid::Uuid;

use super::{
    Bench,
    world::{done, id},
};

const A: &str = "a.test:7000";
const B: &str = "b.test:7000";
const FOREIGN: &str = "go.test:8000";

/// Longer than any scenario takes.
const STEADY: Duration = Duration::from_mins(2);

/// A registry and what it is asked.
struct Desk {
    registry: Arc<dyn Registry>,
}

impl Desk {
    async fn open(bench: &dyn Bench) -> Self {
        Self {
            registry: bench.registry().await,
        }
    }

    /// A process that joins; it must be let in.
    async fn join(&self, address: &str) -> Session {
        self.join_for(address, STEADY).await
    }

    async fn join_for(&self, address: &str, lease: Duration) -> Session {
        let candidate = candidate(address, lease);
        self.let_in(&candidate).await.0
    }

    async fn let_in(&self, candidate: &Candidate) -> (Session, Tenure) {
        match done(self.registry.join(candidate).await) {
            Join::Joined(session, tenure) => (session, tenure),
            Join::Busy(holder) => panic!("{} is held by {holder}", candidate.address),
        }
    }

    async fn claim_all(&self, session: &Session, claims: &[Claim]) -> Vec<Verdict> {
        match done(self.registry.claim(session, claims).await) {
            Claimed::Verdicts(verdicts) => {
                assert_eq!(verdicts.len(), claims.len(), "one verdict for each claim");
                verdicts
            }
            Claimed::Lost => panic!("the session of {} is lost", session.address),
        }
    }

    async fn claim(&self, session: &Session, name: &str, stamp: u64, kind: ClaimKind) -> Verdict {
        let claim = claim(name, stamp, kind);
        let mut verdicts = self.claim_all(session, &[claim]).await;
        verdicts.remove(0)
    }

    /// A fresh claim, which must be granted.
    async fn take(&self, session: &Session, name: &str, stamp: u64) {
        let verdict = self.claim(session, name, stamp, ClaimKind::Fresh).await;
        assert!(
            matches!(verdict, Verdict::Granted { .. }),
            "{name}: {verdict:?}"
        );
    }

    async fn release(&self, session: &Session, name: &str, upto: u64) -> Released {
        let release = [release(name, upto)];
        done(self.registry.release(session, &release).await)
    }

    async fn locate(&self, name: &str) -> Option<Entry> {
        done(self.registry.locate(name, true).await)
    }

    /// An id is a node's, by a claim with this stamp.
    async fn assert_at(&self, name: &str, address: &str, stamp: u64) {
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

    /// What other programs see. An id that comes twice must have one address.
    async fn everything(&self) -> BTreeMap<ClientId, Arc<str>> {
        let (mut all, mut from) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = done(self.registry.all(cursor).await);
            for (id, address) in page.items {
                let before = all.insert(id.clone(), address.clone());
                assert!(before.is_none_or(|before| before == address), "{id:?}");
            }
            from = page.next;
        }
        all
    }

    /// The ids that stand under a session's address, sorted.
    async fn held(&self, session: &Session) -> Vec<ClientId> {
        let (mut held, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = done(self.registry.held(session, cursor).await);
            held.extend(page.items);
            from = page.next;
        }
        held.sort_unstable();
        held.dedup();
        held
    }
}

fn candidate(address: &str, lease: Duration) -> Candidate {
    Candidate {
        address: address.into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(1),
        lease,
    }
}

fn claim(name: &str, stamp: u64, kind: ClaimKind) -> Claim {
    Claim {
        id: id(name),
        stamp: Stamp(stamp),
        kind,
    }
}

fn release(name: &str, upto: u64) -> Release {
    Release {
        id: id(name),
        upto: Stamp(upto),
    }
}

fn granted() -> Verdict {
    Verdict::Granted { displaced: None }
}

fn displacing(address: &str) -> Verdict {
    Verdict::Granted {
        displaced: Some(address.into()),
    }
}

fn taken(by: &str) -> Verdict {
    Verdict::Taken { by: by.into() }
}
