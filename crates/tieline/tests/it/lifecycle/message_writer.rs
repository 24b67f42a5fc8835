//! Messages that the application sends in pieces.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tieline::{
    Config, Connection, Deflate, Delivery, SendError, SlowConsumer, TrackedReceipt, WriteOutcome,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::kit::{
    Raw, Server, close_frame, eventually,
    fragments::{expect, next},
    raw::{BINARY, CLOSE, PING, PONG},
    run, run_threads,
};

const OUTBOX: usize = 1024 * 1024;

async fn interleave<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Raw<S>,
    connection: &Connection,
) {
    let hub = connection.hub();
    drop(connection.emit("before"));
    let mut message = connection.stream_text().await.unwrap();
    let mut held = connection.emit_tracked("held");
    message.write("one, ").await.unwrap();
    drop(hub.broadcast("for all"));
    // Within a character.
    message.write(Bytes::from_static(b"tw\xc3")).await.unwrap();
    message.write("").await.unwrap();
    drop(connection.emit("last"));
    connection.send("sent").await.unwrap();
    client.send(PING, b"alive?").await;
    expect(client, &["before"]).await;
    eventually(|| hub.stats().traffic.bytes_in > 0).await;
    message.write(Bytes::from_static(b"\xb6")).await.unwrap();
    assert_eq!(held.written().now_or_never(), None);
    message.finish().unwrap();
    let mut between = Vec::new();
    let got = next(client, &mut between).await;
    assert_eq!((got.text(), got.fragments), ("one, twö", 4));
    if between.is_empty() {
        assert_eq!(next(client, &mut between).await.opcode, PONG);
    } else {
        assert_eq!(between, [PONG]);
    }
    expect(client, &["held", "for all", "last", "sent"]).await;
    assert_eq!(held.written().await, WriteOutcome::Written);
    let empty = connection.stream_binary().await.unwrap();
    empty.finish().unwrap();
    let got = next(client, &mut between).await;
    assert_eq!((got.opcode, got.payload.len()), (BINARY, 0));
}

#[test]
fn a_message_in_pieces_is_one_for_the_client_and_others_wait_for_its_end() {
    run(async {
        for compression in [None, Some(Deflate::default())] {
            let server = Server::start(Config {
                compression,
                ..Config::default()
            })
            .await;
            let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
            let (mut client, _) = Raw::open(server.address, "/?id=a&quiet=1", extension).await;
            interleave(&mut client, &server.connection("a")).await;
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_too() {
    run(async {
        let server = crate::kit::Secure::start(Config::default()).await;
        let mut client = server.narrow("id=a&quiet=1").await;
        let connection = server.node.hub().connection("a").unwrap();
        interleave(&mut client, &connection).await;
    });
}

fn narrow_config(slow_consumer: SlowConsumer) -> Config {
    Config {
        outbox_bytes: OUTBOX,
        message_size: OUTBOX - 1,
        slow_consumer,
        ..Config::default()
    }
}

#[test]
fn a_long_message_to_a_slow_client_takes_half_an_outbox() {
    run_threads(2, async {
        const PIECES: u32 = 200;
        let server = Server::start(narrow_config(SlowConsumer::Disconnect)).await;
        let mut client = server.narrow("id=a&quiet=1").await;
        let connection = server.connection("a");
        let writing = tokio::spawn(async move {
            let mut message = connection.stream_binary().await.unwrap();
            for n in 0..PIECES {
                let piece = n.to_be_bytes().repeat(30_000);
                message.write(piece).await.unwrap();
                let (_, bytes) = connection.queued();
                assert!(bytes <= OUTBOX / 2 + 65 * 1024, "{bytes} bytes");
            }
            message.finish().unwrap();
            connection
        });
        let got = next(&mut client, &mut Vec::new()).await;
        assert!(got.fragments > 2 * PIECES as usize);
        let expected = (0..PIECES).flat_map(|n| n.to_be_bytes().repeat(30_000));
        assert!(got.payload.into_iter().eq(expected));
        let connection = writing.await.unwrap();
        drop(connection.emit("after"));
        expect(&mut client, &["after"]).await;
        assert_eq!(connection.queued(), (0, 0));
    });
}

/// Expects a close with this code and text, whatever comes before.
async fn expect_close(client: &mut Raw, code: u16, text: &str) {
    loop {
        let frame = client.frame().await.unwrap();
        if frame.opcode == CLOSE {
            assert_eq!(frame.payload[..2], code.to_be_bytes());
            assert_eq!(str::from_utf8(&frame.payload[2..]).unwrap(), text);
            return;
        }
        assert!(!frame.fin || frame.opcode >= CLOSE, "{frame:?}");
    }
}

#[test]
fn an_unfinished_message_closes_the_connection_and_one_that_has_not_begun_does_not() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let message = connection.stream_text().await.unwrap();
        drop(connection.emit("held"));
        assert_eq!(connection.queued().0, 1);
        drop(message);
        expect(&mut client, &["held"]).await;

        let mut message = connection.stream_text().await.unwrap();
        message.write("begun").await.unwrap();
        let mut held = connection.emit_tracked("held");
        assert_eq!(held.delivery().await, Delivery::Delivered);
        drop(message);
        expect_close(&mut client, 1011, "message not finished").await;
        assert_eq!(held.written().await, WriteOutcome::Lost);
        assert_eq!(
            connection.stream_text().await.err(),
            Some(SendError::Closed)
        );
    });
}

#[test]
fn a_text_that_is_no_text_is_not_sent() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let mut message = connection.stream_text().await.unwrap();
        let invalid = message.write(Bytes::from_static(b"a\xff")).await;
        assert_eq!(invalid, Err(SendError::InvalidText));
        message
            .write(Bytes::from_static(b"a\xe2\x82"))
            .await
            .unwrap();
        let invalid = message.write("a").await;
        assert_eq!(invalid, Err(SendError::InvalidText));
        assert_eq!(message.finish(), Err(SendError::InvalidText));
        expect_close(&mut client, 1011, "message not finished").await;
    });
}

#[test]
fn an_application_that_does_not_go_on_is_waited_for_as_long_as_a_client_is() {
    run(async {
        let server = Server::start(Config {
            message_timeout: Duration::from_millis(200),
            ..narrow_config(SlowConsumer::Disconnect)
        })
        .await;
        let mut client = server.raw("id=a&quiet=1").await;
        let mut message = server.connection("a").stream_text().await.unwrap();
        message.write("begun").await.unwrap();
        expect_close(&mut client, 1011, "message not continued in time").await;
        assert_eq!(message.write("more").await, Err(SendError::Closed));
        assert_eq!(message.finish(), Err(SendError::Closed));

        // If nothing was written, all else is sent first.
        let mut client = server.raw("id=c&quiet=1").await;
        let mut message = server.connection("c").stream_text().await.unwrap();
        drop(server.connection("c").emit("held"));
        expect(&mut client, &["held"]).await;
        expect_close(&mut client, 1011, "message not continued in time").await;
        assert_eq!(message.write("more").await, Err(SendError::Closed));

        // While the client takes nothing, the application waits.
        let mut client = server.narrow("id=b&quiet=1").await;
        let connection = server.connection("b");
        let mut message = connection.stream_binary().await.unwrap();
        let long = vec![0; 8 * OUTBOX];
        let writing = message.write(long);
        let waited = tokio::time::timeout(Duration::from_millis(700), async {
            writing.await.unwrap();
            std::future::pending::<()>().await;
        });
        assert!(waited.await.is_err());
        assert!(connection.is_open());
        // What was dropped can only be given up.
        assert_eq!(message.write("x").await, Err(SendError::Interrupted));
        assert_eq!(message.finish(), Err(SendError::Interrupted));
        expect_close(&mut client, 1011, "message not finished").await;
    });
}

#[test]
fn messages_in_pieces_take_turns() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let connection = server.connection("a");
        let mut first = connection.stream_text().await.unwrap();
        let mut second = Box::pin(connection.stream_text());
        assert!((&mut second).now_or_never().is_none());
        first.write("first").await.unwrap();
        assert!((&mut second).now_or_never().is_none());
        first.finish().unwrap();
        let mut second = second.await.unwrap();
        second.write("second").await.unwrap();
        let mut third = Box::pin(connection.stream_text());
        assert!((&mut third).now_or_never().is_none());
        drop(third);
        second.finish().unwrap();
        expect(&mut client, &["first", "second"]).await;
    });
}

#[test]
fn what_waits_for_the_end_has_the_bounds_and_the_policy_of_an_outbox() {
    run(async {
        let text = |n: usize| format!("{n:065000}");
        for policy in [
            SlowConsumer::Disconnect,
            SlowConsumer::DropNewest,
            SlowConsumer::DropOldest,
        ] {
            let server = Server::start(narrow_config(policy)).await;
            let mut client = server.raw("id=a&quiet=1").await;
            let connection = server.connection("a");
            let mut message = connection.stream_text().await.unwrap();
            message.write("begun").await.unwrap();
            let mut receipts: Vec<TrackedReceipt> = Vec::new();
            for n in 0..17 {
                receipts.push(connection.emit_tracked(text(n)));
                assert!(connection.queued().1 <= OUTBOX);
            }
            if policy == SlowConsumer::Disconnect {
                expect_close(&mut client, 1013, "reading too slowly").await;
                assert_eq!(message.write("more").await, Err(SendError::Closed));
                assert_eq!(receipts[0].written().await, WriteOutcome::Lost);
                continue;
            }
            message.finish().unwrap();
            expect(&mut client, &["begun"]).await;
            for (n, receipt) in receipts.iter_mut().enumerate() {
                match receipt.written().await {
                    WriteOutcome::Written => {
                        expect(&mut client, &[&text(n)]).await;
                    }
                    WriteOutcome::Discarded => {
                        assert_eq!((n < 2, policy), (true, SlowConsumer::DropOldest));
                    }
                    refused => {
                        let expected = WriteOutcome::NotDelivered(Delivery::Refused);
                        assert_eq!((refused, policy), (expected, SlowConsumer::DropNewest));
                        assert!(n > 14);
                    }
                }
            }
            assert!(connection.is_open());
        }
    });
}

#[test]
fn a_close_and_the_end_of_the_client_cut_it_off() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let mut message = server.connection("a").stream_text().await.unwrap();
        message.write("begun").await.unwrap();
        server.connection("a").close(close_frame(1000));
        assert_eq!(message.write("more").await, Err(SendError::Closed));
        expect_close(&mut client, 1000, "").await;
        drop(message);
        drop(client);
        server.empty().await;

        let client = server.narrow("id=a&quiet=1").await;
        let mut message = server.connection("a").stream_binary().await.unwrap();
        let writing = message.write(vec![0; 32 * OUTBOX]);
        client.reset();
        assert_eq!(writing.await, Err(SendError::Closed));
        drop(message);
        server.empty().await;
    });
}

#[test]
fn senders_of_all_kinds_at_once_break_no_message_and_no_order() {
    run_threads(2, async {
        const ROUNDS: usize = 150;
        let server = Server::start(narrow_config(SlowConsumer::Disconnect)).await;
        let mut client = server.narrow("id=a&quiet=1").await;
        let mut senders = Vec::new();
        for sender in 0..6 {
            let connection = server.connection("a");
            senders.push(tokio::spawn(async move {
                for n in 0..ROUNDS {
                    let text = format!("{sender} {n} {}", "x".repeat(n * 37 % 9_000));
                    match sender {
                        0 | 1 => {
                            let mut message = connection.stream_text().await.unwrap();
                            for piece in text.as_bytes().chunks(2_000) {
                                message.write(piece.to_vec()).await.unwrap();
                                tokio::task::yield_now().await;
                            }
                            message.finish().unwrap();
                        }
                        2 => {
                            let mut receipt = connection.send_tracked(text).await.unwrap();
                            assert_eq!(receipt.written().await, WriteOutcome::Written);
                        }
                        3 => drop(connection.hub().broadcast(text).await),
                        _ => connection.send(text).await.unwrap(),
                    }
                }
            }));
        }
        let mut counts = [0; 6];
        while counts.iter().sum::<usize>() < 6 * ROUNDS {
            let got = next(&mut client, &mut Vec::new()).await;
            let mut words = got.text().split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (sender, n) = (number(), number());
            assert_eq!(counts[sender], n, "of {sender}");
            counts[sender] += 1;
        }
        for sender in senders {
            sender.await.unwrap();
        }
        assert_eq!(server.connection("a").queued(), (0, 0));
    });
}
