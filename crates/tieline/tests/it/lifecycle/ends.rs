//! Every way to end: `on_disconnect` runs once, last, with the typed reason.

use std::{io::ErrorKind, time::Duration};

use tieline::{CloseReason, Config, ConnectionError, ProtocolError};
use tokio::io::AsyncWriteExt;

use super::close_frame;
use crate::kit::{
    Raw, Server, What,
    raw::{CLOSE, TEXT, frame_with},
    run,
};

/// After the end of the only connection, which had the id `a`.
async fn assert_ended_once(server: &Server, reason: CloseReason) {
    server.empty().await;
    assert_eq!(server.log.disconnects("a"), std::slice::from_ref(&reason));
    assert_eq!(
        server.log.of("a").last(),
        Some(&What::Disconnect(reason)),
        "it is the last"
    );
    assert!(!server.hub.online("a"));
    server.assert_unharmed().await;
}

fn errors(server: &Server) -> Vec<ConnectionError> {
    let error = |what| match what {
        What::Error(error) => Some(error),
        _ => None,
    };
    server.log.of("a").into_iter().filter_map(error).collect()
}

async fn start() -> (Server, Raw) {
    let server = Server::start(Config {
        close_timeout: Duration::from_millis(300),
        ..Config::default()
    })
    .await;
    let raw = server.raw("id=a").await;
    (server, raw)
}

#[test]
fn the_client_closes_with_a_code() {
    run(async {
        let (server, mut client) = start().await;
        client.send(CLOSE, b"\x0f\xa1bye").await;
        assert_eq!(client.closed().await, 4001, "the code comes back");
        client.end().await;
        let reason = CloseReason::Client(Some(close_frame(4001, "bye")));
        assert_eq!(reason.code(), 4001);
        assert_ended_once(&server, reason).await;
        assert!(errors(&server).is_empty(), "a normal close is no error");
    });
}

#[test]
fn the_client_closes_without_a_code() {
    run(async {
        let (server, mut client) = start().await;
        client.send(CLOSE, b"").await;
        let echo = client.frame().await.unwrap();
        assert_eq!((echo.opcode, echo.payload.len()), (CLOSE, 0));
        client.end().await;
        assert_eq!(CloseReason::Client(None).code(), 1005);
        assert_ended_once(&server, CloseReason::Client(None)).await;
    });
}

#[test]
fn a_library_closes() {
    run(async {
        let (server, raw) = start().await;
        drop(raw);
        server.empty().await;
        let client = server.client("id=library").await;
        assert!(client.close(3000).await.is_empty());
        let reason = CloseReason::Client(Some(close_frame(3000, "bye")));
        assert_eq!(server.log.end_of("library").await, reason);
    });
}

#[test]
fn the_client_ends_the_stream() {
    run(async {
        let (server, client) = start().await;
        drop(client);
        let reason = CloseReason::Lost(ErrorKind::UnexpectedEof);
        assert_eq!(reason.code(), 1006);
        assert_ended_once(&server, reason).await;
        assert!(errors(&server).is_empty());
    });
}

#[test]
fn the_client_ends_its_half_of_the_stream() {
    run(async {
        let (server, mut client) = start().await;
        client.stream.shutdown().await.unwrap();
        client.end().await;
        let reason = CloseReason::Lost(ErrorKind::UnexpectedEof);
        assert_ended_once(&server, reason).await;
    });
}

#[test]
fn a_reply_reaches_a_client_that_has_ended_its_half_of_the_stream() {
    run(async {
        let (server, mut client) = start().await;
        client.send_text("last words").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.text().await, "last words");
        client.end().await;
        let reason = CloseReason::Lost(ErrorKind::UnexpectedEof);
        assert_ended_once(&server, reason).await;
    });
}

#[test]
fn the_connection_is_reset() {
    run(async {
        let (server, client) = start().await;
        client.reset();
        let reason = CloseReason::Lost(ErrorKind::ConnectionReset);
        assert_ended_once(&server, reason).await;
        let error = ConnectionError::Io(ErrorKind::ConnectionReset);
        assert_eq!(errors(&server), [error]);
    });
}

#[test]
fn the_client_is_gone_while_it_is_sent_to() {
    run(async {
        let (server, client) = start().await;
        let connection = server.connection("a");
        client.reset();
        while connection.is_open() {
            connection.emit("are you there?").await;
            tokio::task::yield_now().await;
        }
        server.empty().await;
        let disconnects = server.log.disconnects("a");
        assert!(matches!(disconnects[..], [CloseReason::Lost(_)]));
        server.assert_unharmed().await;
    });
}

#[test]
fn the_application_closes() {
    run(async {
        let (server, mut client) = start().await;
        let frame = close_frame(4002, "go");
        server.connection("a").close(frame.clone());
        let close = client.frame().await.unwrap();
        assert_eq!(
            (close.opcode, &close.payload[..]),
            (CLOSE, &b"\x0f\xa2go"[..])
        );
        client.send_close(4002).await;
        client.end().await;
        assert_ended_once(&server, CloseReason::Application(frame)).await;
    });
}

#[test]
fn the_hub_closes_with_1001() {
    run(async {
        let (server, mut client) = start().await;
        server.hub.close();
        assert_eq!(client.closed().await, 1001);
        client.send_close(1001).await;
        client.end().await;
        let reason = CloseReason::Application(close_frame(1001, "server shutting down"));
        assert_ended_once(&server, reason).await;
    });
}

#[test]
fn the_node_drains_with_1012() {
    run(async {
        let (server, mut client) = start().await;
        let (drained, code) = tokio::join!(server.node.drain(), async {
            let code = client.closed().await;
            client.send_close(1012).await;
            code
        });
        assert_eq!((drained.closed, drained.remaining, code), (1, 0, 1012));
        assert_eq!(server.log.disconnects("a"), [CloseReason::Drain]);
    });
}

#[test]
fn the_client_violates_the_protocol() {
    run(async {
        let unmasked = b"\x81\x02hi".to_vec();
        let not_utf8 = frame_with(0x80 | TEXT, b"\xff");
        let no_such_code = frame_with(0x80 | CLOSE, &1005_u16.to_be_bytes());
        let compressed = frame_with(0x80 | 0x40 | TEXT, b"not agreed on");
        for (bytes, code, error) in [
            (unmasked, 1002, ProtocolError::Unmasked),
            (not_utf8, 1007, ProtocolError::InvalidUtf8),
            (no_such_code, 1002, ProtocolError::InvalidCloseCode(1005)),
            (compressed, 1002, ProtocolError::ReservedBits),
        ] {
            let (server, mut client) = start().await;
            client.send_text("in order").await;
            client.write(&bytes).await;
            // What follows is read, or the close frame might be lost, but not handled.
            client.send_text("too late").await;
            assert_eq!(client.text().await, "in order");
            assert_eq!(client.closed().await, code);
            client.end().await;
            drop(client);
            assert_ended_once(&server, CloseReason::Protocol(error.clone())).await;
            assert_eq!(errors(&server), [ConnectionError::Protocol(error)]);
            assert_eq!(server.log.messages("a").len(), 1);
        }
    });
}

#[test]
fn a_callback_panics() {
    run(async {
        for (query, message) in [("connect=panic", None), ("", Some("!panic"))] {
            let (server, first) = start().await;
            drop(first);
            server.empty().await;
            let mut neighbour = server.raw("id=neighbour").await;
            let mut client = server.raw(&format!("id=b&{query}")).await;
            if let Some(message) = message {
                client.send_text(message).await;
                client.send_text("not handled").await;
            }
            assert_eq!(client.closed().await, 1011);
            client.send_close(1011).await;
            client.end().await;
            neighbour.send_text("well").await;
            assert_eq!(neighbour.text().await, "well");
            drop(neighbour);
            server.empty().await;
            let last_two = server
                .log
                .of("b")
                .split_off(if message.is_some() { 3 } else { 1 });
            let expected = [
                What::Error(ConnectionError::Panic),
                What::Disconnect(CloseReason::Panic),
            ];
            assert_eq!(last_two, expected);
        }
    });
}

#[test]
fn a_callback_panics_at_the_end() {
    run(async {
        let (server, client) = start().await;
        drop(client);
        for callback in ["error", "disconnect"] {
            let query = format!("id={callback}&{callback}=panic");
            let mut client = server.raw(&query).await;
            client.send_text("!panic").await;
            assert_eq!(client.closed().await, 1011);
            client.send_close(1011).await;
            client.end().await;
            server.empty().await;
            assert_eq!(server.log.disconnects(callback), [CloseReason::Panic]);
        }
        server.assert_unharmed().await;
    });
}

#[test]
fn the_first_reason_stays() {
    run(async {
        let (server, mut client) = start().await;
        let connection = server.connection("a");
        connection.close(close_frame(4001, ""));
        let mut newer = server.raw("id=a").await;
        server.hub.close();
        assert_eq!(client.closed().await, 4001);
        // Instead of answering, it breaks the protocol, then the stream.
        client.write(b"\x81\x02hi").await;
        client.reset();
        assert_eq!(newer.closed().await, 1001);
        newer.send_close(1001).await;
        newer.end().await;
        server.empty().await;
        let of_first = CloseReason::Application(close_frame(4001, ""));
        let of_second = CloseReason::Application(close_frame(1001, "server shutting down"));
        let disconnects = server.log.disconnects("a");
        assert_eq!(disconnects.len(), 2);
        assert!(disconnects.contains(&of_first));
        assert!(disconnects.contains(&of_second));
    });
}
