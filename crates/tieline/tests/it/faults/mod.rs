//! Bugs of go-websocket, the predecessor, that concern one node: none may come back.

mod duplicates;

use tieline::{
    Accept, CloseCode, CloseFrame, CloseReason, Config, Connection, Delivery, Handler, Hub,
    Message, Node, Origins,
};
use tokio_tungstenite::tungstenite;

use crate::kit::{
    Client, Server, What, eventually,
    raw::{self, BINARY, TEXT},
    run, serve,
};

fn close_frame(code: u16) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).unwrap(), "")
}

#[test]
fn an_emit_to_a_closing_client_yields_offline() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut closing = server.raw("id=a").await;
        let connection = server.connection("a");
        connection.close(close_frame(1000));

        assert_eq!(connection.emit("late").await, Delivery::Offline);
        assert_eq!(server.hub.emit("a", "late").await, Delivery::Offline);
        assert!(!server.hub.online("a"));
        assert_eq!(server.hub.broadcast("late").await.delivered, 0);

        assert_eq!(closing.closed().await, 1000);
        closing.send_close(1000).await;
        closing.end().await;
        server.empty().await;
        assert_eq!(connection.emit("later still").await, Delivery::Offline);
        server.assert_unharmed().await;
    });
}

#[test]
fn a_second_close_changes_nothing() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let connection = server.connection("a");
        connection.close(close_frame(4001));
        connection.close(close_frame(4002));
        server.hub.close();

        assert_eq!(client.closed().await, 4001);
        client.send_close(4001).await;
        client.end().await;
        server.empty().await;
        connection.close(close_frame(4003));

        let first = CloseReason::Application(close_frame(4001));
        assert_eq!(server.log.disconnects("a"), [first]);
        server.assert_unharmed().await;
    });
}

#[test]
fn newlines_and_white_space_are_kept() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        for text in ["a\nb\r\n\nc\n", "  x \t\n", " ", "\n", ""] {
            client.send(text).await;
            assert_eq!(client.text().await, text);
            assert!(server.hub.emit("a", text).await.is_delivered());
            assert_eq!(client.text().await, text);
            server.hub.broadcast(text);
            assert_eq!(client.text().await, text);
        }
    });
}

#[test]
fn queued_messages_are_separate_frames() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        // One write: all of them are read, answered and queued together.
        let burst: Vec<u8> = (0..100)
            .flat_map(|i| raw::frame(TEXT, i.to_string().as_bytes()))
            .collect();
        client.write(&burst).await;
        for i in 0..100 {
            let frame = client.frame().await.unwrap();
            assert!(frame.fin);
            assert_eq!(frame.payload, i.to_string().as_bytes());
        }
    });
}

#[test]
fn text_and_binary_keep_their_kind() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        client.send("text").await;
        assert_eq!(client.next().await, tungstenite::Message::text("text"));
        client.send_binary(b"text").await;
        assert_eq!(client.next().await, tungstenite::Message::binary("text"));
        let expected = [
            Message::Text("text".into()),
            Message::Binary(b"text".to_vec()),
        ];
        assert_eq!(server.log.messages("a"), expected);

        let mut raw = server.raw("id=b").await;
        server.hub.emit("b", "t");
        server.hub.emit("b", b"b");
        server.hub.broadcast("t");
        server.hub.broadcast(b"b");
        for opcode in [TEXT, BINARY, TEXT, BINARY] {
            assert_eq!(raw.frame().await.unwrap().opcode, opcode);
        }
    });
}

#[test]
fn the_message_limit_is_configuration() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        // The limit of go-websocket was fixed at 512 bytes.
        for length in [513, 1024 * 1024] {
            let long = "x".repeat(length);
            client.send(&long).await;
            assert_eq!(client.text().await, long);
        }

        let config = Config {
            message_size: 2 * 1024 * 1024,
            ..Config::default()
        };
        let server = Server::start(config).await;
        let mut client = server.client("id=a").await;
        let longer = "x".repeat(2 * 1024 * 1024);
        client.send(&longer).await;
        assert_eq!(client.text().await, longer);
    });
}

#[test]
fn a_foreign_origin_is_refused() {
    run(async {
        let server = Server::start(Config::default()).await;
        let status = async |origin: &str| server.ask("", &origin_header(origin)).await.status;
        assert_eq!(status("http://evil.test").await, 403);
        assert_eq!(status("http://node.test:81").await, 403);
        assert_eq!(status("http://node.test.evil.test").await, 403);
        assert_eq!(status("null").await, 403);
        assert_eq!(status("http://node.test").await, 101);
        assert_eq!(server.ask("", "").await.status, 101, "no page, no origin");
        server.empty().await;
        let events = server.log.all().into_iter();
        let connected = events.filter(|event| event.what == What::Connected).count();
        assert_eq!(connected, 2, "the refused were no connections");
    });
}

#[test]
fn a_list_of_origins_replaces_the_same_host() {
    run(async {
        let config = Config {
            origins: Origins::List(vec!["https://page.test".into()]),
            ..Config::default()
        };
        let server = Server::start(config).await;
        let status = async |origin: &str| server.ask("", &origin_header(origin)).await.status;
        assert_eq!(status("https://page.test").await, 101);
        assert_eq!(status("http://page.test").await, 403);
        assert_eq!(status("http://node.test").await, 403);
        assert_eq!(server.ask("", "").await.status, 101);
    });
}

#[test]
fn any_origin_is_allowed_if_configured() {
    run(async {
        let config = Config {
            origins: Origins::Any,
            ..Config::default()
        };
        let server = Server::start(config).await;
        let answer = server.ask("", &origin_header("http://evil.test")).await;
        assert_eq!(answer.status, 101);
    });
}

fn origin_header(origin: &str) -> String {
    format!("Origin: {origin}\r\n")
}

/// Implements only what is required.
struct Bare;

impl Handler for Bare {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        connection.emit(message);
    }
}

#[test]
fn a_client_is_registered_without_an_on_connect() {
    run(async {
        let node = Node::new(Hub::new(Config::default()).unwrap(), Bare);
        let hub = node.hub().clone();
        let authorize = |request: tieline::UpgradeRequest| async move {
            let id = tieline::ClientId::new(request.query("id").unwrap()).unwrap();
            Ok(Accept::new(()).id(id))
        };
        let address = serve(node, authorize).await;
        let mut client = Client::connect(address, "id=a").await;
        assert!(hub.online("a"));
        assert_eq!(hub.emit("a", "hello").await, Delivery::Delivered);
        assert_eq!(client.text().await, "hello");
        assert_eq!(hub.broadcast("all").await.delivered, 1);
        assert_eq!(client.text().await, "all");
    });
}

#[test]
fn no_message_is_handled_before_on_connect_has_completed() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = raw::Raw::over(
            tokio::net::TcpStream::connect(server.address)
                .await
                .unwrap(),
        );
        // The message travels in the segment of the request.
        let mut eager = raw::request("/?id=a&connect=wait", "").into_bytes();
        eager.extend(raw::frame(TEXT, b"early"));
        client.write(&eager).await;
        assert_eq!(client.answer().await.status, 101);
        client.send_text("late").await;
        // The outbox is written while `on_connect` waits.
        for i in 0..20 {
            assert!(server.hub.emit("a", i.to_string()).await.is_delivered());
            assert_eq!(client.text().await, i.to_string());
        }
        assert_eq!(server.log.of("a"), [What::Connecting]);

        server.open_gate(1);
        assert_eq!(client.text().await, "early");
        assert_eq!(client.text().await, "late");
        let expected = [
            What::Connecting,
            What::Connected,
            What::Message(Message::Text("early".into())),
            What::Handled,
            What::Message(Message::Text("late".into())),
            What::Handled,
        ];
        server.log.until_of("a", expected[4].clone()).await;
        eventually(|| server.log.of("a").len() == expected.len()).await;
        assert_eq!(server.log.of("a"), expected);
    });
}
