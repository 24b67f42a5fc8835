//! Who may use a server, and what those are told who may not.

use std::time::Duration;

use tieline_registry::{
    Cursor, RedisOptions, RedisRegistry, Registry, Release, ReleaseOutcome, Stamp,
};
use tieline_test_servers::{
    Authority,
    redis::{Redis, RedisSetup},
};

use super::{NODE, PREFIX, claim, granted, join, told};
use crate::kit::run;

/// What the documentation says that a user needs.
const ACL: &str = include_str!("../../../src/redis/acl.txt");

/// The error of a connection that must not come about.
async fn refused(options: RedisOptions) -> String {
    let error = options.connect().await.unwrap_err();
    let told = told(&error);
    assert!(error.is_refusal(), "{told}");
    told
}

fn options(url: impl Into<String>) -> RedisOptions {
    RedisOptions::new(url, PREFIX)
}

#[test]
fn the_documented_permissions_suffice() {
    run(async {
        let redis = RedisSetup::default().line(ACL).start().await;
        let registry = RedisRegistry::connect(&redis.url_as("tieline:secret"), PREFIX).await;
        let registry = registry.unwrap();
        let session = join(&registry).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());
        registry.renew(&session, Stamp(1)).await.unwrap();
        registry.set("b", NODE).await.unwrap();
        registry.delete("a").await.unwrap();
        assert_eq!(registry.get("a").await.unwrap().as_deref(), Some(NODE));
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        assert!(registry.expired().await.unwrap().is_empty());
        let all = registry.scan(Cursor::default()).await.unwrap();
        assert_eq!(all.items.len(), 1);
        let held = registry.ids_of(&session, Cursor::default()).await.unwrap();
        assert_eq!(held.items.len(), 1);
        let (id, up_to) = (held.items[0].clone(), Stamp(100));
        let released = registry.release(&session, &[Release { id, up_to }]).await;
        assert_eq!(released.unwrap(), ReleaseOutcome::Done);
        assert_eq!(registry.delete_node(NODE).await.unwrap(), 1);
        registry.leave(&session).await.unwrap();
        assert!(registry.nodes().await.unwrap().is_empty());
    });
}

#[test]
fn each_documented_permission_is_needed() {
    run(async {
        let redis = RedisSetup::default().line(ACL).start().await;
        let url = redis.url_as("tieline:secret");
        let commands = ACL
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('+'));
        for command in commands {
            let (deny, permit) = (format!("-{command}"), format!("+{command}"));
            redis
                .command::<()>(&["ACL", "SETUSER", "tieline", &deny])
                .await;
            let told = refused(options(&url)).await;
            assert!(told.contains("lacks a permission"), "{command}: {told}");
            redis
                .command::<()>(&["ACL", "SETUSER", "tieline", &permit])
                .await;
        }
        let keys: Vec<String> = redis.command(&["KEYS", "*"]).await;
        assert_eq!(keys, ["{ws}:clock"], "nothing else is left behind");
        options(url).connect().await.unwrap();
    });
}

#[test]
fn other_keys_may_be_forbidden() {
    run(async {
        let redis = RedisSetup::default().line(ACL).start().await;
        let elsewhere = RedisOptions::new(redis.url_as("tieline:secret"), "elsewhere");
        let told = refused(elsewhere).await;
        assert!(told.contains("lacks a permission"), "{told}");
    });
}

#[test]
fn a_wrong_password_is_refused_and_not_repeated() {
    run(async {
        let redis = RedisSetup::default()
            .password("right")
            .line(ACL)
            .start()
            .await;
        let told = refused(options(redis.url_as(":hushhush"))).await;
        assert!(told.contains("check the user and password"), "{told}");
        assert!(!told.contains("hushhush"), "{told}");
        let told = refused(options(redis.url_as("tieline:hushhush"))).await;
        assert!(told.contains("check the user and password"), "{told}");
        let told = refused(options(format!("redis://127.0.0.1:{}", redis.port))).await;
        assert!(told.contains("asks for a password"), "{told}");
        let shown = format!("{:?}", options(redis.url()).connect().await.unwrap());
        assert!(!shown.contains("right"), "{shown}");
    });
}

#[test]
fn what_cannot_be_used_is_refused_with_advice() {
    run(async {
        let redis = Redis::start().await;
        let told = refused(options("redis://:hush@host:one")).await;
        assert!(told.contains("port") && !told.contains("hush"), "{told}");
        let told = refused(RedisOptions::new(redis.url(), "")).await;
        assert!(told.contains("prefix is empty"), "{told}");
        let told = refused(RedisOptions::new("redis+cluster://a", "w}s")).await;
        assert!(told.contains("closing brace"), "{told}");
        let told = refused(options(redis.url()).timeout(Duration::ZERO)).await;
        assert!(told.contains("timeout"), "{told}");
        let told = refused(options(redis.url()).sentinel_credentials(None, "x")).await;
        assert!(told.contains("sentinel"), "{told}");
        let told = refused(options(redis.url()).certificate_authority("x")).await;
        assert!(told.contains("rediss"), "{told}");
        let told = refused(options(format!("{}/99", redis.url()))).await;
        assert!(told.contains("no database"), "{told}");
        redis.command::<()>(&["SET", PREFIX, "text"]).await;
        let told = refused(options(redis.url())).await;
        assert!(told.contains("another use"), "{told}");
    });
}

#[test]
fn nobody_there_is_no_refusal() {
    run(async {
        let mut redis = Redis::start().await;
        redis.kill();
        let error = options(redis.url()).connect().await.unwrap_err();
        assert!(!error.is_refusal(), "{}", told(&error));
        assert!(told(&error).contains(&redis.port.to_string()));
    });
}

#[test]
fn databases_are_apart() {
    run(async {
        let redis = Redis::start().await;
        let third = options(format!("{}/3", redis.url()))
            .connect()
            .await
            .unwrap();
        let zeroth = options(redis.url()).connect().await.unwrap();
        third.set("a", NODE).await.unwrap();
        assert_eq!(third.get("a").await.unwrap().as_deref(), Some(NODE));
        assert_eq!(zeroth.get("a").await.unwrap(), None);
    });
}

#[test]
fn tls_trusts_the_given_authority() {
    run(async {
        let authority = Authority::new();
        let redis = RedisSetup::default()
            .tls(authority.clone(), false)
            .start()
            .await;
        let options = options(redis.tls_url());
        let registry = options
            .clone()
            .certificate_authority(authority.pem())
            .connect()
            .await;
        let registry = registry.unwrap();
        let session = join(&registry).await;
        assert_eq!(claim(&registry, &session, "a").await.unwrap(), granted());

        let other = Authority::new();
        let told = refused(options.clone().certificate_authority(other.pem())).await;
        assert!(told.contains("certificates do not fit"), "{told}");
        let told = refused(options.certificate_authority("no PEM")).await;
        assert!(told.contains("no certificate authority"), "{told}");
    });
}

#[test]
fn tls_shows_a_certificate_where_one_is_wanted() {
    run(async {
        let authority = Authority::new();
        let redis = RedisSetup::default()
            .tls(authority.clone(), true)
            .start()
            .await;
        let options = options(redis.tls_url()).certificate_authority(authority.pem());
        let (chain, key) = authority.issue();
        let known = options
            .clone()
            .client_certificate(chain, key)
            .connect()
            .await;
        known.unwrap();
        let unknown = options.connect().await.unwrap_err();
        assert!(unknown.is_refusal(), "{}", told(&unknown));
    });
}
