//! Connections as sockets: a stream of messages, a sink of frames, a task of the application.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use futures_util::{SinkExt, StreamExt};
use tieline::{
    Accept, ClientId, CloseReason, Config, ConnectionError, Delivery, Duplicate, Frame, Hub,
    Message, Node, ProtocolError, SendError, Socket, Upgrade,
};
use tokio::sync::{Semaphore, mpsc};

use crate::kit::{
    Client, Probe, Raw, close_frame, eventually, listen,
    raw::{TEXT, frame},
    run, run_threads,
};

struct SocketServer {
    node: Node<()>,
    address: SocketAddr,
}

impl SocketServer {
    /// A node whose connections are all sockets, run by the same application.
    async fn start<T>(
        config: Config,
        app: impl Fn(Socket) -> T + Clone + Send + Sync + 'static,
    ) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listen().await;
        let node = Node::new(Hub::new(config).unwrap(), ());
        let enter = async move |State(node): State<Node<()>>, upgrade: Upgrade| {
            let id = upgrade.request().query("id").unwrap();
            let accept = Accept::new(()).id(ClientId::new(id).unwrap());
            // A socket yields whole messages all the same.
            let accept = accept.user("ada").group("lobby").streaming();
            upgrade.on_socket(&node, accept, app).await.into_response()
        };
        let router = Router::new()
            .route("/", get(enter))
            .with_state(node.clone());
        tokio::spawn(listener.serve(router, std::future::pending()));
        Self { node, address }
    }

    async fn raw(&self, id: &str) -> Raw {
        let (raw, answer) = Raw::open(self.address, &format!("/?id={id}"), "").await;
        assert_eq!(answer.status, 101, "{answer:?}");
        raw
    }
}

async fn echo(mut socket: Socket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

#[test]
fn a_socket_is_reached_like_any_connection() {
    run(async {
        let server = SocketServer::start(Config::default(), echo).await;
        let mut client = Client::connect(server.address, "id=a").await;
        client.send("an echo").await;
        assert_eq!(client.text().await, "an echo");
        let hub = server.node.hub();
        assert_eq!(hub.emit("a", "by id").await, Delivery::Delivered);
        assert_eq!(hub.emit_user("ada", "by user").await.delivered, 1);
        assert_eq!(hub.emit_group("lobby", "by group").await.delivered, 1);
        assert_eq!(hub.broadcast("to all").await.delivered, 1);
        for expected in ["by id", "by user", "by group", "to all"] {
            assert_eq!(client.text().await, expected);
        }
        assert!(client.close(1000).await.is_empty());
        eventually(|| hub.is_empty()).await;
    });
}

#[test]
fn a_socket_is_a_stream_and_a_sink() {
    run(async {
        let app = async |socket: Socket| {
            let (sink, stream) = socket.split();
            let answers = stream.map(|message| match message {
                Ok(message) => Ok(Frame::from(message)),
                Err(_) => Err(SendError::Closed),
            });
            // It closes the sink when the stream ends.
            let _ = answers.forward(sink).await;
        };
        let server = SocketServer::start(Config::default(), app).await;
        let mut client = server.raw("a").await;
        for i in 0..1000 {
            client.send_text(&i.to_string()).await;
        }
        for i in 0..1000 {
            assert_eq!(client.text().await, i.to_string());
        }
        client.send_close(1000).await;
        assert_eq!(client.closed().await, 1000);
        client.end().await;
        eventually(|| server.node.hub().is_empty()).await;
    });
}

#[test]
fn messages_wait_for_a_busy_application_and_arrive_in_order() {
    run_threads(2, async {
        let (gate, handled) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let app = {
            let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
            move |mut socket: Socket| {
                let (gate, handled) = (Arc::clone(&gate), Arc::clone(&handled));
                async move {
                    let _permit = gate.acquire().await.unwrap();
                    for expected in 0.. {
                        let Some(Ok(message)) = socket.recv().await else {
                            return;
                        };
                        assert_eq!(message, Message::Text(format!("{expected:0>1000}")));
                        handled.add_permits(1);
                    }
                }
            }
        };
        let server = SocketServer::start(Config::default(), app).await;
        let mut client = server.raw("a").await;
        // 100 MB: far more than the sockets hold.
        let messages = 100_000;
        let writer = tokio::spawn(async move {
            for i in 0..messages {
                client.send_text(&format!("{i:0>1000}")).await;
            }
            client
        });
        eventually(|| server.node.hub().online("a")).await;
        gate.add_permits(1);
        let all = handled.acquire_many(messages).await.unwrap();
        all.forget();
        drop(writer.await.unwrap());
    });
}

#[test]
fn a_client_that_sends_without_a_pause_leaves_a_turn_to_others() {
    run(async {
        let app = async |mut socket: Socket| while socket.recv().await.is_some() {};
        let server = SocketServer::start(Config::default(), app).await;
        let mut flood = server.raw("flood").await;
        let mut neighbour = Client::connect(server.address, "id=neighbour").await;
        let bytes = frame(TEXT, b"x").repeat(10_000);
        let flooding = tokio::spawn(async move {
            loop {
                flood.write(&bytes).await;
            }
        });
        for _ in 0..100 {
            let delivery = server.node.hub().emit("neighbour", "hello").await;
            assert_eq!(delivery, Delivery::Delivered);
            assert_eq!(neighbour.text().await, "hello");
        }
        flooding.abort();
    });
}

#[test]
fn a_dropped_socket_closes_its_connection() {
    run(async {
        let app = async |mut socket: Socket| {
            let first = socket.recv().await.unwrap().unwrap();
            socket.send("goodbye").await.unwrap();
            assert_ne!(first.as_text(), Some("panic"), "on purpose");
        };
        let server = SocketServer::start(Config::default(), app).await;
        for (message, code) in [("end", 1000), ("panic", 1011)] {
            let mut client = server.raw("a").await;
            let connection = server.node.hub().connection("a").unwrap();
            client.send_text(message).await;
            assert_eq!(client.text().await, "goodbye");
            assert_eq!(client.closed().await, code);
            client.send_close(code).await;
            client.end().await;
            let expected = match code {
                1000 => CloseReason::Application(close_frame(1000)),
                _ => CloseReason::Panic,
            };
            assert_eq!(connection.closed().await, expected);
            eventually(|| server.node.hub().is_empty()).await;
        }
    });
}

#[test]
fn an_error_comes_behind_the_messages_and_before_the_end() {
    run(async {
        let (seen, mut received) = mpsc::channel(10);
        let app = move |mut socket: Socket| {
            let seen = seen.clone();
            async move {
                loop {
                    let next = socket.recv().await;
                    let is_end = next.is_none();
                    seen.send(next).await.unwrap();
                    if is_end {
                        return;
                    }
                }
            }
        };
        let server = SocketServer::start(Config::default(), app).await;
        let mut client = server.raw("a").await;
        client.send_text("first").await;
        client.write(b"\x81\x02hi").await;
        assert_eq!(client.closed().await, 1002);
        client.end().await;
        let first = Message::Text("first".into());
        assert_eq!(received.recv().await, Some(Some(Ok(first))));
        let error = ConnectionError::Protocol(ProtocolError::Unmasked);
        assert_eq!(received.recv().await, Some(Some(Err(error))));
        assert_eq!(received.recv().await, Some(None));
    });
}

#[test]
fn a_close_waits_for_the_end_and_tells_the_reason() {
    run(async {
        let (reasons, mut told) = mpsc::channel(1);
        let app = move |mut socket: Socket| {
            let reasons = reasons.clone();
            async move {
                let hub = socket.connection().hub().clone();
                let reason = socket.close(close_frame(4000)).await;
                assert!(hub.is_empty(), "it has ended");
                reasons.send(reason).await.unwrap();
            }
        };
        let server = SocketServer::start(Config::default(), app).await;
        let mut client = server.raw("a").await;
        // More than waits for an application that takes nothing.
        for _ in 0..1000 {
            client.send_text("before it noticed").await;
        }
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        client.end().await;
        let reason = CloseReason::Application(close_frame(4000));
        assert_eq!(told.recv().await, Some(reason));
    });
}

#[test]
fn the_application_is_not_started_for_a_refused_upgrade() {
    run(async {
        let (started, mut starts) = mpsc::channel(10);
        let app = move |socket: Socket| {
            let started = started.clone();
            async move {
                let id = socket.connection().id().to_string();
                started.send(id).await.unwrap();
                echo(socket).await;
            }
        };
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let server = SocketServer::start(config, app).await;
        let _first = server.raw("a").await;
        assert_eq!(starts.recv().await.as_deref(), Some("a"));
        let (_, answer) = Raw::open(server.address, "/?id=a", "").await;
        assert_eq!(answer.status, 409);
        let _other = server.raw("b").await;
        assert_eq!(starts.recv().await.as_deref(), Some("b"));
    });
}

#[test]
fn a_drain_waits_for_the_application() {
    run(async {
        let (gate, ended) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let app = {
            let (gate, ended) = (Arc::clone(&gate), Arc::clone(&ended));
            move |mut socket: Socket| {
                let (gate, ended) = (Arc::clone(&gate), Arc::clone(&ended));
                async move {
                    while socket.recv().await.is_some() {}
                    let reason = socket.connection().closed().await;
                    assert_eq!(reason, CloseReason::Drain);
                    gate.acquire().await.unwrap().forget();
                    ended.add_permits(1);
                }
            }
        };
        let config = Config {
            drain_window: std::time::Duration::ZERO,
            ..Config::default()
        };
        let server = SocketServer::start(config, app).await;
        let mut client = server.raw("a").await;
        eventually(|| server.node.hub().online("a")).await;
        let node = server.node.clone();
        let drain = tokio::spawn(async move { node.drain().await });
        assert_eq!(client.closed().await, 1012);
        client.send_close(1012).await;
        client.end().await;
        eventually(|| server.node.hub().is_empty()).await;
        assert!(!drain.is_finished());
        gate.add_permits(1);
        assert_eq!(drain.await.unwrap().remaining, 0);
        assert_eq!(ended.available_permits(), 1);
    });
}

#[test]
fn a_sink_waits_for_a_slow_client() {
    run(async {
        let config = Config {
            message_size: 700 * 1024,
            outbox_bytes: 1024 * 1024,
            ..Config::default()
        };
        // Each fits an empty outbox, and not one that is half full.
        let app = async |mut socket: Socket| {
            for i in 0_u8..50 {
                let frame = Frame::binary(vec![i; 700 * 1024]);
                SinkExt::send(&mut socket, frame).await.unwrap();
            }
        };
        let server = SocketServer::start(config, app).await;
        let mut client = Raw::narrow(server.address).await;
        assert_eq!(client.upgrade("/?id=a", "").await.status, 101);
        for i in 0_u8..50 {
            let payload = client.data().await.payload;
            assert!(payload.len() == 700 * 1024 && payload.iter().all(|byte| *byte == i));
        }
        assert_eq!(client.closed().await, 1000);
    });
}

#[test]
fn the_handler_of_the_node_is_asked_about_a_socket() {
    run(async {
        let (listener, address) = listen().await;
        let node = Node::new(Hub::new(Config::default()).unwrap(), Probe::new());
        let enter = async move |State(node): State<Node<Probe>>, upgrade: Upgrade| {
            let accept = Accept::new(()).id(ClientId::new("ann").unwrap());
            upgrade.on_socket(&node, accept, echo).await.into_response()
        };
        let router = Router::new()
            .route("/", get(enter))
            .with_state(node.clone());
        tokio::spawn(listener.serve(router, std::future::pending()));
        let _ann = Client::connect(address, "").await;
        assert_eq!(node.hub().ask("ann", "id").await.unwrap(), "ann");
    });
}
