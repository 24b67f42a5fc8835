//! Permissions, passwords, TLS and options, and the errors of those that do not work.

use std::time::Duration;

use tieline_registry::{
    Cursor, NodeReport, RedisOptions, RedisRegistry, Registry, RegistryErrorKind, Release,
    ReleaseOutcome, Stamp,
};
use tieline_test_servers::{
    Authority,
    redis::{Redis, RedisSetup},
};

use super::{NODE, PREFIX, claim, granted, join};
use crate::kit::{message, run};

/// The documented permissions.
const ACL: &str = include_str!("../../../src/redis/acl.txt");

/// Connects, and returns the message of the error that this must lead to.
async fn fails(options: RedisOptions, kind: RegistryErrorKind) -> String {
    let error = options.connect().await.unwrap_err();
    let message = message(&error);
    assert_eq!(error.kind(), kind, "{message}");
    assert!(error.is_permanent(), "{message}");
    message
}

/// The message of an error of the kind `Denied`.
async fn denied(options: RedisOptions) -> String {
    fails(options, RegistryErrorKind::Denied).await
}

/// The message of an error of the kind `Misconfigured`.
async fn misconfigured(options: RedisOptions) -> String {
    fails(options, RegistryErrorKind::Misconfigured).await
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
        registry
            .renew(&session, NodeReport::default())
            .await
            .unwrap();
        registry.set("b", NODE).await.unwrap();
        registry.delete("a").await.unwrap();
        assert_eq!(registry.get("a").await.unwrap().as_deref(), Some(NODE));
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        assert!(registry.expired().await.unwrap().is_empty());
        let all = registry.scan(Cursor::default()).await.unwrap();
        assert_eq!(all.items.len(), 1);
        let ids = registry.ids_of(&session, Cursor::default()).await.unwrap();
        assert_eq!(ids.items.len(), 1);
        let (id, up_to) = ids.items[0].clone();
        assert_eq!(up_to, Stamp(100));
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
            let message = denied(options(&url)).await;
            assert!(
                message.contains("lacks a permission"),
                "{command}: {message}"
            );
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
        let message = denied(elsewhere).await;
        assert!(message.contains("lacks a permission"), "{message}");
    });
}

#[test]
fn a_wrong_password_is_denied_and_not_repeated() {
    run(async {
        let redis = RedisSetup::default()
            .password("right")
            .line(ACL)
            .start()
            .await;
        let message = denied(options(redis.url_as(":hushhush"))).await;
        assert!(message.contains("check the user and password"), "{message}");
        assert!(!message.contains("hushhush"), "{message}");
        let message = denied(options(redis.url_as("tieline:hushhush"))).await;
        assert!(message.contains("check the user and password"), "{message}");
        let message = denied(options(format!("redis://127.0.0.1:{}", redis.port))).await;
        assert!(message.contains("requires a password"), "{message}");
        let shown = format!("{:?}", options(redis.url()).connect().await.unwrap());
        assert!(!shown.contains("right"), "{shown}");
    });
}

#[test]
fn invalid_options_are_rejected_with_advice() {
    run(async {
        let redis = Redis::start().await;
        let message = misconfigured(options("redis://:hush@host:one")).await;
        assert!(
            message.contains("port") && !message.contains("hush"),
            "{message}"
        );
        let message = misconfigured(RedisOptions::new(redis.url(), "")).await;
        assert!(message.contains("prefix is empty"), "{message}");
        let message = misconfigured(RedisOptions::new("redis+cluster://a", "w}s")).await;
        assert!(message.contains("closing brace"), "{message}");
        let message = misconfigured(options(redis.url()).timeout(Duration::ZERO)).await;
        assert!(message.contains("timeout"), "{message}");
        let message = misconfigured(options(redis.url()).sentinel_credentials(None, "x")).await;
        assert!(message.contains("sentinel"), "{message}");
        let message = misconfigured(options(redis.url()).certificate_authority("x")).await;
        assert!(message.contains("rediss"), "{message}");
        let message = misconfigured(options(format!("{}/99", redis.url()))).await;
        assert!(message.contains("no database"), "{message}");
        redis.command::<()>(&["SET", PREFIX, "text"]).await;
        let message = misconfigured(options(redis.url())).await;
        assert!(message.contains("another use"), "{message}");
    });
}

#[test]
fn an_unreachable_server_is_not_a_permanent_error() {
    run(async {
        let mut redis = Redis::start().await;
        redis.kill();
        let error = options(redis.url()).connect().await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
        assert!(!error.is_permanent(), "{}", message(&error));
        assert!(message(&error).contains(&redis.port.to_string()));
    });
}

#[test]
fn databases_are_separate() {
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
        let message = misconfigured(options.clone().certificate_authority(other.pem())).await;
        assert!(message.contains("certificates do not match"), "{message}");
        let message = misconfigured(options.certificate_authority("no PEM")).await;
        assert!(
            message.contains("cannot read the certificate authorities"),
            "{message}"
        );
    });
}

#[test]
fn tls_presents_the_client_certificate() {
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
        assert!(unknown.is_permanent(), "{}", message(&unknown));
    });
}
