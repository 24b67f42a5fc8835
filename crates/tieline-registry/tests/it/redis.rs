//! The registry on Redis: the conformance suite on each deployment, and what Redis adds to it.

mod access;
mod deployments;
mod faults;
mod layout;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, JoinOutcome, JoinRequest, NodeSession,
    RedisRegistry, Registry, RegistryError, Stamp, Verdict,
};
use tieline_registry_conformance::{BoxFuture, RegistryHarness, Skipped};
use tieline_test_servers::redis::Redis;
use uuid::Uuid;

use crate::kit::run;

/// The hash of the tests.
const PREFIX: &str = "ws";

/// A node's address.
const NODE: &str = "10.0.0.1:7000";

/// What DUMP gave for each key.
type Dump = Vec<(Vec<u8>, Vec<u8>)>;

/// A server of each test's own.
struct RedisBench {
    redis: Redis,
    remembered: Mutex<Dump>,
}

impl RedisBench {
    async fn start() -> Self {
        Self {
            redis: Redis::start().await,
            remembered: Mutex::default(),
        }
    }
}

impl RegistryHarness for RedisBench {
    fn registry(&self) -> BoxFuture<'_, Arc<dyn Registry>> {
        Box::pin(async {
            self.redis.wipe().await;
            let registry = RedisRegistry::connect(&self.redis.url(), PREFIX).await;
            Arc::new(registry.unwrap()) as Arc<dyn Registry>
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
            *self.remembered.lock() = dump;
            Ok(())
        })
    }

    fn restore(&self) -> BoxFuture<'_, Result<(), Skipped>> {
        Box::pin(async {
            let dump = self.remembered.lock().clone();
            self.redis.wipe().await;
            for (key, value) in dump {
                let words: [&[u8]; 4] = [b"RESTORE", &key, b"0", &value];
                self.redis.command_bytes::<()>(&words).await;
            }
            Ok(())
        })
    }
}

tieline_registry_conformance::conformance_tests!(run, RedisBench::start().await);

/// A process that wants the node's address.
fn request(process: Uuid) -> JoinRequest {
    JoinRequest {
        address: NODE.into(),
        process,
        replace: None,
        previous: None,
        now: Stamp(1),
        lease: Duration::from_secs(10),
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
    id: &str,
    kind: ClaimKind,
) -> Result<ClaimOutcomes, RegistryError> {
    let claim = Claim {
        id: ClientId::new(id).unwrap(),
        stamp: Stamp(100),
        kind,
    };
    registry.claim(session, &[claim]).await
}

/// What a claim of a free id comes to.
fn granted() -> ClaimOutcomes {
    ClaimOutcomes::Verdicts(vec![Verdict::Granted { displaced: None }])
}

/// What an error says, causes included.
fn told(error: &RegistryError) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
