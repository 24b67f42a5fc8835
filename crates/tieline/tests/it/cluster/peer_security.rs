//! Callers that do not belong to the cluster: wrong secret, certificate or version.

use std::{net::SocketAddr, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tieline::{
    Cluster, ClusterConfig, ClusterError, Config, Delivery, Hub, PeerSecurity, PeerTls,
    SecurityError,
};
use tonic::{Code, Status};

use crate::kit::{
    TestNode, Trace, eventually,
    grpc::{self, Confirmation, Frame, Hello},
    memory_registry, run, test_config,
};

pub(super) const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

pub(super) fn config_with(security: PeerSecurity) -> ClusterConfig {
    ClusterConfig {
        security,
        ..test_config()
    }
}

fn secret(secret: &str) -> PeerSecurity {
    let mut security = PeerSecurity::default();
    security.secret = Some(secret.to_owned());
    security
}

/// Two nodes with a link in each direction.
pub(super) async fn pair(security: [PeerSecurity; 2]) -> [TestNode; 2] {
    let registry = memory_registry();
    let [a, b] = security.map(config_with);
    let a = TestNode::start_with(&registry, Config::default(), a).await;
    let b = TestNode::start_with(&registry, Config::default(), b).await;
    a.wait_for_links(1).await;
    b.wait_for_links(1).await;
    [a, b]
}

pub(super) async fn assert_nodes_work([a, b]: &[TestNode; 2]) {
    let (mut ann, mut ben) = (a.client("id=ann").await, b.client("id=ben").await);
    assert_eq!(a.cluster.emit("ben", "well").await, Delivery::Delivered);
    assert_eq!(b.cluster.emit("ann", "well").await, Delivery::Delivered);
    assert_eq!(
        (ann.text().await, ben.text().await),
        ("well".into(), "well".into())
    );
}

pub(super) fn peer_port(member: &TestNode) -> SocketAddr {
    member.peer_address().parse().unwrap()
}

/// The hello of a node of the same cluster that speaks these versions.
fn hello(node: &TestNode, oldest: u32, version: u32) -> Frame {
    let hello = Hello {
        version,
        oldest,
        process: vec![7; 16],
        epoch: 1,
        cluster: node.cluster.registry().cluster().to_owned(),
        expected: Vec::new(),
    };
    Frame {
        hello: Some(hello),
        confirmation: None,
    }
}

/// Completes the greeting with a proof that somebody without the secret can make.
async fn greet(node: &TestNode, proof: &[u8]) -> Result<(), Status> {
    let confirmation = Confirmation {
        proof: proof.to_vec(),
    };
    let second = Frame {
        hello: None,
        confirmation: Some(confirmation),
    };
    let messages = vec![hello(node, 3, 3), second];
    let mut stream = grpc::stream::<_, Frame>(peer_port(node), EXCHANGE, messages, None).await?;
    assert!(stream.message().await?.unwrap().hello.is_some());
    stream.message().await.map(drop)
}

#[test]
fn callers_without_the_secret_are_refused() {
    run(async {
        let trace = Trace::start();
        let nodes = pair([secret("right"), secret("right")]).await;
        for proof in [&b""[..], b"right", &[0; 32]] {
            let status = greet(&nodes[0], proof)
                .await
                .expect_err("it proves nothing");
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        }
        let refused = ["WARN", "refused on the peer port", "the same secret"];
        trace.until(&refused).await;
        assert_eq!(trace.count(&refused), 1, "one line for one machine");
        assert!(
            !trace.text().contains("right\""),
            "the secret is in the log"
        );
        assert_nodes_work(&nodes).await;
    });
}

#[test]
fn a_node_with_another_secret_is_refused_and_both_log_it() {
    run(async {
        let trace = Trace::start();
        let registry = memory_registry();
        let a =
            TestNode::start_with(&registry, Config::default(), config_with(secret("one"))).await;
        let b =
            TestNode::start_with(&registry, Config::default(), config_with(secret("two"))).await;
        trace.until(&["WARN", "refused on the peer port"]).await;
        trace
            .until(&["WARN", "link refused", "the same secret"])
            .await;
        let mut ben = b.client("id=ben").await;
        assert_eq!(a.cluster.emit("ben", "no way").await, Delivery::Unreachable);
        assert_eq!(b.cluster.emit("ben", "at home").await, Delivery::Delivered);
        assert_eq!(ben.text().await, "at home");
    });
}

#[test]
fn an_unsupported_version_is_refused_with_the_supported_ones() {
    run(async {
        let trace = Trace::start();
        let nodes = pair(Default::default()).await;
        for (oldest, newest) in [(90, 99), (0, 0)] {
            let refused = grpc::stream::<_, Frame>(
                peer_port(&nodes[0]),
                EXCHANGE,
                vec![hello(&nodes[0], oldest, newest)],
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
        // No hello, a hello without a process, and a newer version that includes ours.
        for bad in [
            Frame::default(),
            Frame {
                hello: Some(Hello::default()),
                confirmation: None,
            },
        ] {
            let refused =
                grpc::stream::<_, Frame>(peer_port(&nodes[0]), EXCHANGE, vec![bad], None).await;
            assert_eq!(refused.expect_err("no hello").code(), Code::InvalidArgument);
        }
        let newer = vec![hello(&nodes[0], 1, 99)];
        let newer = grpc::stream::<_, Frame>(peer_port(&nodes[0]), EXCHANGE, newer, None).await;
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
        assert_nodes_work(&nodes).await;
    });
}

/// A certificate authority that signs certificates for nodes.
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
        let mut other = config_with(Authority::new().peer());
        other.audit_interval = Duration::from_mins(1);
        let other = TestNode::start_with(registry, Config::default(), other).await;
        trace.until(&["WARN", "refused on the peer port"]).await;
        trace
            .until(&["WARN", "cannot reach the peer", "TLS failed"])
            .await;
        let mut sam = other.client("id=sam").await;
        assert_eq!(
            nodes[0].cluster.emit("sam", "no way").await,
            Delivery::Unreachable
        );
        assert_eq!(
            other.cluster.emit("sam", "at home").await,
            Delivery::Delivered
        );
        assert_eq!(sam.text().await, "at home");
        // Plaintext to a port that requires certificates.
        let refused = grpc::stream::<_, Frame>(
            peer_port(&nodes[0]),
            EXCHANGE,
            vec![hello(&nodes[0], 3, 3)],
            None,
        )
        .await;
        refused.expect_err("no certificate");
        assert_nodes_work(&nodes).await;
    });
}

#[test]
fn an_unprotected_public_port_is_refused() {
    run(async {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let start = |security| async move {
            let config = ClusterConfig {
                listen: everywhere,
                ..config_with(security)
            };
            let hub = Hub::new(Config::default()).unwrap();
            Cluster::start(hub, memory_registry(), config).await
        };
        let open = start(PeerSecurity::default()).await.unwrap_err();
        assert!(
            matches!(open, ClusterError::Security(SecurityError::Open(_))),
            "{open:?}"
        );
        assert!(
            open.to_string().contains("0.0.0.0:0 is open to anyone"),
            "{open}"
        );
        let readable = start(secret("s")).await.unwrap_err();
        assert!(
            matches!(
                readable,
                ClusterError::Security(SecurityError::Unencrypted(_))
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
