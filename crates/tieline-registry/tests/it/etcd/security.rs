//! Users, roles, certificates.

use std::{error::Error, time::Duration};

use tieline_registry::{EtcdOptions, EtcdRegistry, Registry, RegistryError};
use tieline_test_servers::{Authority, etcd::Etcd};

use super::{PREFIX, STEADY, claim, granted, join, options};
use crate::kit::run_threads;

/// Both prefixes of the registry, as its documentation grants them.
const GRANTED: [&str; 2] = [PREFIX, "!tieline/ws/"];

async fn refused(url: &str, prefix: &str, options: EtcdOptions) -> String {
    let error = EtcdRegistry::connect_with(url, prefix, options)
        .await
        .unwrap_err();
    assert!(error.is_refusal(), "{error:?}");
    told(&error)
}

/// All that an error says, to people and to developers.
fn told(error: &RegistryError) -> String {
    let source = error.source().map(ToString::to_string);
    format!("{error}: {} {error:?}", source.unwrap_or_default())
}

#[test]
fn a_user_needs_both_prefixes_and_no_more() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&GRANTED).await;
        let url = etcd.url_as("tieline:secret@");
        let registry = EtcdRegistry::connect_with(&url, PREFIX, options())
            .await
            .unwrap();
        assert!(!format!("{registry:?}").contains("secret"));
        let session = join(&registry, "a.test:7000", STEADY).await;
        let claimed = registry.claim(&session, &[claim("x", 5)]).await.unwrap();
        assert_eq!(granted(claimed), Some(1));
        assert!(registry.locate("x", true).await.unwrap().is_some());
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        assert_eq!(registry.delete_node("a.test:7000").await.unwrap(), 1);
        registry.leave(&session).await.unwrap();
        assert_eq!(registry.nodes().await.unwrap(), []);
        let error = refused(&url, "/other/", options()).await;
        assert!(error.contains("readwrite on the prefix"), "{error}");
    });
}

#[test]
fn half_a_role_is_refused_at_the_start() {
    run_threads(1, async {
        for half in GRANTED {
            let etcd = Etcd::with_users(&[half]).await;
            let url = etcd.url_as("tieline:secret@");
            let error = refused(&url, PREFIX, options()).await;
            assert!(error.contains("permission denied"), "{error}");
        }
    });
}

#[test]
fn a_wrong_password_is_refused_and_shown_nowhere() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&GRANTED).await;
        let error = refused(&etcd.url_as("tieline:wr0ng@"), PREFIX, options()).await;
        assert!(error.contains("check user and password"), "{error}");
        assert!(!error.contains("wr0ng"), "{error}");
        let error = refused(&etcd.url(), PREFIX, options()).await;
        assert!(error.contains("wants user:password"), "{error}");
    });
}

#[test]
fn a_token_that_nobody_used_for_long_is_renewed() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&GRANTED).await;
        let url = etcd.url_as("tieline:secret@");
        let registry = EtcdRegistry::connect_with(&url, PREFIX, options())
            .await
            .unwrap();
        // Tokens of this server last a second, and it looks once a second.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(registry.locate("x", true).await.unwrap(), None);
    });
}

#[test]
fn a_user_for_a_cluster_without_users_does_no_harm() {
    run_threads(1, async {
        let etcd = Etcd::start().await;
        let url = etcd.url_as("tieline:secret@");
        let registry = EtcdRegistry::connect_with(&url, PREFIX, options())
            .await
            .unwrap();
        etcd.gateway().enable_users(&GRANTED).await;
        let session = join(&registry, "a.test:7000", STEADY).await;
        let claimed = registry.claim(&session, &[claim("x", 5)]).await.unwrap();
        assert_eq!(granted(claimed), Some(1));
    });
}

#[test]
fn a_private_authority_is_trusted_and_another_is_not() {
    run_threads(1, async {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let etcd = Etcd::with_tls(&ours).await;
        let (certificate, key) = ours.issue();
        let trusting = |ca: &Authority| options().ca_pem(ca.pem()).client_pem(&certificate, &key);
        let registry = EtcdRegistry::connect_with(&etcd.url(), PREFIX, trusting(&ours)).await;
        let registry = registry.unwrap();
        let session = join(&registry, "a.test:7000", STEADY).await;
        let claimed = registry.claim(&session, &[claim("x", 5)]).await.unwrap();
        assert_eq!(granted(claimed), Some(1));

        let error = refused(&etcd.url(), PREFIX, trusting(&theirs)).await;
        assert!(error.contains("check the CA"), "{error}");
        let error = refused(&etcd.url(), PREFIX, options()).await;
        assert!(error.contains("EtcdOptions::ca_pem"), "{error}");
        let unreadable = options()
            .ca_pem("no certificate")
            .client_pem(&certificate, "no key");
        let error = refused(&etcd.url(), PREFIX, unreadable).await;
        assert!(error.contains("not readable PEM"), "{error}");
        let anonymous = options().ca_pem(ours.pem());
        let anonymous = EtcdRegistry::connect_with(&etcd.url(), PREFIX, anonymous).await;
        anonymous.unwrap_err();
    });
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_asked() {
    run_threads(1, async {
        let error = refused("redis://127.0.0.1", PREFIX, options()).await;
        assert!(error.contains("etcd://host:port"), "{error}");
        let error = refused("etcd://127.0.0.1", "", options()).await;
        assert!(error.contains("prefix is empty"), "{error}");
        let error = refused("etcd://127.0.0.1", "!tie", options()).await;
        assert!(error.contains("choose another"), "{error}");
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error_in_time() {
    run_threads(1, async {
        let started = tokio::time::Instant::now();
        let limit = Duration::from_millis(300);
        let options = EtcdOptions::new().timeout(limit);
        let url = "etcd://127.0.0.1:1";
        let error = EtcdRegistry::connect_with(url, PREFIX, options)
            .await
            .unwrap_err();
        assert!(!error.is_refusal());
        assert!(told(&error).contains("refused"), "{error:?}");
        assert!(started.elapsed() < limit * 3, "{:?}", started.elapsed());
    });
}
