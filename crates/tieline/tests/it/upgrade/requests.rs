//! Upgrade requests, good and bad, and the responses to them.

use std::sync::Arc;

use parking_lot::Mutex;
use tieline::{Accept, Config, Connection, Handler, Hub, Message, Node, UpgradeRequest};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::kit::{
    HttpResponse, Raw, Server,
    raw::{PING, PONG, TEXT, frame, request},
    run, serve,
};

async fn answer_to(server: &Server, request: &str) -> HttpResponse {
    let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
    raw.write(request.as_bytes()).await;
    raw.answer().await
}

#[test]
fn a_good_request_is_answered_as_rfc_6455_says() {
    run(async {
        let server = Server::start(Config::default()).await;
        let answer = server.ask("id=a", "").await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.header("connection"), Some("Upgrade"));
        // The example of RFC 6455, 1.3.
        let accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.header("sec-websocket-accept"), accept);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
    });
}

#[test]
fn an_upgrade_may_come_with_other_requests_before_it() {
    run(async {
        let server = Server::start(Config::default()).await;
        let plain = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        let question = frame(PING, b"are you there?");
        let requests = [plain, plain, plain, &request("/?id=a", "")].concat();
        raw.write(&[requests.as_bytes(), &question].concat()).await;
        for _ in 0..3 {
            assert_eq!(raw.answer().await.status / 100, 4);
        }
        assert_eq!(raw.answer().await.status, 101);
        let answer = raw.frame().await.unwrap();
        assert_eq!(
            (answer.opcode, &*answer.payload),
            (PONG, &b"are you there?"[..])
        );
    });
}

#[test]
fn tokens_are_found_in_lists_and_in_any_case() {
    run(async {
        let server = Server::start(Config::default()).await;
        let good = request("/", "");
        for (from, to) in [
            ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
            ("Connection: Upgrade", "connection: upgrade"),
            ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ] {
            let like_it = good.replace(from, to);
            assert_ne!(like_it, good);
            assert_eq!(answer_to(&server, &like_it).await.status, 101);
        }
    });
}

#[test]
fn bad_requests_get_a_response_that_says_what_is_wrong() {
    run(async {
        let server = Server::start(Config::default()).await;
        let good = request("/", "");
        for (from, to, status, header) in [
            ("GET", "POST", 405, ("allow", "GET")),
            (
                "Upgrade: websocket\r\n",
                "",
                426,
                ("sec-websocket-version", "13"),
            ),
            (
                "Version: 13",
                "Version: 8",
                426,
                ("sec-websocket-version", "13"),
            ),
            ("Connection: Upgrade\r\n", "", 400, PLAIN),
            ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400, PLAIN),
            (
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                "",
                400,
                PLAIN,
            ),
            ("Host: node.test\r\n", "", 400, PLAIN),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let answer = answer_to(&server, &bad).await;
            assert_eq!(answer.status, status, "{bad}");
            assert_eq!(answer.header(header.0), Some(header.1), "{bad}");
            assert!(answer.body.contains(": "), "it says what to do: {answer:?}");
        }
        assert!(server.hub.is_empty());
        server.assert_unharmed().await;
    });
}

const PLAIN: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

#[test]
fn a_connection_without_http_is_closed() {
    run(async {
        let server = Server::start(Config::default()).await;
        for garbage in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..],
            b"hello\r\n\r\n",
            b"\0\0\0\0\r\n\r\n",
        ] {
            let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
            raw.write(garbage).await;
            assert_eq!(raw.answer().await.status, 400);
        }
        server.assert_unharmed().await;
    });
}

#[test]
fn a_request_may_follow_another_on_one_connection() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        let refused = raw.upgrade("/?authorize=refuse", "").await;
        assert_eq!(refused.status, 418);
        let accepted = raw.upgrade("/?id=a", "").await;
        assert_eq!(accepted.status, 101);
        raw.send_text("hello").await;
        assert_eq!(raw.text().await, "hello");
    });
}

#[test]
fn a_refusal_has_the_applications_status_headers_and_body() {
    run(async {
        let server = Server::start(Config::default()).await;
        let answer = server.ask("authorize=refuse", "").await;
        assert_eq!(answer.status, 418);
        assert_eq!(answer.header("x-why"), Some("tea"));
        assert_eq!(answer.header("content-type"), Some(PLAIN.1));
        assert_eq!(answer.body, "short and stout\n");
        assert!(server.log.all().is_empty());
    });
}

#[test]
fn a_subprotocol_is_agreed_on_if_the_client_offered_it() {
    run(async {
        let server = Server::start(Config::default()).await;
        let offer = "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n";
        let (_raw, answer) = Raw::open(server.address, "/?id=a&protocol=chat.v2", offer).await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v2"));
        assert_eq!(server.connection("a").subprotocol(), Some("chat.v2"));
        // One that was not offered must not be named.
        let (_raw, answer) = Raw::open(server.address, "/?id=b&protocol=chat.v3", offer).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert_eq!(server.connection("b").subprotocol(), None);
    });
}

#[test]
fn what_comes_with_the_request_is_not_lost() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        let mut together = request("/?id=a", "").into_bytes();
        together.extend(frame(TEXT, b"first"));
        together.extend(frame(TEXT, b"second"));
        let third = frame(TEXT, b"third");
        together.extend(&third[..7]);
        raw.write(&together).await;
        assert_eq!(raw.answer().await.status, 101);
        assert_eq!(raw.text().await, "first");
        assert_eq!(raw.text().await, "second");
        raw.write(&third[7..]).await;
        assert_eq!(raw.text().await, "third");
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        raw.stream.set_nodelay(true).unwrap();
        let mut bytes = request("/?id=a", "").into_bytes();
        bytes.extend(frame(TEXT, b"slowly"));
        for byte in bytes {
            raw.write(&[byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(raw.answer().await.status, 101);
        assert_eq!(raw.text().await, "slowly");
    });
}

struct Silent;

impl Handler for Silent {
    type State = ();

    async fn on_message(&self, _: &Connection, (): &mut (), _: Message) {}
}

#[test]
fn the_application_sees_path_query_headers_subprotocols_and_remote_address() {
    run(async {
        let node = Node::new(Hub::new(Config::default()).unwrap(), Silent);
        let seen: Arc<Mutex<Option<UpgradeRequest>>> = Arc::default();
        let authorize = {
            let seen = Arc::clone(&seen);
            move |request| {
                *seen.lock() = Some(request);
                async { Ok(Accept::new(())) }
            }
        };
        let address = serve(node, authorize).await;
        let headers = "X-Token: secret\r\nSec-WebSocket-Protocol: a, b\r\n";
        let target = "/room/7?name=J%C3%BCrgen+K&name=other&empty=";
        let (raw, answer) = Raw::open(address, target, headers).await;
        assert_eq!(answer.status, 101);
        let request = seen.lock().take().unwrap();
        assert_eq!(request.path(), "/room/7");
        assert_eq!(request.query("name").as_deref(), Some("Jürgen K"));
        assert_eq!(request.query("empty").as_deref(), Some(""));
        assert_eq!(request.query("missing"), None);
        assert_eq!(request.uri().to_string(), target);
        assert_eq!(request.headers()["x-token"], "secret");
        assert!(request.subprotocols().eq(["a", "b"]));
        let debug = format!("{request:?}");
        assert!(debug.contains("/room/7") && !debug.contains("secret") && !debug.contains("name="));
        assert_eq!(
            request.remote_addr(),
            Some(raw.stream.local_addr().unwrap())
        );
    });
}

#[test]
fn a_panic_in_authorize_affects_no_other_client() {
    run(async {
        let server = Server::start(Config {
            max_connections: Some(1),
            ..Config::default()
        })
        .await;
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        raw.write(request("/?authorize=panic", "").as_bytes()).await;
        raw.end().await;
        server.assert_unharmed().await;
    });
}

#[test]
fn a_client_that_keeps_sending_requests_and_never_reads_is_closed() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: std::time::Duration::from_millis(500),
            ..Config::default()
        })
        .await;
        let mut greedy = Raw::narrow(server.address).await;
        let requests = "GET / HTTP/1.1\r\nHost: node.test\r\n\r\n".repeat(1000);
        // The writes stall once the responses fill the kernel's buffers, then fail.
        while greedy.stream.write_all(requests.as_bytes()).await.is_ok() {}
        server.assert_unharmed().await;
    });
}

#[test]
fn a_slow_body_does_not_keep_a_connection() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: std::time::Duration::from_millis(500),
            ..Config::default()
        })
        .await;
        let mut slow = Raw::over(TcpStream::connect(server.address).await.unwrap());
        let head = "POST / HTTP/1.1\r\nHost: node.test\r\nContent-Length: 1000000\r\n\r\n";
        slow.write(head.as_bytes()).await;
        assert_eq!(slow.answer().await.status, 405);
        while slow.stream.write_all(b"drip").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        server.assert_unharmed().await;
    });
}

#[test]
fn an_accepted_request_may_come_from_any_origin_if_the_application_says_so() {
    run(async {
        let node = Node::new(Hub::new(Config::default()).unwrap(), ());
        let authorize = async |request: UpgradeRequest| {
            let accept = Accept::new(());
            Ok(match request.query("token") {
                Some(_) => accept.any_origin(),
                None => accept,
            })
        };
        let address = serve(node, authorize).await;
        let foreign = "Origin: https://elsewhere.test\r\n";
        assert_eq!(Raw::open(address, "/?token=t", foreign).await.1.status, 101);
        assert_eq!(Raw::open(address, "/", foreign).await.1.status, 403);
    });
}
