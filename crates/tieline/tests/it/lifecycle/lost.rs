//! A connection whose writes fail: what had arrived before is handled, and the failure is reported.

use std::{io::ErrorKind, time::Duration};

use tieline::{CloseReason, Config, ConnectionError, Delivery, Message};

use crate::kit::{
    Server, What, eventually,
    raw::{TEXT, frame},
    run,
};

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

/// A server whose client `a` has sent `!wait` and these texts, and has gone. The handler waits, and a write to
/// the client has failed. `together` in one segment, or each in one of its own, which stays in the kernel.
async fn failed_write(texts: &[&str], together: bool) -> Server {
    let server = Server::start(Config::default()).await;
    let mut client = server.raw("id=a&quiet=1").await;
    // Nothing may wait in the client's kernel, where the reset would discard it.
    client.stream.set_nodelay(true).unwrap();
    let mut bytes = frame(TEXT, b"!wait");
    if !together {
        client.write(&bytes).await;
        server.log.heard("a").await;
        bytes.clear();
    }
    for text in texts {
        bytes.extend(frame(TEXT, text.as_bytes()));
    }
    client.write(&bytes).await;
    server.log.heard("a").await;
    client.reset();
    eventually(|| server.hub.emit("a", "x").try_outcome() == Some(Delivery::Offline)).await;
    server
}

#[test]
fn messages_that_came_before_a_failed_write_are_handled_and_the_failure_is_reported() {
    run(async {
        for together in [true, false] {
            let server = failed_write(&["one", "two", "three"], together).await;
            server.open_gate(1);
            let reason = server.log.end_of("a").await;
            let CloseReason::Lost(kind) = reason else {
                panic!("ended with {reason:?}");
            };
            assert!(
                matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                "{kind:?}"
            );
            let texts = ["!wait", "one", "two", "three"].map(text);
            assert_eq!(server.log.messages("a"), texts, "together: {together}");
            let last: Vec<_> = server.log.of("a").into_iter().rev().take(2).collect();
            let error = What::Error(ConnectionError::Io(kind));
            assert_eq!(last, [What::Disconnect(reason), error]);
            server.assert_unharmed().await;
        }
    });
}

#[test]
fn a_write_that_fails_on_an_idle_connection_is_reported_once() {
    run(async {
        let server = failed_write(&[], true).await;
        server.open_gate(1);
        let CloseReason::Lost(kind) = server.log.end_of("a").await else {
            panic!("not lost");
        };
        let errors = server.log.of("a").into_iter();
        let errors: Vec<_> = errors
            .filter(|what| matches!(what, What::Error(_)))
            .collect();
        assert_eq!(errors, [What::Error(ConnectionError::Io(kind))]);
    });
}

#[test]
fn a_failed_write_does_not_wait_for_a_handler_longer_than_a_close() {
    run(async {
        let server = Server::start(Config {
            close_timeout: Duration::from_millis(300),
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a&quiet=1").await;
        client.send_text("!hang").await;
        server.log.heard("a").await;
        client.send_text("never handled").await;
        client.reset();
        eventually(|| server.hub.emit("a", "x").try_outcome() == Some(Delivery::Offline)).await;
        assert!(matches!(server.log.end_of("a").await, CloseReason::Lost(_)));
        assert_eq!(server.log.messages("a"), [text("!hang")]);
    });
}
