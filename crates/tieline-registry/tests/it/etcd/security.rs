//! Users, roles, certificates.

use std::time::Duration;

use tieline_registry::{EtcdOptions, EtcdRegistry, Registry, RegistryError, RegistryErrorKind};
use tieline_test_servers::{Authority, etcd::Etcd};

use super::{PREFIX, STEADY, claim, granted, join, options};
use crate::kit::{message, run_threads};

/// Both prefixes of the registry, as its documentation grants them.
const GRANTED: [&str; 2] = [PREFIX, "!tieline/ws/"];

/// Connects, and returns the texts of the error that this must lead to.
async fn fails(url: &str, prefix: &str, options: EtcdOptions, kind: RegistryErrorKind) -> String {
    let error = EtcdRegistry::connect_with(url, prefix, options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.is_permanent(), "{error:?}");
    all_texts(&error)
}

async fn denied(url: &str, prefix: &str, options: EtcdOptions) -> String {
    fails(url, prefix, options, RegistryErrorKind::Denied).await
}

async fn misconfigured(url: &str, prefix: &str, options: EtcdOptions) -> String {
    fails(url, prefix, options, RegistryErrorKind::Misconfigured).await
}

/// The message of an error, that of its source, and the debug output.
fn all_texts(error: &RegistryError) -> String {
    format!("{}: {error:?}", message(error))
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
        assert!(registry.locate("x", true).await.unwrap().entry().is_some());
        assert_eq!(registry.nodes().await.unwrap().len(), 1);
        assert_eq!(registry.delete_node("a.test:7000").await.unwrap(), 1);
        registry.leave(&session).await.unwrap();
        assert_eq!(registry.nodes().await.unwrap(), []);
        let error = denied(&url, "/other/", options()).await;
        assert!(error.contains("readwrite on the prefix"), "{error}");
    });
}

#[test]
fn half_a_role_is_denied_on_connect() {
    run_threads(1, async {
        for half in GRANTED {
            let etcd = Etcd::with_users(&[half]).await;
            let url = etcd.url_as("tieline:secret@");
            let error = denied(&url, PREFIX, options()).await;
            assert!(error.contains("permission denied"), "{error}");
        }
    });
}

#[test]
fn a_wrong_password_is_denied_and_never_shown() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&GRANTED).await;
        let error = denied(&etcd.url_as("tieline:wr0ng@"), PREFIX, options()).await;
        assert!(error.contains("check user and password"), "{error}");
        assert!(!error.contains("wr0ng"), "{error}");
        let error = denied(&etcd.url(), PREFIX, options()).await;
        assert!(error.contains("put user:password"), "{error}");
    });
}

#[test]
fn an_expired_token_is_renewed() {
    run_threads(1, async {
        let etcd = Etcd::with_users(&GRANTED).await;
        let url = etcd.url_as("tieline:secret@");
        let registry = EtcdRegistry::connect_with(&url, PREFIX, options())
            .await
            .unwrap();
        // The tokens of this server last one second, and it looks for expired ones once a second.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(registry.locate("x", true).await.unwrap().entry(), None);
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

        let error = misconfigured(&etcd.url(), PREFIX, trusting(&theirs)).await;
        assert!(error.contains("check the CA"), "{error}");
        let error = misconfigured(&etcd.url(), PREFIX, options()).await;
        assert!(error.contains("EtcdOptions::ca_pem"), "{error}");
        let unreadable = options()
            .ca_pem("no certificate")
            .client_pem(&certificate, "no key");
        let error = misconfigured(&etcd.url(), PREFIX, unreadable).await;
        assert!(error.contains("not readable PEM"), "{error}");
        let anonymous = options().ca_pem(ours.pem());
        let anonymous = EtcdRegistry::connect_with(&etcd.url(), PREFIX, anonymous).await;
        anonymous.unwrap_err();
    });
}

#[test]
fn invalid_options_are_rejected_before_any_call() {
    run_threads(1, async {
        let error = misconfigured("redis://127.0.0.1", PREFIX, options()).await;
        assert!(error.contains("etcd://host:port"), "{error}");
        let error = misconfigured("etcd://127.0.0.1", "", options()).await;
        assert!(error.contains("prefix is empty"), "{error}");
        let error = misconfigured("etcd://127.0.0.1", "!tie", options()).await;
        assert!(error.contains("choose another"), "{error}");
    });
}

#[test]
fn an_unreachable_server_is_an_error_in_time() {
    run_threads(1, async {
        let started = tieline_test_servers::Stopwatch::start_threads();
        let limit = Duration::from_millis(300);
        let options = EtcdOptions::new().timeout(limit);
        let url = "etcd://127.0.0.1:1";
        let error = EtcdRegistry::connect_with(url, PREFIX, options)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable, "{error:?}");
        assert!(all_texts(&error).contains("refused"), "{error:?}");
        assert!(started.elapsed() < limit * 3, "{:?}", started.elapsed());
    });
}
