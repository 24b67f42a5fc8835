//! The registrar on a real Redis, without sockets: all ids have one connection that nobody serves.

mod pacing;

use std::{sync::Arc, time::Duration};

use tieline_registry::{ClientId, Located, RedisRegistry, Registry};
use tieline_test_servers::{Stopwatch, redis::Redis};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{LocalInstant, Registrar, RegistrarConfig, RegistrarHost};
use crate::{
    config::Config,
    hub::{ConnectionInner, Hub, connect_as},
};

const IDS: usize = 100_000;

/// How long refilling may take. Without optimization, most of it is this process's own time.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 5 });

/// What must happen at all.
const DEADLINE: Duration = Duration::from_mins(1);

/// A node without a hub or peers.
struct Host;

impl RegistrarHost for Host {
    fn evict(&self, _node: &str, _id: ClientId) {}

    fn on_refused(&self, _connection: &Arc<ConnectionInner>) {
        panic!("nobody else claims these ids");
    }

    fn begin_claim(&self, _connection: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool {
        f();
        true
    }

    async fn probe(&self) -> Option<Uuid> {
        None
    }
}

fn config() -> RegistrarConfig {
    RegistrarConfig {
        address: "10.0.0.1:7000".into(),
        process: Uuid::now_v7(),
        lease: Duration::from_secs(5),
        audit_interval: Duration::from_mins(10),
        timeout: Duration::from_secs(1),
        clock: Arc::default(),
        claim_timeout: Duration::from_millis(250),
    }
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("it must happen");
}

#[tokio::test]
async fn a_wiped_redis_is_refilled_in_seconds() {
    let redis = Redis::start().await;
    let registry = Arc::new(RedisRegistry::connect(&redis.url(), "ws").await.unwrap());
    let host = Arc::new(Host);
    let registrar = Registrar::start(registry.clone(), config(), Arc::downgrade(&host));
    let registrar = registrar.await.unwrap();
    let inner = &*registrar.0;
    let hub = Hub::new(Config::default()).unwrap();
    let guard = connect_as(&hub, "client", None, &[]);
    for n in 0..IDS {
        let id = ClientId::new(format!("client-{n:08}")).unwrap();
        let stamp = inner.clock.stamp(LocalInstant::now());
        let conn = guard.connection().inner().clone();
        inner.table.lock().connect(&id, stamp, conn, false);
    }
    inner.wake_sender.notify_one();
    let all = IDS as u64;
    until(async || registrar.entries() == all).await;

    redis.wipe().await;
    inner.renew_now.notify_one();
    until(async || inner.table.lock().to_refill() > 0).await;
    let (begun, watch) = (Instant::now(), Stopwatch::start());
    let absent = registry.locate("nobody", true).await.unwrap();
    assert_eq!(absent, Located::Unknown, "entries are missing");
    until(async || inner.table.lock().to_refill() == 0).await;
    let took = watch.elapsed();
    eprintln!("{IDS} ids were claimed again in {:.2?}", begun.elapsed());
    assert!(took < LIMIT, "refilling took {took:?}");
    let entries: usize = redis.command(&["HLEN", "ws"]).await;
    assert_eq!(entries, IDS);
    until(async || registry.locate("nobody", true).await.unwrap() == Located::Nowhere).await;
    registrar.stop();
}
