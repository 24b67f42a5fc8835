//! Messages in pieces, beside what else is sent and who else sends.

use std::time::Duration;

use futures_util::FutureExt;
use tieline::{Config, SendError, SlowConsumer, WriteOutcome};
use tokio::time::timeout;

use crate::kit::{
    Server, eventually,
    fragments::{expect, next},
    raw::BINARY,
    run,
};

#[test]
fn a_policy_that_discards_messages_leaves_one_in_pieces_whole() {
    run(async {
        const OUTBOX: usize = 1024 * 1024;
        let server = Server::start(Config {
            outbox_bytes: OUTBOX,
            message_size: OUTBOX - 1,
            slow_consumer: SlowConsumer::DropOldest,
            ..Config::default()
        })
        .await;
        let mut client = server.narrow("id=a&quiet=1").await;
        let connection = server.connection("a");
        // Until the socket takes no more, so that fragments wait in the outbox.
        let mut message = connection.stream_binary().await.unwrap();
        let mut written = 0;
        while connection.queued().1 < OUTBOX / 4 {
            message.write(vec![7; 60_000]).await.unwrap();
            written += 60_000;
        }
        message.finish().unwrap();
        let mut first = connection.emit_tracked("x".repeat(OUTBOX / 2));
        let last = "y".repeat(OUTBOX / 2);
        drop(connection.emit(last.clone()));
        assert_eq!(first.written().await, WriteOutcome::Discarded);
        let got = next(&mut client, &mut Vec::new()).await;
        assert_eq!((got.opcode, got.payload.len()), (BINARY, written));
        expect(&mut client, &[&last]).await;
        eventually(|| connection.queued() == (0, 0)).await;
    });
}

#[test]
fn a_writer_that_sends_beside_its_message_does_not_wait_for_those_who_wait_for_its_end() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let mut first = connection.stream_text().await.unwrap();
        first.write("first").await.unwrap();
        let mut second = Box::pin(connection.stream_text());
        assert!((&mut second).now_or_never().is_none());
        let beside = timeout(Duration::from_secs(5), async {
            connection.ready().await.unwrap();
            connection.send("beside").await.unwrap();
        });
        beside.await.expect("nothing is before it");
        first.finish().unwrap();
        second.await.unwrap().finish().unwrap();
        expect(&mut client, &["first", "beside", ""]).await;
    });
}

#[test]
fn outside_of_a_runtime_no_message_begins() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let other = connection.clone();
        let outside = std::thread::spawn(move || other.stream_text().now_or_never().is_some());
        assert!(outside.join().is_err());
        drop(connection.emit("not held"));
        let got = timeout(Duration::from_secs(5), next(&mut client, &mut Vec::new())).await;
        assert_eq!(got.expect("nothing is before it").text(), "not held");
    });
}

/// More than one call serves by itself, so that their messages leave in batches.
const CROWD: usize = 40;

#[test]
fn batches_wait_for_the_end_of_a_message_in_pieces() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut crowd = server.crowd("client", CROWD, "quiet=1").await;
        let connection = server.connection("client0");
        let mut message = connection.stream_text().await.unwrap();
        message.write("begun, ").await.unwrap();
        let hub = connection.hub();
        let receipts = ["one", "two", "three"].map(|text| hub.broadcast(text));
        for receipt in receipts {
            assert_eq!(receipt.await.delivered, CROWD as u64);
        }
        expect(&mut crowd[1], &["one", "two", "three"]).await;
        assert_eq!(connection.queued().0, 3);
        message.write("ended").await.unwrap();
        message.finish().unwrap();
        let texts = ["begun, ended", "one", "two", "three"];
        expect(&mut crowd[0], &texts).await;
    });
}

#[test]
fn a_message_may_follow_directly_on_another() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let mut message = connection.stream_text().await.unwrap();
        message.write("first").await.unwrap();
        drop(connection.emit("held"));
        message.next_message().unwrap();
        drop(connection.emit("held, too"));
        expect(&mut client, &["first"]).await;
        message.write("second, ").await.unwrap();
        message.write(&b"tw\xc3"[..]).await.unwrap();
        assert_eq!(message.next_message(), Err(SendError::InvalidText));
        message.write(&b"\xb6"[..]).await.unwrap();
        message.next_message().unwrap();
        message.next_message().unwrap();
        expect(&mut client, &["second, twö", ""]).await;
        assert_eq!(connection.queued().0, 2);
        // Nothing of this one was sent, so that it leaves nothing behind.
        drop(message);
        expect(&mut client, &["held", "held, too"]).await;
    });
}
