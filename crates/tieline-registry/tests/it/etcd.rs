//! The registry on real etcd servers.

mod clusters;
mod conformance;
mod epoch;
mod layout;
mod rosters;
mod rosters_in_numbers;
mod scale;
mod security;
mod tokens;
mod values;

use std::{sync::Arc, time::Duration};

use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, EtcdOptions, EtcdRegistry, JoinOutcome, JoinRequest,
    NodeSession, Registry, Stamp, Verdict,
};
use tieline_test_servers::etcd::Etcd;
use uuid::Uuid;

/// The prefix of most tests.
const PREFIX: &str = "/ws/";

/// Longer than a test takes.
const STEADY: Duration = Duration::from_mins(2);

async fn connect(etcd: &Etcd) -> EtcdRegistry {
    EtcdRegistry::connect_with(&etcd.url(), PREFIX, options())
        .await
        .unwrap()
}

/// A timeout for a machine on which all tests run at once.
fn options() -> EtcdOptions {
    EtcdOptions::new().timeout(Duration::from_secs(2))
}

async fn join(registry: &EtcdRegistry, address: &str, lease: Duration) -> NodeSession {
    let request = JoinRequest {
        address: address.into(),
        process: Uuid::now_v7(),
        replace: None,
        previous: None,
        now: Stamp(0),
        lease,
        has_connections: false,
    };
    match registry.join(&request).await.unwrap() {
        JoinOutcome::Joined(session, _) => session,
        JoinOutcome::Busy(holder) => panic!("{holder} has {address}"),
    }
}

fn claim(key: &str, stamp: u64) -> Claim {
    Claim {
        id: ClientId::from_key(key).unwrap(),
        stamp: Stamp(stamp),
        kind: ClaimKind::Fresh,
    }
}

fn claims(ids: std::ops::Range<usize>, stamp: u64) -> Vec<Claim> {
    ids.map(|n| claim(&format!("client-{n}"), stamp)).collect()
}

/// How many of the claims were granted; `None` if the session is lost.
fn granted(claimed: ClaimOutcomes) -> Option<usize> {
    let ClaimOutcomes::Verdicts(verdicts) = claimed else {
        return None;
    };
    let granted = verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Granted { .. }));
    Some(granted.count())
}

/// All ids with their addresses, in order.
async fn everything(registry: &EtcdRegistry) -> Vec<(ClientId, Arc<str>)> {
    let mut all = Vec::new();
    let mut from = Some(tieline_registry::Cursor::default());
    while let Some(cursor) = from {
        let page = registry.scan(cursor).await.unwrap();
        all.extend(page.items);
        from = page.next;
    }
    all
}
