//! Which peers are accepted.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use uuid::Uuid;

use super::support::{Node, Script, code, emit, open_with, run};
use crate::link::{
    LinkConfig, LinkStatus, PeerSecurity, PeerTls, ProbeError, SecurityError, probe,
    proto::OutcomeCode,
};

fn with(security: &PeerSecurity) -> LinkConfig {
    LinkConfig::new(Uuid::now_v7(), "ws", security).unwrap()
}

fn secret(secret: &str) -> PeerSecurity {
    PeerSecurity {
        secret: Some(secret.into()),
        ..PeerSecurity::default()
    }
}

fn certificates(tls: PeerTls) -> PeerSecurity {
    PeerSecurity {
        tls: Some(tls),
        ..PeerSecurity::default()
    }
}

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> PeerTls {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        PeerTls {
            certificate: params.signed_by(&key, &self.0).unwrap().pem().into(),
            key: key.serialize_pem().into(),
            authorities: self.0.pem().into(),
            name: None,
        }
    }
}

#[test]
fn only_the_right_secret_is_accepted() {
    run(async {
        let node = Node::with(
            with(&secret("open sesame".replace(' ', "-").as_str())),
            Script::default(),
        )
        .await;
        let address = node.address().to_string();
        for wrong in [
            PeerSecurity::default(),
            secret("open-sesamf"),
            secret("open-sesame-"),
        ] {
            let refused = probe(&address, &with(&wrong)).await.unwrap_err();
            assert!(matches!(refused, ProbeError::Refused { .. }), "{refused:?}");
            open_with(node.address(), with(&wrong))
                .until(LinkStatus::Down)
                .await;
        }
        assert!(node.script.opened.lock().is_empty());
        let link = open_with(node.address(), with(&secret("open-sesame")));
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
    });
}

#[test]
fn only_certificates_of_the_same_authority_are_accepted() {
    run(async {
        let ours = Authority::new();
        let node = Node::with(
            with(&certificates(ours.sign("127.0.0.1"))),
            Script::default(),
        )
        .await;
        let link = open_with(node.address(), with(&certificates(ours.sign("127.0.0.1"))));
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        // A stranger that trusts the authority but has no certificate from it.
        let mut stranger = Authority::new().sign("127.0.0.1");
        stranger.authorities = ours.0.pem().into();
        for wrong in [certificates(stranger), PeerSecurity::default()] {
            open_with(node.address(), with(&wrong))
                .until(LinkStatus::Down)
                .await;
        }
        assert_eq!(node.script.opened.lock().len(), 1);
    });
}

#[test]
fn a_node_whose_certificate_has_another_name_is_not_connected_to() {
    run(async {
        let authority = Authority::new();
        let node = Node::with(
            with(&certificates(authority.sign("nodes.test"))),
            Script::default(),
        )
        .await;
        let mut tls = authority.sign("nodes.test");
        open_with(node.address(), with(&certificates(tls.clone())))
            .until(LinkStatus::Down)
            .await;
        tls.name = Some("nodes.test".into());
        let link = open_with(node.address(), with(&certificates(tls)));
        link.until(LinkStatus::Up).await;
    });
}

#[test]
fn a_port_beyond_loopback_must_be_secured_or_allow_plaintext() {
    let (loopback, public): (SocketAddr, SocketAddr) =
        (super::support::loopback(), "0.0.0.0:7000".parse().unwrap());
    let open = PeerSecurity::default();
    assert_eq!(open.validate(loopback), Ok(()));
    assert_eq!(open.validate(public), Err(SecurityError::Open(public)));
    assert_eq!(secret("s").validate(loopback), Ok(()));
    assert_eq!(
        secret("s").validate(public),
        Err(SecurityError::Unencrypted(public))
    );
    let allowed = PeerSecurity {
        plaintext: true,
        ..secret("s")
    };
    assert_eq!(allowed.validate(public), Ok(()));
    let tls = certificates(Authority::new().sign("a"));
    assert_eq!(tls.validate(public), Ok(()));
    assert!(!format!("{:?}", secret("s3cret")).contains("s3cret"));
}

#[test]
fn unusable_secrets_and_certificates_are_refused() {
    for wrong in ["", "two words", "ümlaut"] {
        let refused = LinkConfig::new(Uuid::now_v7(), "ws", &secret(wrong)).unwrap_err();
        assert_eq!(refused, SecurityError::Secret);
    }
    let good = Authority::new().sign("a");
    let wrong = [
        PeerTls {
            certificate: b"no".into(),
            ..good.clone()
        },
        PeerTls {
            key: b"no".into(),
            ..good.clone()
        },
        PeerTls {
            authorities: b"no".into(),
            ..good.clone()
        },
        PeerTls {
            key: Authority::new().sign("a").key,
            ..good.clone()
        },
        PeerTls {
            name: Some("no name".into()),
            ..good
        },
    ];
    for tls in wrong {
        let refused = LinkConfig::new(Uuid::now_v7(), "ws", &certificates(tls)).unwrap_err();
        assert!(matches!(refused, SecurityError::Tls { .. }), "{refused}");
    }
}
