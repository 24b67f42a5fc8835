//! The services of the peer port for tools: health and reflection.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tieline::{ClusterConfig, Config, PeerSecurity};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
};

use crate::kit::{
    TestNode, Trace, free_port,
    grpc::{self, EmitRequest, Reflect, Reflected, YesNo},
    memory_registry, run, test_config,
};

const SERVICES: [&str; 3] = ["", "websocket.Websocket", "tieline.link.v1.Link"];

async fn health(address: &str, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let channel = grpc::channel(address);
    let check = "/grpc.health.v1.Health/Check";
    let answer: HealthCheckResponse = grpc::call(channel, check, request, None).await.unwrap();
    answer.status()
}

#[test]
fn health_is_serving_until_a_drain_begins() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            drain_window: Duration::from_secs(1),
            close_timeout: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        let member = TestNode::start_with(&registry, config, test_config()).await;
        let address = member.peer_address();
        for service in SERVICES {
            assert_eq!(
                health(&address, service).await,
                ServingStatus::Serving,
                "{service}"
            );
        }
        // The client does not answer the close, so that the drain has to wait for it.
        let client = member.reader("id=ann&quiet").await;
        let node = member.node.clone();
        let drained = tokio::spawn(member.stop());
        assert_eq!(client.until_closed().await, Some(1012));
        assert!(!node.is_ready() && !drained.is_finished());
        for service in SERVICES {
            assert_eq!(
                health(&address, service).await,
                ServingStatus::NotServing,
                "{service}"
            );
        }
        assert_eq!(drained.await.unwrap().remaining, 0);
    });
}

/// The answer of the unary service of a reachable port to a caller without the secret.
async fn without_secret(open_unary: bool) -> Result<YesNo, Status> {
    let mut security = PeerSecurity::default();
    security.secret = Some("s".into());
    (security.plaintext, security.open_unary) = (true, open_unary);
    let port = free_port();
    let config = ClusterConfig {
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.port())),
        advertise: Some(port.to_string()),
        security,
        ..test_config()
    };
    let member = TestNode::start_with(&memory_registry(), Config::default(), config).await;
    let emit = |secret| {
        let request = EmitRequest {
            id: "nobody".into(),
            data: b"x".to_vec(),
        };
        let channel = grpc::channel(&member.peer_address());
        grpc::call(channel, "/websocket.Websocket/Emit", request, secret)
    };
    let with_secret: YesNo = emit(Some("s")).await.unwrap();
    assert!(!with_secret.yes, "nobody is here");
    emit(None).await
}

#[test]
fn the_unary_service_requires_the_secret_unless_it_is_opened() {
    run(async {
        let trace = Trace::start();
        let refused = without_secret(false).await.expect_err("there is a secret");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        trace
            .until(&[
                "WARN",
                "refused on the peer port",
                "secret is missing or wrong",
            ])
            .await;
        assert!(!without_secret(true).await.unwrap().yes);
    });
}

#[test]
fn reflection_lists_the_services() {
    run(async {
        let registry = memory_registry();
        let member = TestNode::start(&registry).await;
        for version in ["v1", "v1alpha"] {
            let method = match version {
                "v1" => "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                _ => "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            };
            let ask = Reflect {
                list_services: "*".into(),
            };
            let address = member.peer_address().parse().unwrap();
            let mut answers = grpc::stream::<_, Reflected>(address, method, vec![ask], None)
                .await
                .unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            let services = answer.services.expect("a list").service;
            let names: Vec<_> = services.into_iter().map(|service| service.name).collect();
            for expected in [
                "websocket.Websocket",
                "tieline.link.v1.Link",
                "grpc.health.v1.Health",
            ] {
                assert!(
                    names.iter().any(|name| name == expected),
                    "{version}: {names:?}"
                );
            }
        }
    });
}
