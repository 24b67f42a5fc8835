//! How long HTTP connections may wait, and which of them make room for others.

use std::time::{Duration, Instant};

use tieline::Config;
use tokio::net::{TcpSocket, TcpStream};

use super::millis;
use crate::kit::{Raw, Server, eventually, raw::request, run};

async fn connect(server: &Server) -> Raw {
    Raw::over(TcpStream::connect(server.address).await.unwrap())
}

/// A connection that has had one request answered, and is kept.
async fn kept(server: &Server) -> Raw {
    let mut raw = connect(server).await;
    assert_eq!(raw.upgrade("/?authorize=refuse", "").await.status, 418);
    raw
}

fn with_places(max_handshakes: usize) -> Config {
    Config {
        max_handshakes: Some(max_handshakes),
        // Far longer than the tests may take: only the lack of places closes a connection.
        handshake_timeout: Duration::from_secs(100),
        ..Config::default()
    }
}

#[test]
fn a_kept_http_connection_outlasts_the_handshake_timeout() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: millis(500),
            ..Config::default()
        })
        .await;
        let mut raw = kept(&server).await;
        // As a proxy that keeps its connections for later requests.
        tokio::time::sleep(millis(1500)).await;
        assert_eq!(raw.upgrade("/?authorize=refuse", "").await.status, 418);
        tokio::time::sleep(millis(1500)).await;
        assert_eq!(raw.upgrade("/?id=a", "").await.status, 101);
        raw.send_text("well").await;
        assert_eq!(raw.text().await, "well");
    });
}

#[test]
fn an_idle_http_connection_is_closed_at_its_own_timeout() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: millis(10),
            http_idle_timeout: millis(500),
            ..Config::default()
        })
        .await;
        let mut raw = kept(&server).await;
        let begun = Instant::now();
        raw.end().await;
        let elapsed = begun.elapsed();
        assert!(elapsed >= millis(400), "closed after {elapsed:?}");
        server.assert_unharmed().await;
    });
}

#[test]
fn a_later_request_has_the_handshake_timeout_from_its_first_byte() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: millis(500),
            ..Config::default()
        })
        .await;
        let mut raw = kept(&server).await;
        tokio::time::sleep(millis(1000)).await;
        raw.write(b"GET / HTTP/1.1\r\n").await;
        let begun = Instant::now();
        raw.end().await;
        let elapsed = begun.elapsed();
        assert!(elapsed >= millis(400), "closed after {elapsed:?}");
        server.assert_unharmed().await;
    });
}

#[test]
fn a_decision_has_a_deadline_of_its_own() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: millis(500),
            ..Config::default()
        })
        .await;
        let mut raw = connect(&server).await;
        raw.write(request("/?id=a&authorize=wait", "").as_bytes())
            .await;
        tokio::time::sleep(millis(1500)).await;
        server.open_gate(1);
        assert_eq!(raw.answer().await.status, 101);
        raw.send_text("well").await;
        assert_eq!(raw.text().await, "well");
    });
}

#[test]
fn the_oldest_silent_connection_makes_room() {
    run(async {
        let server = Server::start(with_places(2)).await;
        let mut oldest = connect(&server).await;
        // The one after it is accepted later, or the order would be open.
        server.assert_unharmed().await;
        let mut younger = connect(&server).await;
        let mut newcomer = server.raw("id=newcomer").await;
        oldest.end().await;
        newcomer.send_text("well").await;
        assert_eq!(newcomer.text().await, "well");
        // The younger one has kept its place.
        assert_eq!(younger.upgrade("/?id=younger", "").await.status, 101);
    });
}

#[test]
fn an_idle_http_connection_makes_room() {
    run(async {
        let server = Server::start(with_places(2)).await;
        let (mut first, mut second) = (kept(&server).await, kept(&server).await);
        for _ in 0..2 {
            server.assert_unharmed().await;
        }
        first.end().await;
        // One place was enough for the newcomers, as each left it with its upgrade.
        assert_eq!(
            second.upgrade("/?authorize=refuse", "").await.status,
            418,
            "the second was closed without need"
        );
    });
}

#[test]
fn a_crowd_that_connects_at_once_does_not_push_itself_out() {
    run(async {
        let server = Server::start(with_places(2)).await;
        let mut crowd = Vec::new();
        for i in 0..100 {
            let mut raw = connect(&server).await;
            raw.write(request(&format!("/?id=c{i}"), "").as_bytes())
                .await;
            crowd.push(raw);
        }
        for raw in &mut crowd {
            assert_eq!(raw.answer().await.status, 101);
        }
    });
}

#[test]
fn a_request_in_progress_keeps_its_place() {
    run(async {
        let server = Server::start(with_places(1)).await;
        let mut busy = connect(&server).await;
        busy.write(request("/?id=busy&authorize=wait", "").as_bytes())
            .await;
        eventually(|| server.node.handler().is_deciding()).await;
        let waiting = server.raw("id=waiting");
        tokio::pin!(waiting);
        // Longer than a connection has to wait before it can be pushed out.
        let early = tokio::time::timeout(millis(3000), &mut waiting).await;
        assert!(early.is_err(), "a busy connection was pushed out");
        server.open_gate(1);
        assert_eq!(busy.answer().await.status, 101);
        let mut waiting = waiting.await;
        for client in [&mut busy, &mut waiting] {
            client.send_text("well").await;
            assert_eq!(client.text().await, "well");
        }
    });
}

#[test]
fn an_address_has_as_many_places_as_allowed_and_others_have_theirs() {
    run(async {
        let server = Server::start(Config {
            max_handshakes_per_address: Some(2),
            ..with_places(10)
        })
        .await;
        // Upgraded connections do not count.
        let _upgraded = server.crowd("c", 5, "").await;
        let (mut first, _second) = (connect(&server).await, connect(&server).await);
        connect(&server).await.end().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = Raw::over(socket.connect(server.address).await.unwrap());
        assert_eq!(other.upgrade("/?id=other", "").await.status, 101);
        // Each one that ends or is upgraded makes room for another.
        assert_eq!(first.upgrade("/?id=first", "").await.status, 101);
        server.assert_unharmed().await;
    });
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the node shares this thread, which must be too busy to read"
)]
fn a_busy_node_pushes_out_no_client_whose_request_has_arrived() {
    run(async {
        let server = Server::start(with_places(1)).await;
        let mut first = connect(&server).await;
        let whole = request("/?id=first", "");
        let (half, rest) = whole.split_at(20);
        first.write(half.as_bytes()).await;
        // The node has read half a request: the write is the last thing that this thread did.
        tokio::time::sleep(millis(50)).await;
        let mut second = connect(&server).await;
        second.write(request("/?id=second", "").as_bytes()).await;
        first.write(rest.as_bytes()).await;
        std::thread::sleep(millis(3000));
        assert_eq!(first.answer().await.status, 101);
        assert_eq!(second.answer().await.status, 101);
    });
}
