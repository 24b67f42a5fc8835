//! Who does not belong to the cluster and comes to its peer port.

use std::{net::SocketAddr, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tieline::{
    Cluster, ClusterConfig, ClusterError, Config, Delivery, Hub, PeerSecurity, PeerTls,
    SecurityError,
};
use tonic::Code;

use crate::kit::{
    Member, Trace, eventually,
    grpc::{self, Frame, Hello},
    memory, quick, run,
};

pub(super) const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

fn with(security: PeerSecurity) -> ClusterConfig {
    ClusterConfig {
        security,
        ..quick()
    }
}

fn secret(secret: &str) -> PeerSecurity {
    let mut security = PeerSecurity::default();
    security.secret = Some(secret.to_owned());
    security
}

/// Two nodes that reach each other, by whatever they trust.
pub(super) async fn pair(security: [PeerSecurity; 2]) -> [Member; 2] {
    let registry = memory();
    let [a, b] = security.map(with);
    let a = Member::start_with(&registry, Config::default(), a).await;
    let b = Member::start_with(&registry, Config::default(), b).await;
    a.linked(1).await;
    b.linked(1).await;
    [a, b]
}

pub(super) async fn unharmed([a, b]: &[Member; 2]) {
    let (mut ann, mut ben) = (a.client("id=ann").await, b.client("id=ben").await);
    assert_eq!(a.cluster.emit("ben", "well").await, Delivery::Delivered);
    assert_eq!(b.cluster.emit("ann", "well").await, Delivery::Delivered);
    assert_eq!(
        (ann.text().await, ben.text().await),
        ("well".into(), "well".into())
    );
}

pub(super) fn port(member: &Member) -> SocketAddr {
    member.peer_address().parse().unwrap()
}

/// A hello, as if of a node that speaks these versions.
fn hello(oldest: u32, version: u32) -> Frame {
    let hello = Hello {
        version,
        oldest,
        process: vec![7; 16],
        epoch: 1,
    };
    Frame { hello: Some(hello) }
}

#[test]
fn without_the_secret_nobody_is_let_in() {
    run(async {
        let trace = Trace::start();
        let nodes = pair([secret("right"), secret("right")]).await;
        for wrong in [None, Some("wrong"), Some("righ"), Some("rightt")] {
            let refused =
                grpc::stream::<_, Frame>(port(&nodes[0]), EXCHANGE, vec![hello(1, 2)], wrong).await;
            let status = refused.expect_err("the secret is wrong");
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
            assert_eq!(status.message(), "the cluster's secret is missing or wrong");
        }
        trace
            .until(&[
                "WARN",
                "refused on the peer port",
                "secret is missing or wrong",
            ])
            .await;
        assert!(
            !trace.text().contains("right\""),
            "the secret is in the log"
        );
        let mut let_in =
            grpc::stream::<_, Frame>(port(&nodes[0]), EXCHANGE, vec![hello(1, 2)], Some("right"))
                .await
                .unwrap();
        assert!(let_in.message().await.unwrap().unwrap().hello.is_some());
        unharmed(&nodes).await;
    });
}

#[test]
fn a_node_with_another_secret_is_refused_and_both_say_so() {
    run(async {
        let trace = Trace::start();
        let registry = memory();
        let a = Member::start_with(&registry, Config::default(), with(secret("one"))).await;
        let b = Member::start_with(&registry, Config::default(), with(secret("two"))).await;
        trace.until(&["WARN", "refused on the peer port"]).await;
        trace
            .until(&[
                "WARN",
                "the peer refuses the link",
                "secret is missing or wrong",
            ])
            .await;
        let mut ben = b.client("id=ben").await;
        assert_eq!(a.cluster.emit("ben", "no way").await, Delivery::Unreachable);
        assert_eq!(b.cluster.emit("ben", "at home").await, Delivery::Delivered);
        assert_eq!(ben.text().await, "at home");
    });
}

#[test]
fn a_foreign_version_is_told_which_are_spoken() {
    run(async {
        let trace = Trace::start();
        let nodes = pair(Default::default()).await;
        for (oldest, newest) in [(90, 99), (0, 0)] {
            let refused = grpc::stream::<_, Frame>(
                port(&nodes[0]),
                EXCHANGE,
                vec![hello(oldest, newest)],
                None,
            )
            .await;
            let status = refused.expect_err("nobody speaks it");
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            assert!(
                status
                    .message()
                    .contains(&format!("versions {oldest} to {newest}")),
                "{status}"
            );
        }
        trace
            .until(&["WARN", "refused on the peer port", "versions 90 to 99"])
            .await;
        // No hello, one that names no process, and a newer one that speaks ours too.
        for bad in [
            Frame { hello: None },
            Frame {
                hello: Some(Hello::default()),
            },
        ] {
            let refused =
                grpc::stream::<_, Frame>(port(&nodes[0]), EXCHANGE, vec![bad], None).await;
            assert_eq!(refused.expect_err("no hello").code(), Code::InvalidArgument);
        }
        let newer =
            grpc::stream::<_, Frame>(port(&nodes[0]), EXCHANGE, vec![hello(1, 99)], None).await;
        assert!(
            newer
                .unwrap()
                .message()
                .await
                .unwrap()
                .unwrap()
                .hello
                .is_some()
        );
        unharmed(&nodes).await;
    });
}

/// An authority, and what it signs for a node.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn peer(&self) -> PeerSecurity {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let mut params = CertificateParams::new(["nodes.test".to_owned()]).unwrap();
        params.extended_key_usages = vec![ServerAuth, ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut security = PeerSecurity::default();
        security.tls = Some(PeerTls {
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
            authorities: self.0.pem().into_bytes(),
            name: Some("nodes.test".into()),
        });
        security
    }
}

#[test]
fn certificates_of_another_authority_are_refused() {
    run(async {
        let trace = Trace::start();
        let ours = Authority::new();
        let nodes = pair([ours.peer(), ours.peer()]).await;
        let registry = nodes[0].cluster.registry();
        let mut stranger = with(Authority::new().peer());
        stranger.audit_interval = Duration::from_mins(1);
        let stranger = Member::start_with(registry, Config::default(), stranger).await;
        trace.until(&["WARN", "refused on the peer port"]).await;
        trace
            .until(&["WARN", "cannot reach the peer", "TLS failed"])
            .await;
        let mut sam = stranger.client("id=sam").await;
        assert_eq!(
            nodes[0].cluster.emit("sam", "no way").await,
            Delivery::Unreachable
        );
        assert_eq!(
            stranger.cluster.emit("sam", "at home").await,
            Delivery::Delivered
        );
        assert_eq!(sam.text().await, "at home");
        // Plaintext where certificates are asked for.
        let refused =
            grpc::stream::<_, Frame>(port(&nodes[0]), EXCHANGE, vec![hello(1, 2)], None).await;
        refused.expect_err("no certificate");
        unharmed(&nodes).await;
    });
}

#[test]
fn an_open_port_is_refused_by_name() {
    run(async {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let start = |security| async move {
            let config = ClusterConfig {
                listen: everywhere,
                ..with(security)
            };
            let hub = Hub::new(Config::default()).unwrap();
            Cluster::start(hub, memory(), config).await
        };
        let open = start(PeerSecurity::default()).await.unwrap_err();
        assert!(
            matches!(open, ClusterError::Security(SecurityError::Open(_))),
            "{open:?}"
        );
        assert!(
            open.to_string().contains("0.0.0.0:0 would let anybody in"),
            "{open}"
        );
        let readable = start(secret("s")).await.unwrap_err();
        assert!(
            matches!(
                readable,
                ClusterError::Security(SecurityError::ReadableSecret(_))
            ),
            "{readable:?}"
        );
        assert!(
            readable.to_string().contains("allow plaintext"),
            "{readable}"
        );
        for empty in ["", "with blank", "with\nline"] {
            let wrong = start(secret(empty)).await.unwrap_err();
            assert!(!wrong.to_string().is_empty(), "{wrong}");
        }
        let mut allowed = secret("s");
        allowed.plaintext = true;
        let allowed = start(allowed).await.unwrap();
        assert!(!allowed.address().unwrap().starts_with("0.0.0.0"));
        allowed.leave().await;
        eventually(|| allowed.peers().is_empty()).await;
    });
}
