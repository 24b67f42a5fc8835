//! The extractor, under our listener and under `axum::serve`.

use std::{collections::HashMap, net::SocketAddr};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use tieline::{Config, Hub, Node, Refusal, StatusCode, Upgrade};
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{
    Probe, Raw, listen,
    raw::{TEXT, frame, request},
    run,
};

async fn enter(
    State(node): State<Node<Probe>>,
    Path(id): Path<String>,
    upgrade: Upgrade,
) -> Result<Response, Refusal> {
    if id == "nobody" {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "who are you?\n"));
    }
    let mut query = HashMap::from([("id".to_owned(), id)]);
    if let Some(peer) = upgrade.request().remote_addr() {
        query.insert("first".into(), peer.to_string());
    }
    let accept = node.handler().accept(query);
    Ok(upgrade.accept(&node, accept).await.into_response())
}

fn application(config: Config) -> (Node<Probe>, Router) {
    let node = Node::new(Hub::new(config).unwrap(), Probe::new());
    let router = Router::new()
        .route("/", get(async || "home"))
        .route("/ws/{id}", get(enter))
        .with_state(node.clone());
    (node, router)
}

async fn under_our_listener(config: Config) -> (Node<Probe>, SocketAddr) {
    let (node, router) = application(config);
    let (listener, address) = listen().await;
    tokio::spawn(listener.serve(router, std::future::pending()));
    (node, address)
}

async fn under_axum_serve(config: Config) -> (Node<Probe>, SocketAddr) {
    let (node, router) = application(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (node, address)
}

async fn assert_works(node: &Node<Probe>, address: SocketAddr) {
    // Messages travel in the segment of the request.
    let mut raw = Raw::over(TcpStream::connect(address).await.unwrap());
    let mut together = request("/ws/a", "").into_bytes();
    together.extend(frame(TEXT, b"early"));
    raw.write(&together).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("x-serial"), Some("0"));
    let own = raw.stream.local_addr().unwrap();
    assert_eq!(
        raw.text().await,
        own.to_string(),
        "the peer as the server sees it"
    );
    assert_eq!(raw.text().await, "early");
    assert_eq!(node.hub().connection("a").unwrap().remote_addr(), Some(own));

    // Both ways, also what takes several reads and writes.
    let long = "x".repeat(500_000);
    raw.send_text(&long).await;
    assert_eq!(raw.text().await, long);
    assert!(node.hub().emit("a", &long).await.is_delivered());
    assert_eq!(raw.text().await, long);

    let (_, refused) = Raw::open(address, "/ws/nobody", "").await;
    assert_eq!((refused.status, &refused.body[..]), (403, "who are you?\n"));
    let mut plain = Raw::over(TcpStream::connect(address).await.unwrap());
    let get = "GET /ws/a HTTP/1.1\r\nHost: node.test\r\n\r\n";
    plain.write(get.as_bytes()).await;
    assert_eq!(plain.answer().await.status, 426);
    plain.write(get.replace("/ws/a", "/").as_bytes()).await;
    assert_eq!(plain.answer().await.body, "home");

    raw.send_close(1000).await;
    assert_eq!(raw.closed().await, 1000);
    raw.end().await;
    crate::kit::eventually(|| node.hub().is_empty()).await;
    assert_eq!(node.handler().log.disconnects("a").len(), 1);
}

#[test]
fn a_router_works_under_our_listener() {
    run(async {
        let (node, address) = under_our_listener(Config::default()).await;
        assert_works(&node, address).await;
    });
}

#[test]
fn a_router_works_under_axum_serve() {
    run(async {
        let (node, address) = under_axum_serve(Config::default()).await;
        assert_works(&node, address).await;
    });
}

#[test]
fn limits_and_drain_hold_under_axum_serve() {
    run(async {
        let (node, address) = under_axum_serve(Config {
            max_connections: Some(1),
            drain_window: std::time::Duration::ZERO,
            ..Config::default()
        })
        .await;
        let (mut raw, answer) = Raw::open(address, "/ws/a", "").await;
        assert_eq!(answer.status, 101);
        raw.text().await;
        assert_eq!(Raw::open(address, "/ws/b", "").await.1.status, 503);
        let evil = "Origin: http://evil.test\r\n";
        assert_eq!(Raw::open(address, "/ws/b", evil).await.1.status, 403);
        let (drained, ()) = tokio::join!(node.drain(), async {
            assert_eq!(raw.closed().await, 1012);
            raw.send_close(1012).await;
        });
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert_eq!(Raw::open(address, "/ws/a", "").await.1.status, 503);
    });
}
