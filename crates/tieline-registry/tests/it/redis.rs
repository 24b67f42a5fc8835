//! The registry on Redis: the conformance suite on each deployment, permissions, failovers and the stored
//! keys.

mod access;
mod clock;
mod deployments;
mod faults;
mod layout;
mod refusals;
mod resharding;
mod values;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, JoinOutcome, JoinRequest, NodeSession, RedisOptions,
    RedisRegistry, Registry, RegistryError, Stamp, Verdict,
};
use tieline_registry_conformance::{BoxFuture, RegistryHarness, Skipped};
use tieline_test_servers::redis::Redis;
use uuid::Uuid;

use crate::kit::run;

/// The prefix of most tests.
const PREFIX: &str = "ws";

/// Of an operation of the suite.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A node's address.
const NODE: &str = "10.0.0.1:7000";

/// The output of DUMP for each key.
type Dump = Vec<(Vec<u8>, Vec<u8>)>;

/// One server per test.
struct RedisHarness {
    redis: Redis,
    snapshot: Mutex<Dump>,
}

impl RedisHarness {
    async fn start() -> Self {
        Self {
            redis: Redis::start().await,
            snapshot: Mutex::default(),
        }
    }
}

impl RegistryHarness for RedisHarness {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            self.redis.wipe().await;
            // All tests run at once, and some send many large requests.
            let options = RedisOptions::new(self.redis.url(), PREFIX).timeout(TIMEOUT);
            Arc::new(options.connect().await.unwrap()) as Arc<dyn Registry>
        })
    }

    fn wipe(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.redis.wipe().await;
            Ok(())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let keys: Vec<String> = self.redis.command(&["KEYS", "*"]).await;
            let mut dump = Dump::new();
            for key in keys {
                let value = self.redis.command(&["DUMP", &key]).await;
                dump.push((key.into_bytes(), value));
            }
            *self.snapshot.lock() = dump;
            Ok(())
        })
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let dump = self.snapshot.lock().clone();
            self.redis.wipe().await;
            for (key, value) in dump {
                let words: [&[u8]; 4] = [b"RESTORE", &key, b"0", &value];
                self.redis.command_bytes::<()>(&words).await;
            }
            Ok(())
        })
    }
}

tieline_registry_conformance::conformance_tests!(run, RedisHarness::start().await);

/// The request of a process for the node's address.
fn request(process: Uuid) -> JoinRequest {
    JoinRequest {
        address: NODE.into(),
        process,
        replace: None,
        previous: None,
        now: Stamp(1),
        lease: Duration::from_secs(10),
        has_connections: false,
    }
}

/// Joins as the node.
async fn join(registry: &RedisRegistry) -> NodeSession {
    match registry.join(&request(Uuid::from_u128(1))).await.unwrap() {
        JoinOutcome::Joined(session, _) => session,
        busy @ JoinOutcome::Busy(_) => panic!("{busy:?}"),
    }
}

/// Claims an id.
async fn claim(
    registry: &RedisRegistry,
    session: &NodeSession,
    id: &str,
) -> Result<ClaimOutcomes, RegistryError> {
    claim_as(registry, session, id, ClaimKind::Fresh).await
}

/// Claims an id that was granted before.
async fn hold(registry: &RedisRegistry, session: &NodeSession, id: &str) -> ClaimOutcomes {
    let claimed = claim_as(registry, session, id, ClaimKind::Held).await;
    claimed.unwrap()
}

async fn claim_as(
    registry: &RedisRegistry,
    session: &NodeSession,
    key: &str,
    kind: ClaimKind,
) -> Result<ClaimOutcomes, RegistryError> {
    let claim = Claim {
        id: ClientId::from_key(key).unwrap(),
        stamp: Stamp(100),
        kind,
    };
    registry.claim(session, &[claim]).await
}

/// One of many claims.
fn numbered(number: usize) -> Claim {
    Claim {
        id: ClientId::new(number.to_string()).unwrap(),
        stamp: Stamp(1),
        kind: ClaimKind::Fresh,
    }
}

/// The outcome of one claim of a free id.
fn granted() -> ClaimOutcomes {
    ClaimOutcomes::Verdicts(vec![Verdict::Granted { displaced: None }])
}
