//! The stored keys of values, and servers that refuse.

use std::{collections::BTreeSet, time::Duration};

use tieline_registry::{
    Bytes, MAX_VALUE, RedisOptions, RedisRegistry, Registry, RegistryError, RegistryErrorKind,
    StoredValue, Values,
};
use tieline_test_servers::redis::{Redis, RedisCluster};
use tokio::time::sleep;

use super::{PREFIX, TIMEOUT};
use crate::kit::{message, run, run_threads};

const MINUTE: Duration = Duration::from_mins(1);

fn values(registry: &RedisRegistry) -> &dyn Values {
    registry.values().unwrap()
}

async fn put(registry: &RedisRegistry, key: &str, value: &'static str) {
    let put = values(registry).put(key, value.into(), MINUTE).await;
    put.unwrap_or_else(|error| panic!("{}", message(&error)));
}

async fn get(registry: &RedisRegistry, key: &str) -> Option<Bytes> {
    let found = values(registry).get(key).await;
    let found = found.unwrap_or_else(|error| panic!("{}", message(&error)));
    found.map(|value| value.bytes)
}

#[test]
fn a_value_is_one_key_that_the_server_removes() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        for key in ["news", "\0chat\0news"] {
            put(&registry, key, "x").await;
        }
        assert_eq!(get(&registry, "nothing").await, None);
        let keys: BTreeSet<String> = redis.command(&["KEYS", "*value*"]).await;
        let wanted = ["{ws}:value:news", "{ws}:value:\0chat\0news"];
        assert_eq!(keys, wanted.map(str::to_owned).into());
        let stored: String = redis.command(&["GET", wanted[0]]).await;
        let left: u64 = redis.command(&["PTTL", wanted[0]]).await;
        assert!(stored == "x" && left <= 60_000, "{stored} for {left} ms");

        redis.command::<()>(&["SET", wanted[0], "no end"]).await;
        redis.command::<u64>(&["DEL", wanted[1]]).await;
        redis.command::<u64>(&["SADD", wanted[1], "no text"]).await;
        let kind = async |key| values(&registry).get(key).await.unwrap_err().kind();
        assert_eq!(kind("news").await, RegistryErrorKind::UnexpectedReply);
        let other_use = RegistryErrorKind::Misconfigured;
        assert_eq!(kind("\0chat\0news").await, other_use);
    });
}

#[test]
fn a_full_server_refuses_a_value_and_still_reads() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        put(&registry, "a", "x").await;
        let full = ["CONFIG", "SET", "maxmemory", "1"];
        redis.command::<()>(&full).await;
        let refused = values(&registry).put("b", "x".into(), MINUTE).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
        assert!(error.to_string().contains("raise maxmemory"), "{error}");
        assert_eq!(get(&registry, "a").await.as_deref(), Some(&b"x"[..]));
        assert_eq!(get(&registry, "b").await, None);
    });
}

/// Its values may be old.
#[test]
fn a_server_that_became_a_replica_is_not_read() {
    run(async {
        let (redis, other) = (Redis::start().await, Redis::start().await);
        let options = RedisOptions::new(redis.url(), PREFIX).timeout(Duration::from_millis(500));
        let registry = options.connect().await.unwrap();
        put(&registry, "a", "x").await;
        let port = other.port.to_string();
        let demote = ["REPLICAOF", "127.0.0.1", &port];
        redis.command::<()>(&demote).await;
        for key in ["a", "nothing"] {
            let read = values(&registry).get(key).await;
            assert!(read.is_err(), "{read:?}");
        }
    });
}

/// The server stands still when a value is put, so that it executes the put after its caller has given up.
#[test]
fn a_put_that_arrives_late_does_nothing() {
    run(async {
        let redis = Redis::start().await;
        let options = RedisOptions::new(redis.url(), PREFIX).timeout(Duration::from_millis(300));
        let registry = options.connect().await.unwrap();
        put(&registry, "a", "earlier").await;
        redis.stop();
        let late = values(&registry).put("a", "late".into(), MINUTE).await;
        assert_eq!(late.unwrap_err().kind(), RegistryErrorKind::Timeout);
        sleep(Duration::from_millis(50)).await;
        redis.resume();
        let found = async || values(&registry).get("a").await;
        let mut read: Result<Option<StoredValue>, RegistryError> = found().await;
        while read.is_err() {
            read = found().await;
        }
        let bytes = read.unwrap().unwrap().bytes;
        assert_eq!(&bytes[..], b"earlier");
    });
}

/// Between the steps of a move, the slot has keys on two servers. A value that exists on neither is put and read all
/// the same.
#[test]
fn values_follow_a_slot_that_moves() {
    run_threads(2, async {
        let cluster = RedisCluster::start(false).await;
        let options = RedisOptions::new(cluster.url(), PREFIX).timeout(TIMEOUT);
        let registry = options.connect().await.unwrap();
        let large = Bytes::from(vec![7; MAX_VALUE]);
        let stays = values(&registry).put("stays", large.clone(), 5 * MINUTE);
        stays.await.unwrap();
        let owner = cluster.master_of(PREFIX).await;
        let pauses = [Duration::from_millis(500), Duration::from_millis(50)];
        let moving = cluster.move_slot_slowly(PREFIX, [owner, (owner + 1) % 3], pauses);
        let using = async {
            for number in 0.. {
                let key = number.to_string();
                assert_eq!(get(&registry, &key).await, None);
                put(&registry, &key, "x").await;
                assert!(get(&registry, &key).await.is_some(), "{key}");
                assert_eq!(get(&registry, "stays").await.as_ref(), Some(&large));
            }
        };
        tokio::select! {
            () = moving => {}
            () = using => {}
        }
        assert_eq!(get(&registry, "stays").await.as_ref(), Some(&large));
        assert!(get(&registry, "0").await.is_some());
    });
}
