//! The deadline of a close.

use std::time::Instant;

use tieline::{CloseReason, Config};
use tokio::io::AsyncWriteExt;

use super::{close_frame, millis};
use crate::kit::{
    Server, What,
    raw::{TEXT, frame},
    run,
};

fn quick() -> Config {
    Config {
        close_timeout: millis(300),
        ..Config::default()
    }
}

#[test]
fn a_client_that_never_replies_to_a_close_is_dropped_at_the_deadline() {
    run(async {
        let server = Server::start(quick()).await;
        let mut client = server.raw("id=a").await;
        let begun = Instant::now();
        server.connection("a").close(close_frame(4000));
        assert_eq!(client.closed().await, 4000);
        client.end().await;
        let elapsed = begun.elapsed();
        assert!(elapsed >= millis(300), "left after {elapsed:?}");
        server.empty().await;
        let reason = CloseReason::Application(close_frame(4000));
        assert_eq!(server.log.disconnects("a"), [reason]);
        server.assert_unharmed().await;
    });
}

#[test]
fn a_client_that_replies_to_a_close_is_not_waited_for() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(60_000),
            drain_timeout: millis(120_000),
            ..Config::default()
        })
        .await;
        let client = server.client("id=a").await;
        server.connection("a").close(close_frame(4000));
        assert_eq!(client.closed().await, Some(4000));
        server.empty().await;
    });
}

#[test]
fn a_client_that_keeps_sending_is_dropped_at_the_deadline() {
    run(async {
        let server = Server::start(quick()).await;
        let mut client = server.raw("id=a").await;
        server.connection("a").close(close_frame(4000));
        // A write fails once the server is gone.
        let bytes = frame(TEXT, b"but still");
        while client.stream.write_all(&bytes).await.is_ok() {
            tokio::task::yield_now().await;
        }
        server.empty().await;
        assert!(
            server.log.messages("a").is_empty(),
            "nobody listens any more"
        );
        assert_eq!(server.log.disconnects("a").len(), 1);
    });
}

#[test]
fn a_handler_that_never_ends_is_dropped_at_the_deadline() {
    run(async {
        let server = Server::start(quick()).await;
        let mut client = server.raw("id=a").await;
        client.send_text("!hang").await;
        server
            .log
            .until(|events| {
                events
                    .iter()
                    .find(|e| matches!(e.what, What::Message(_)))
                    .map(drop)
            })
            .await;
        let begun = Instant::now();
        server.connection("a").close(close_frame(4000));
        assert_eq!(client.closed().await, 4000);
        let reason = CloseReason::Application(close_frame(4000));
        assert_eq!(server.log.end_of("a").await, reason);
        let elapsed = begun.elapsed();
        assert!(elapsed >= millis(300), "dropped after {elapsed:?}");
        server.empty().await;
        assert_eq!(server.log.disconnects("a"), [reason]);
        assert!(!server.log.of("a").contains(&What::Handled));
        server.assert_unharmed().await;
    });
}

#[test]
fn a_handler_that_ends_in_time_is_not_dropped() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        client.send_text("!wait").await;
        server
            .log
            .until(|events| {
                events
                    .iter()
                    .find(|e| matches!(e.what, What::Message(_)))
                    .map(drop)
            })
            .await;
        server.connection("a").close(close_frame(4000));
        assert_eq!(client.closed().await, 4000);
        server.open_gate(1);
        client.send_close(4000).await;
        client.end().await;
        server.empty().await;
        let last_two = server.log.of("a").split_off(3);
        let reason = CloseReason::Application(close_frame(4000));
        assert_eq!(last_two, [What::Handled, What::Disconnect(reason)]);
    });
}

#[test]
fn callbacks_that_never_end_do_not_keep_a_connection() {
    run(async {
        let server = Server::start(quick()).await;
        for callback in ["connect", "disconnect"] {
            let client = server.raw(&format!("id={callback}&{callback}=hang")).await;
            server.connection(callback).close(close_frame(4000));
            drop(client);
            server.empty().await;
            assert_eq!(server.log.disconnects(callback).len(), 1);
        }
        server.assert_unharmed().await;
    });
}

#[test]
fn a_handler_that_never_ends_is_dropped_once_its_client_is_gone() {
    run(async {
        let server = Server::start(quick()).await;
        let mut client = server.raw("id=a").await;
        client.send_text("!hang").await;
        server.log.heard("a").await;
        client.reset();
        // Nothing is read meanwhile; a write finds out.
        let connection = server.connection("a");
        while connection.is_open() {
            connection.emit("are you there?");
            tokio::task::yield_now().await;
        }
        server.empty().await;
        let disconnects = server.log.disconnects("a");
        assert!(matches!(disconnects[..], [CloseReason::Lost(_)]));
    });
}
