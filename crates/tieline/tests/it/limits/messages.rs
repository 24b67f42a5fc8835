//! Limits of what a client sends.

use std::{io::Write, time::Instant};

use flate2::{Compression, write::DeflateEncoder};
use tieline::{CloseReason, Config, ConnectionError, Deflate, ProtocolError};

use super::millis;
use crate::kit::{
    Raw, Server, What,
    raw::{BINARY, CONTINUATION, PING, PONG, TEXT, frame, frame_with},
    run,
};

/// The client is closed with 1009 for this error; other clients are not affected.
async fn assert_too_big(server: &Server, mut client: Raw, id: &str, error: ProtocolError) {
    let mut neighbour = server.raw("id=neighbour").await;
    assert_eq!(client.closed().await, 1009);
    client.end().await;
    // The server reads on until the client is gone, or its close frame might be lost.
    drop(client);
    assert_eq!(
        server.log.end_of(id).await,
        CloseReason::Protocol(error.clone())
    );
    let error = What::Error(ConnectionError::Protocol(error));
    assert_eq!(server.log.of(id).iter().filter(|w| **w == error).count(), 1);
    neighbour.send_text("well").await;
    assert_eq!(neighbour.text().await, "well");
    server.assert_unharmed().await;
}

fn sizes() -> Config {
    Config {
        message_size: 1000,
        compression: Some(Deflate::default()),
        ..Config::default()
    }
}

#[test]
fn a_message_as_long_as_allowed_passes_and_one_byte_more_closes_with_1009() {
    run(async {
        let server = Server::start(sizes()).await;
        let mut client = server.raw("id=a").await;
        client.send(BINARY, &[7; 1000]).await;
        assert_eq!(client.data().await.payload, [7; 1000]);
        client.send(BINARY, &[7; 1001]).await;
        assert_too_big(
            &server,
            client,
            "a",
            ProtocolError::MessageTooBig { limit: 1000 },
        )
        .await;
    });
}

#[test]
fn fragments_count_together() {
    run(async {
        let server = Server::start(sizes()).await;
        let mut client = server.raw("id=a").await;
        for (second, fits) in [(400, true), (401, false)] {
            client.write(&frame_with(BINARY, &[7; 600])).await;
            client.send(CONTINUATION, &vec![7; second]).await;
            if fits {
                assert_eq!(client.data().await.payload, [7; 1000]);
            }
        }
        assert_too_big(
            &server,
            client,
            "a",
            ProtocolError::MessageTooBig { limit: 1000 },
        )
        .await;
    });
}

#[test]
fn the_declared_length_is_enough_to_be_refused() {
    run(async {
        let server = Server::start(sizes()).await;
        let mut client = server.raw("id=a").await;
        let mut header = vec![0x82, 0xff];
        header.extend((1_u64 << 62).to_be_bytes());
        header.extend([0; 4]);
        client.write(&header).await;
        assert_too_big(
            &server,
            client,
            "a",
            ProtocolError::MessageTooBig { limit: 1000 },
        )
        .await;
    });
}

#[test]
fn the_inflated_size_counts() {
    run(async {
        let server = Server::start(sizes()).await;
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut client, answer) = Raw::open(server.address, "/?id=a&quiet=1", offer).await;
        assert!(answer.header("sec-websocket-extensions").is_some());
        for length in [1000, 1001] {
            let compressed = deflated(&vec![7; length]);
            assert!(compressed.len() < 100);
            client
                .write(&frame_with(0x80 | 0x40 | BINARY, &compressed))
                .await;
        }
        assert_too_big(
            &server,
            client,
            "a",
            ProtocolError::MessageTooBig { limit: 1000 },
        )
        .await;
        assert_eq!(server.log.messages("a")[0].as_bytes(), [7; 1000]);
    });
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    let mut compressed = encoder.get_ref().clone();
    assert_eq!(
        compressed.split_off(compressed.len() - 4),
        [0, 0, 0xff, 0xff]
    );
    compressed
}

#[test]
fn as_many_fragments_as_allowed_pass_and_one_more_closes_with_1009() {
    run(async {
        let server = Server::start(Config {
            fragments: 4,
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a").await;
        client.write(&frame_with(TEXT, b"1")).await;
        client.write(&frame_with(CONTINUATION, b"2")).await;
        client.write(&frame_with(CONTINUATION, b"3")).await;
        client.send(CONTINUATION, b"4").await;
        assert_eq!(client.text().await, "1234");

        client.write(&frame_with(TEXT, b"1")).await;
        for _ in 2..=5 {
            client.write(&frame_with(CONTINUATION, b"")).await;
        }
        assert_too_big(
            &server,
            client,
            "a",
            ProtocolError::TooManyFragments { limit: 4 },
        )
        .await;
    });
}

#[test]
fn a_message_that_is_not_finished_in_time_closes_with_1008() {
    run(async {
        let timeout = millis(800);
        let server = Server::start(Config {
            message_timeout: timeout,
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a").await;
        let mut neighbour = server.raw("id=neighbour").await;
        // A complete message sets no clock for the next.
        client.write(&frame_with(TEXT, b"fin")).await;
        client.send(CONTINUATION, b"ished").await;
        assert_eq!(client.text().await, "finished");

        let begun = Instant::now();
        client.write(&frame_with(TEXT, b"un")).await;
        // Signs of life in between do not prolong it.
        client.send(PING, b"alive").await;
        assert_eq!(client.data().await.opcode, PONG);
        assert_eq!(client.closed().await, 1008);
        let elapsed = begun.elapsed();
        assert!(elapsed >= timeout * 3 / 4, "closed after {elapsed:?}");
        client.send_close(1008).await;
        client.end().await;
        assert_eq!(server.log.end_of("a").await, CloseReason::Unfinished);

        neighbour.send_text("well").await;
        assert_eq!(neighbour.text().await, "well");
        server.assert_unharmed().await;
    });
}

#[test]
fn half_a_frame_is_an_incomplete_message_too() {
    run(async {
        let server = Server::start(Config {
            message_timeout: millis(200),
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a").await;
        client.write(&frame(TEXT, b"never whole")[..9]).await;
        assert_eq!(client.closed().await, 1008);
    });
}

#[test]
fn messages_that_straddle_reads_are_not_taken_for_an_incomplete_one() {
    run(async { assert_straddling_passes(TEXT).await });
}

#[test]
fn pings_that_straddle_reads_are_not_taken_for_an_incomplete_message() {
    run(async { assert_straddling_passes(PING).await });
}

/// Each write ends in the middle of a frame, so that something is always incomplete, but nothing for long.
async fn assert_straddling_passes(opcode: u8) {
    let timeout = millis(500);
    let server = Server::start(Config {
        message_timeout: timeout,
        ..Config::default()
    })
    .await;
    let mut client = server.raw("id=a").await;
    let whole = frame(opcode, b"straddling");
    let (head, tail) = whole.split_at(8);
    client.write(head).await;
    let begun = Instant::now();
    while begun.elapsed() < timeout * 3 {
        client.write(&[tail, head].concat()).await;
        // The reply shows that the write was read.
        let answer = client.data().await;
        assert_eq!(answer.payload, b"straddling");
        assert!(matches!(answer.opcode, TEXT | PONG));
    }
    client.write(tail).await;
    assert_eq!(client.data().await.payload, b"straddling");
}
