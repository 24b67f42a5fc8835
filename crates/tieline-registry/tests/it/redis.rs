//! The registry on Redis: the conformance suite on each deployment, and what Redis adds to it.

mod access;
mod deployments;
mod faults;
mod layout;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline_registry::{
    Candidate, Claim, ClaimKind, Claimed, ClientId, Join, RedisRegistry, Registry, RegistryError,
    Session, Stamp, Verdict,
};
use tieline_registry_conformance::{Bench, Doing, Skipped};
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

impl Bench for RedisBench {
    fn registry(&self) -> Doing<'_, Arc<dyn Registry>> {
        Box::pin(async {
            self.redis.wipe().await;
            let registry = RedisRegistry::connect(&self.redis.url(), PREFIX).await;
            Arc::new(registry.unwrap()) as Arc<dyn Registry>
        })
    }

    fn wipe(&self) -> Doing<'_, Result<(), Skipped>> {
        Box::pin(async {
            self.redis.wipe().await;
            Ok(())
        })
    }

    fn snapshot(&self) -> Doing<'_, Result<(), Skipped>> {
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

    fn restore(&self) -> Doing<'_, Result<(), Skipped>> {
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
fn candidate(process: Uuid) -> Candidate {
    Candidate {
        address: NODE.into(),
        process,
        replace: None,
        previous: None,
        now: Stamp(1),
        lease: Duration::from_secs(10),
    }
}

/// Joins as the node.
async fn join(registry: &RedisRegistry) -> Session {
    match registry.join(&candidate(Uuid::from_u128(1))).await.unwrap() {
        Join::Joined(session, _) => session,
        busy @ Join::Busy(_) => panic!("{busy:?}"),
    }
}

/// Claims an id.
async fn claim(
    registry: &RedisRegistry,
    session: &Session,
    id: &str,
) -> Result<Claimed, RegistryError> {
    claim_as(registry, session, id, ClaimKind::Fresh).await
}

/// Claims an id that was granted before.
async fn hold(registry: &RedisRegistry, session: &Session, id: &str) -> Claimed {
    let claimed = claim_as(registry, session, id, ClaimKind::Held).await;
    claimed.unwrap()
}

async fn claim_as(
    registry: &RedisRegistry,
    session: &Session,
    id: &str,
    kind: ClaimKind,
) -> Result<Claimed, RegistryError> {
    let claim = Claim {
        id: ClientId::new(id).unwrap(),
        stamp: Stamp(100),
        kind,
    };
    registry.claim(session, &[claim]).await
}

/// What a claim of a free id comes to.
fn granted() -> Claimed {
    Claimed::Verdicts(vec![Verdict::Granted { displaced: None }])
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
