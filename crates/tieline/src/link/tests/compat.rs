//! The unary service of go-websocket, health and reflection.

use std::{net::SocketAddr, time::Duration};

use tokio_util::task::TaskTracker;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use uuid::Uuid;

use super::support::{Node, Script, ScriptedReceiver, config, loopback, run};
use crate::link::{
    LinkConfig, PeerSecurity, PeerServer,
    proto::websocket::{
        BroadcastRequest, EmitRequest, OnlineRequest, websocket_client::WebsocketClient,
    },
    transport::{Connection, Requests},
};

async fn connect(address: SocketAddr) -> (Connection, WebsocketClient<Requests>) {
    let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let connection = Connection::dial(&address.to_string(), &config(), &TaskTracker::new())
        .await
        .unwrap();
    let client =
        WebsocketClient::with_origin(connection.requests.clone(), connection.origin.clone());
    (connection, client)
}

fn emit(id: &str) -> EmitRequest {
    EmitRequest {
        id: id.into(),
        data: "x".into(),
    }
}

#[test]
fn emit_returns_false_only_if_the_client_is_not_here() {
    run(async {
        let node = Node::start().await;
        let (_connection, mut client) = connect(node.address()).await;
        assert!(client.emit(emit("a")).await.unwrap().into_inner().success);
        assert!(
            !client
                .emit(emit("gone"))
                .await
                .unwrap()
                .into_inner()
                .success
        );
        let full = client.emit(emit("full")).await.unwrap_err();
        assert_eq!(full.code(), Code::ResourceExhausted);
        let online = |id: &str| OnlineRequest { id: id.into() };
        assert!(
            client
                .online(online("a"))
                .await
                .unwrap()
                .into_inner()
                .online
        );
        assert!(
            !client
                .online(online("gone"))
                .await
                .unwrap()
                .into_inner()
                .online
        );
        let broadcast = BroadcastRequest { data: "x".into() };
        assert_eq!(
            client
                .broadcast(broadcast)
                .await
                .unwrap()
                .into_inner()
                .count,
            3
        );
    });
}

async fn non_loopback_server(security: &PeerSecurity) -> PeerServer {
    let config = LinkConfig::new(Uuid::now_v7(), "ws", security).unwrap();
    let receiver = std::sync::Arc::new(ScriptedReceiver(Script::default().into()));
    let address = "0.0.0.0:0".parse().unwrap();
    PeerServer::bind(address, config.into(), receiver)
        .await
        .unwrap()
}

#[test]
fn beyond_loopback_the_unary_service_requires_the_secret_unless_open() {
    run(async {
        let mut security = PeerSecurity {
            secret: Some("s3cret".into()),
            ..PeerSecurity::default()
        };
        let server = non_loopback_server(&security).await;
        let (_connection, mut client) = connect(server.local_addr()).await;
        let refused = client.emit(emit("a")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let mut authorized = Request::new(emit("a"));
        authorized
            .metadata_mut()
            .insert("authorization", "Bearer s3cret".parse().unwrap());
        assert!(client.emit(authorized).await.unwrap().into_inner().success);
        security.open_unary = true;
        let server = non_loopback_server(&security).await;
        let (_connection, mut client) = connect(server.local_addr()).await;
        assert!(client.emit(emit("a")).await.unwrap().into_inner().success);
    });
}

#[test]
fn health_is_serving_until_the_node_drains() {
    run(async {
        let node = Node::start().await;
        let (connection, _client) = connect(node.address()).await;
        let mut health =
            HealthClient::with_origin(connection.requests.clone(), connection.origin.clone());
        let services = ["", "websocket.Websocket", "tieline.link.v1.Link"];
        for expected in [ServingStatus::Serving, ServingStatus::NotServing] {
            for service in services.map(str::to_owned) {
                let response = health.check(HealthCheckRequest { service }).await.unwrap();
                assert_eq!(response.into_inner().status(), expected);
            }
            node.server.draining().await;
        }
    });
}

#[test]
fn reflection_lists_the_services() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    run(async {
        let node = Node::start().await;
        let (connection, _client) = connect(node.address()).await;
        let mut client = ServerReflectionClient::with_origin(
            connection.requests.clone(),
            connection.origin.clone(),
        );
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let requests = tonic::codegen::tokio_stream::once(request);
        let responses = client.server_reflection_info(requests).await.unwrap();
        let response = responses.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
            panic!("{response:?}")
        };
        let mut names: Vec<_> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        names.sort();
        assert_eq!(
            names[..],
            [
                "grpc.health.v1.Health",
                "tieline.link.v1.Link",
                "websocket.Websocket"
            ]
        );
    });
}

#[test]
fn connections_of_peers_are_bounded() {
    run(async {
        let mut few = config();
        few.connections = 1;
        let node = Node::with(few, Script::default()).await;
        let (first, mut client) = connect(node.address()).await;
        assert!(client.emit(emit("a")).await.unwrap().into_inner().success);
        let (_second, mut refused) = connect(node.address()).await;
        let status = refused.emit(emit("a")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(client.emit(emit("a")).await.unwrap().into_inner().success);
        drop((first, client));
        // The server notices the end of the first connection a moment later.
        while refused.emit(emit("a")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
}

#[test]
fn binding_a_taken_address_fails() {
    run(async {
        let node = Node::start().await;
        let receiver = std::sync::Arc::new(ScriptedReceiver(Script::default().into()));
        let taken = PeerServer::bind(node.address(), config().into(), receiver).await;
        assert_eq!(taken.err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
        assert_ne!(node.address(), loopback());
    });
}
