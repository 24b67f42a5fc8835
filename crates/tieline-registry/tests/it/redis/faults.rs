//! Faults of the server and of the network, and how soon the registry recovers.

use std::{sync::Arc, time::Duration};

use tieline_registry::{
    ClaimOutcomes, NodeSession, RedisOptions, RedisRegistry, Registry, RegistryErrorKind,
};
use tieline_test_servers::{
    Stopwatch,
    redis::{Redis, RedisSetup},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{NODE, PREFIX, claim, granted, join, numbered};
use crate::kit::run;

/// The timeout of an operation.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What this process and the server compute.
const SLACK: Duration = Duration::from_millis(200);

async fn connect(url: &str) -> (RedisRegistry, NodeSession) {
    let options = RedisOptions::new(url, PREFIX).timeout(TIMEOUT);
    let registry = options.connect().await.unwrap();
    let session = join(&registry).await;
    (registry, session)
}

/// An operation that must fail, within its deadline.
async fn fails(registry: &RedisRegistry, session: &NodeSession) {
    let start = Stopwatch::start();
    let error = claim(registry, session, "a").await.unwrap_err();
    assert!(start.elapsed() < TIMEOUT + SLACK, "{error}");
    assert!(!error.is_permanent(), "{error}");
}

/// Claims until it works, which must be soon.
async fn works_soon(registry: &RedisRegistry, session: &NodeSession) -> ClaimOutcomes {
    let start = Stopwatch::start();
    loop {
        if let Ok(claimed) = claim(registry, session, "a").await {
            let took = start.elapsed();
            assert!(took < Duration::from_millis(500) + SLACK, "{took:?}");
            return claimed;
        }
    }
}

#[test]
fn a_server_that_comes_back_is_used_at_once() {
    run(async {
        let mut redis = RedisSetup::default().persistent().start().await;
        let (registry, session) = connect(&redis.url()).await;
        redis.kill();
        for _ in 0..5 {
            fails(&registry, &session).await;
        }
        redis.restart().await;
        assert_eq!(works_soon(&registry, &session).await, granted());
    });
}

#[test]
fn a_restart_between_two_operations_causes_no_error() {
    run(async {
        let mut redis = Redis::start().await;
        let (registry, session) = connect(&redis.url()).await;
        redis.kill();
        redis.restart().await;
        let lost = claim(&registry, &session, "a").await.unwrap();
        assert_eq!(lost, ClaimOutcomes::Lost, "it came back empty");
    });
}

#[test]
fn forgotten_scripts_are_sent_again() {
    run(async {
        let redis = Redis::start().await;
        let (registry, session) = connect(&redis.url()).await;
        for _ in 0..3 {
            redis.command::<()>(&["SCRIPT", "FLUSH"]).await;
            assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        }
        redis.command::<()>(&["SCRIPT", "FLUSH"]).await;
        let claims: Vec<_> = (0..2_000).map(numbered).collect();
        let claimed = registry.claim(&session, &claims).await.unwrap();
        assert!(matches!(claimed, ClaimOutcomes::Verdicts(verdicts) if verdicts.len() == 2_000));
    });
}

#[test]
fn a_server_that_hangs_costs_one_timeout() {
    run(async {
        let redis = Redis::start().await;
        let (registry, session) = connect(&redis.url()).await;
        redis.stop();
        for _ in 0..3 {
            fails(&registry, &session).await;
        }
        let error = registry.get("a").await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Timeout, "{error}");
        redis.resume();
        assert_eq!(works_soon(&registry, &session).await, granted());
    });
}

#[test]
fn many_at_once_share_one_dial() {
    run(async {
        let mut redis = Redis::start().await;
        let (registry, _) = connect(&redis.url()).await;
        let registry = Arc::new(registry);
        redis.kill();
        redis.restart().await;
        let asking = (0..100).map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.get("a").await })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert_eq!(asked.await.unwrap().unwrap(), None);
        }
        let connections = redis.info_field("total_connections_received").await;
        let connections: usize = connections.parse().unwrap();
        assert!(connections < 20, "{connections} connections");
    });
}

#[test]
fn a_server_that_became_a_replica_is_not_used() {
    run(async {
        let other = Redis::start().await;
        let redis = Redis::start().await;
        let (registry, session) = connect(&redis.url()).await;
        let port = other.port.to_string();
        redis
            .command::<()>(&["REPLICAOF", "127.0.0.1", &port])
            .await;
        fails(&registry, &session).await;
        let read = registry.get("a").await;
        assert!(read.is_err(), "a replica's answers may be old: {read:?}");
        redis.command::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        works_soon(&registry, &session).await;
    });
}

/// A proxy to the server whose connections can fall silent: no reply, no reset.
struct Proxy {
    port: u16,
    silenced: watch::Sender<usize>,
}

impl Proxy {
    async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = ("127.0.0.1", redis.port);
        let silenced = watch::Sender::new(0);
        let silencing = silenced.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut changes = silencing.subscribe();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = changes.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, silenced }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Silences the open connections; later ones work.
    fn silence(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

#[test]
fn a_silent_connection_is_replaced() {
    run(async {
        let redis = Redis::start().await;
        let proxy = Proxy::to(&redis).await;
        let (registry, session) = connect(&proxy.url()).await;
        proxy.silence();
        fails(&registry, &session).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
    });
}

#[test]
fn callers_that_give_up_do_not_hide_a_silent_connection() {
    run(async {
        let redis = Redis::start().await;
        let proxy = Proxy::to(&redis).await;
        let (registry, _) = connect(&proxy.url()).await;
        registry.set("a", NODE).await.unwrap();
        proxy.silence();
        let start = Stopwatch::start();
        let caller_timeout = TIMEOUT / 5;
        while timeout(caller_timeout, registry.get("a")).await.is_err() {}
        let took = start.elapsed();
        assert!(took < TIMEOUT + SLACK, "{took:?}");
    });
}
