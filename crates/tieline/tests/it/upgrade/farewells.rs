//! Clients that are refused after the upgrade.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tieline::{CloseReason, Config};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

#[cfg(feature = "tls")]
use crate::kit::Secure;
use crate::kit::{
    Raw, Server, Stopwatch, eventually,
    raw::{BINARY, CLOSE, TEXT, frame, request},
    run, run_threads,
};

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// No client is dropped because it takes its time.
fn patient() -> Config {
    Config {
        close_timeout: Duration::from_mins(10),
        drain_timeout: Duration::from_mins(11),
        ..Config::default()
    }
}

/// The message, the code and the reason that a client is told.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>) -> (String, u16, String) {
    let message = client.text().await;
    let close = client.frame().await.unwrap();
    assert_eq!(close.opcode, CLOSE);
    let (code, reason) = close.payload.split_first_chunk().unwrap();
    let reason = String::from_utf8(reason.to_vec()).unwrap();
    (message, u16::from_be_bytes(*code), reason)
}

fn words(code: u16, reason: &str) -> (String, u16, String) {
    (format!("farewell {code}"), code, reason.to_owned())
}

/// Answers the close, after which nothing comes but the end.
async fn leave<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>, code: u16) {
    client.send_close(code).await;
    client.end().await;
}

/// A client that is turned away by the application, and has been told so.
async fn turned_away(server: &Server) -> Raw {
    let (mut client, answer) = Raw::open(server.address, "/?authorize=farewell", "").await;
    assert_eq!(answer.status, 101);
    assert_eq!(told(&mut client).await, words(4001, "nobody here"));
    client
}

fn assert_nobody_came(server: &Server) {
    assert!(server.log.all().is_empty());
    assert!(server.hub.is_empty());
    assert_eq!(server.hub.stats().connections, 0);
}

#[test]
fn a_refused_client_gets_a_message_and_a_close() {
    run(async {
        let server = Server::start(patient()).await;
        let mut client = turned_away(&server).await;
        leave(&mut client, 4001).await;
        // What it has sent meanwhile does not matter, nor whether it comes with the request.
        let mut eager = Raw::over(TcpStream::connect(server.address).await.unwrap());
        let mut together = request("/?authorize=farewell", "").into_bytes();
        together.extend(frame(TEXT, b"hello?"));
        eager.write(&together).await;
        assert_eq!(eager.answer().await.status, 101);
        assert_eq!(told(&mut eager).await, words(4001, "nobody here"));
        eager.send(BINARY, &vec![0; 100_000]).await;
        leave(&mut eager, 1000).await;
        // One that ends without a close is gone, too.
        turned_away(&server).await.reset();
        let mut half = turned_away(&server).await;
        half.stream.shutdown().await.unwrap();
        half.end().await;
        assert_nobody_came(&server);
        server.assert_unharmed().await;
    });
}

#[test]
fn the_subprotocol_that_is_offered_is_agreed_on() {
    run(async {
        let server = Server::start(Config {
            max_connections: Some(1),
            ..Config::default()
        })
        .await;
        let offer = "Sec-WebSocket-Protocol: one, two\r\n";
        let agreed = async |query| {
            let answer = server.ask(query, offer).await;
            assert_eq!(answer.status, 101);
            let agreed = answer.header("sec-websocket-protocol");
            agreed.map(str::to_owned)
        };
        // Browsers fail a connection that agrees on none.
        assert_eq!(agreed("authorize=farewell").await.unwrap(), "one");
        let _only = server.raw("id=a").await;
        assert_eq!(agreed("told=1&protocol=two").await.unwrap(), "two");
        assert_eq!(agreed("told=1&protocol=three").await.unwrap(), "one");
        let answer = server.ask("authorize=farewell", "").await;
        assert_eq!(answer.header("sec-websocket-protocol"), None);
    });
}

#[test]
fn whom_the_node_refuses_is_told_too() {
    run(async {
        let server = Server::start(Config {
            max_connections: Some(1),
            ..Config::default()
        })
        .await;
        let origin = "Origin: http://elsewhere.test\r\n";
        let (mut foreign, answer) = Raw::open(server.address, "/?told=1", origin).await;
        assert_eq!(answer.status, 101);
        assert_eq!(told(&mut foreign).await, words(4403, "not here"));
        leave(&mut foreign, 1000).await;

        let mut only = server.raw("id=a").await;
        let (mut newcomer, answer) = Raw::open(server.address, "/?told=1", "").await;
        assert_eq!(answer.status, 101);
        assert_eq!(told(&mut newcomer).await, words(4503, "not here"));
        leave(&mut newcomer, 4503).await;
        // Others get the status as ever, and the connection notices nothing.
        assert_eq!(server.ask("id=b", "").await.status, 503);
        only.send_text("alone").await;
        assert_eq!(only.text().await, "alone");
        assert_eq!(server.hub.len(), 1);
    });
}

#[test]
fn newcomers_are_told_until_the_drain_ends() {
    run_threads(2, async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            close_timeout: millis(15_000),
            drain_timeout: millis(20_000),
            ..Config::default()
        })
        .await;
        let mut last = server.raw("id=a").await;
        let drain = tokio::spawn({
            let node = server.node.clone();
            async move { node.drain().await }
        });
        assert_eq!(last.closed().await, 1012);
        // The last client takes its time, and newcomers go on coming.
        for _ in 0..3 {
            let (mut newcomer, answer) = Raw::open(server.address, "/?told=1", "").await;
            assert_eq!(answer.status, 101);
            assert_eq!(told(&mut newcomer).await, words(4503, "not here"));
            leave(&mut newcomer, 4503).await;
        }
        let mut slow = turned_away(&server).await;
        assert!(!drain.is_finished());
        last.send_close(1012).await;
        last.end().await;
        eventually(|| server.hub.is_empty()).await;
        leave(&mut slow, 4001).await;
        let drained = drain.await.unwrap();
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert_eq!(server.ask("told=1", "").await.status, 503);
        assert_eq!(server.ask("authorize=farewell", "").await.status, 404);
        assert_eq!(server.log.disconnects("a"), [CloseReason::Drain]);
    });
}

#[test]
fn whom_a_drain_waits_for_at_its_end_are_those_that_are_being_told() {
    run_threads(2, async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            close_timeout: millis(1000),
            drain_timeout: millis(10_000),
            ..Config::default()
        })
        .await;
        // They never answer, and are none of those that remain.
        let (begun, watch) = (Instant::now(), Stopwatch::start());
        let mut stuck = [turned_away(&server).await, turned_away(&server).await];
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (0, 0));
        assert!(begun.elapsed() >= millis(1000));
        assert!(watch.elapsed() < millis(5000));
        join_all(stuck.iter_mut().map(Raw::end)).await;
    });
}

#[test]
fn a_client_that_never_closes_is_dropped_in_time() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(300),
            ..Config::default()
        })
        .await;
        let watch = Stopwatch::start();
        let mut client = turned_away(&server).await;
        client.end().await;
        assert!(watch.elapsed() < millis(2000));
        assert_nobody_came(&server);
    });
}

#[test]
fn a_client_that_floods_is_cut_off() {
    run(async {
        let server = Server::start(patient()).await;
        let mut client = turned_away(&server).await;
        let flood = frame(BINARY, &vec![7; 32 * 1024]);
        while client.stream.write_all(&flood).await.is_ok() {}
        // Also one whose message never ends.
        let mut client = turned_away(&server).await;
        let endless = [
            &[0x82, 0xff, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0; 4],
        ];
        client.write(&endless.concat()).await;
        while client.stream.write_all(&flood).await.is_ok() {}
        server.assert_unharmed().await;
    });
}

#[test]
fn beyond_a_quarter_of_the_handshakes_clients_get_the_status() {
    run(async {
        let server = Server::start(Config {
            max_handshakes: Some(8),
            ..patient()
        })
        .await;
        let mut first = turned_away(&server).await;
        let _second = turned_away(&server).await;
        let answer = server.ask("authorize=farewell", "").await;
        assert_eq!((answer.status, &*answer.body), (404, "nobody here\n"));
        leave(&mut first, 4001).await;
        while server.ask("authorize=farewell", "").await.status != 101 {}
        // They take no place of a connection.
        server.assert_unharmed().await;
    });
}

#[test]
#[cfg(feature = "tls")]
fn over_tls_a_refused_client_gets_the_same() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut client = server.client("authorize=farewell").await;
        assert_eq!(told(&mut client).await, words(4001, "nobody here"));
        leave(&mut client, 4001).await;
        assert!(server.node.hub().is_empty());
    });
}
