//! The stored keys.

use std::collections::{BTreeMap, BTreeSet};

use tieline_registry::{
    ClientId, Cursor, NodeReport, RedisRegistry, Registry, RegistryErrorKind, Release,
    ReleaseOutcome, Renewal, Stamp,
};
use tieline_test_servers::redis::Redis;

use super::{NODE, PREFIX, claim, granted, hold, join};
use crate::kit::run;

async fn keys(redis: &Redis) -> BTreeSet<String> {
    redis.command(&["KEYS", "*"]).await
}

fn named(tag: &str, names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("{tag}:{name}")).collect()
}

/// Claims and releases two ids, and checks the keys.
async fn come_and_go(prefix: &str, tag: &str) {
    let redis = Redis::start().await;
    let registry = RedisRegistry::connect(&redis.url(), prefix).await.unwrap();
    let session = join(&registry).await;
    for id in ["a", "b c"] {
        assert_eq!(claim(&registry, &session, id).await.unwrap(), granted());
    }
    let shared: BTreeMap<String, String> = redis.command(&["HGETALL", prefix]).await;
    let wanted = ["a", "b c"].map(|id| (id.to_owned(), NODE.to_owned()));
    assert_eq!(shared, BTreeMap::from(wanted));
    let set = format!("node:{NODE}");
    let mut wanted = named(tag, &["own", "nodes", "leases", "clock", &set]);
    wanted.insert(prefix.to_owned());
    assert_eq!(keys(&redis).await, wanted);

    let release = |id| Release {
        id: ClientId::new(id).unwrap(),
        up_to: Stamp(100),
    };
    let released = registry.release(&session, &["a", "b c"].map(release)).await;
    assert_eq!(released.unwrap(), ReleaseOutcome::Done);
    registry.leave(&session).await.unwrap();
    assert_eq!(keys(&redis).await, named(tag, &["clock", "own"]));
    let left: Vec<String> = redis.command(&["HKEYS", &format!("{tag}:own")]).await;
    assert_eq!(left, [""], "the epoch stays");
}

#[test]
fn the_shared_hash_maps_ids_to_addresses() {
    run(come_and_go(PREFIX, "{ws}"));
}

#[test]
fn a_prefix_may_have_a_hash_tag() {
    run(come_and_go("{app}:ws", "{app}:ws"));
}

#[test]
fn a_prefix_may_be_any_text() {
    run(async {
        come_and_go("web sockets", "{web sockets}").await;
        come_and_go("ws*[ü]%", "{ws*[ü]%}").await;
    });
}

/// A program that shares the layout may write anything.
#[test]
fn fields_that_are_no_clients_are_skipped() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let words: [&[u8]; 4] = [b"HSET", PREFIX.as_bytes(), b"\xff", b"x:1"];
        redis.command_bytes::<()>(&words).await;
        redis.command::<()>(&["HSET", PREFIX, "", "x:1"]).await;
        redis.command::<()>(&["HSET", PREFIX, "a", ""]).await;
        let page = registry.scan(Cursor::default()).await.unwrap();
        assert_eq!(page.items, [(ClientId::new("a").unwrap(), "".into())]);
        assert_eq!(registry.delete_node("x:1").await.unwrap(), 0);
        redis
            .command::<()>(&["HSET", "{ws}:own", "a", "nonsense"])
            .await;
        let found = registry.locate("a", true).await.unwrap().entry().unwrap();
        assert_eq!(&*found.address, "");
    });
}

/// What go-websocket reads has the default namespace only, and what it writes under the key of another one is
/// nobody's.
#[test]
fn the_shared_hash_has_the_default_namespace_only() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join(&registry).await;
        claim(&registry, &session, "x").await.unwrap();
        let before = keys(&redis).await;
        let ids = ["\0chat\0x", "\0game\0x"];
        for id in ids {
            assert_eq!(claim(&registry, &session, id).await.unwrap(), granted());
        }
        let shared = async || {
            redis
                .command::<BTreeMap<String, String>>(&["HGETALL", PREFIX])
                .await
        };
        assert_eq!(shared().await, [("x".to_owned(), NODE.to_owned())].into());
        assert_eq!(keys(&redis).await, before, "no further keys");

        redis.command::<()>(&["HSET", PREFIX, ids[0], "go:1"]).await;
        let located = registry.get(ids[0]).await.unwrap();
        assert_eq!(located.as_deref(), Some(NODE));
        assert_eq!(hold(&registry, &session, ids[0]).await, granted());
        assert_eq!(registry.delete_node("go:1").await.unwrap(), 0);
        let release = |id| Release {
            id: ClientId::from_key(id).unwrap(),
            up_to: Stamp(100),
        };
        let outcome = registry.release(&session, &ids.map(release)).await;
        assert_eq!(outcome.unwrap(), ReleaseOutcome::Done);
        assert_eq!(shared().await.len(), 2, "what other programs wrote stays");
        let own: BTreeSet<String> = redis.command(&["HKEYS", "{ws}:own"]).await;
        assert_eq!(own, ["", "x"].map(str::to_owned).into());
    });
}

#[test]
fn a_lost_or_malformed_count_blocks_no_claim() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join(&registry).await;
        let own = format!("{{{PREFIX}}}:own");
        for count in ["", "x", "-7"] {
            redis.command::<u64>(&["HSET", &own, "\0\0", count]).await;
            let id = format!("\0chat\0{count}a");
            assert_eq!(claim(&registry, &session, &id).await.unwrap(), granted());
            let renewed = registry.renew(&session, NodeReport::default()).await;
            assert!(matches!(renewed, Ok(Renewal::Renewed(_))), "{renewed:?}");
        }
        // A new epoch, in which the count begins again with what is claimed again.
        redis.command::<u64>(&["DEL", &own]).await;
        registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        hold(&registry, &session, "\0chat\0a").await;
        let renewed = registry.renew(&session, NodeReport::default()).await;
        let Renewal::Renewed(lease_info) = renewed.unwrap() else {
            panic!("the lease is alive");
        };
        assert_eq!(lease_info.foreign_balance, Some(0));
    });
}

#[test]
fn a_repeated_claim_restores_any_lost_key() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join(&registry).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        let before = keys(&redis).await;
        let set = format!("{{{PREFIX}}}:node:{NODE}");
        for key in [PREFIX, &format!("{{{PREFIX}}}:own"), &set] {
            redis.command::<u64>(&["DEL", key]).await;
            assert_eq!(hold(&registry, &session, "a").await, granted(), "{key}");
            assert_eq!(keys(&redis).await, before, "{key}");
        }
    });
}

#[test]
fn a_malformed_shadow_blocks_no_claim() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        let session = join(&registry).await;
        let own = format!("{{{PREFIX}}}:own");
        for shadow in [
            "",
            "x",
            "99999999999999999999999 127.0.0.1:1",
            "-1 127.0.0.1:1",
        ] {
            redis.command::<u64>(&["HSET", &own, "a", shadow]).await;
            assert_eq!(
                claim(&registry, &session, "a").await.unwrap(),
                granted(),
                "{shadow}"
            );
        }
    });
}

#[test]
fn a_malformed_node_is_an_unexpected_reply() {
    run(async {
        let redis = Redis::start().await;
        let registry = RedisRegistry::connect(&redis.url(), PREFIX).await.unwrap();
        redis
            .command::<()>(&["HSET", "{ws}:nodes", NODE, "nonsense"])
            .await;
        let error = registry.nodes().await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::UnexpectedReply, "{error}");
        let cursor = Cursor(b"nonsense".to_vec());
        let error = registry.scan(cursor).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::InvalidInput, "{error}");
    });
}
