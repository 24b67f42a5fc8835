//! permessage-deflate, for clients that offer it and for no others.

use std::io::Read;

use flate2::read::DeflateDecoder;
use tieline::{Config, Deflate};

use crate::kit::{
    Raw, RawFrame, Server,
    raw::{TEXT, frame_with},
    run,
};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

async fn compressing() -> Server {
    Server::start(Config {
        compression: Some(Deflate::default()),
        shards: Some(1),
        ..Config::default()
    })
    .await
}

async fn deflating(server: &Server, id: &str) -> Raw {
    let (raw, answer) = Raw::open(server.address, &format!("/?id={id}"), OFFER).await;
    assert_eq!(answer.status, 101);
    let accepted = answer.header("sec-websocket-extensions").unwrap();
    for part in [
        "permessage-deflate",
        "server_no_context_takeover",
        "client_no_context_takeover",
    ] {
        assert!(accepted.contains(part), "{accepted}");
    }
    raw
}

fn inflated(frame: &RawFrame) -> String {
    assert!(frame.compressed && frame.fin && frame.opcode == TEXT);
    let mut bytes = frame.payload.clone();
    bytes.extend([0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]);
    let mut text = String::new();
    DeflateDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn a_broadcast_is_compressed_for_clients_that_offer_it_and_plain_for_others() {
    run(async {
        let server = compressing().await;
        let long = "all work and no play ".repeat(100);
        // A few are served by the caller, many by the worker.
        for count in [3, 30] {
            let mut plain = server.crowd("plain", count, "").await;
            let mut deflate = Vec::new();
            for i in 0..count {
                deflate.push(deflating(&server, &format!("deflate{i}")).await);
            }
            // Several at once, so that they are joined.
            server.hub.broadcast(&long);
            server.hub.broadcast("short");
            let reached = server.hub.broadcast(&long).await;
            assert_eq!(reached.delivered, 2 * count as u64);
            for client in &mut plain {
                for text in [&long, "short", &long] {
                    let frame = client.frame().await.unwrap();
                    assert!(!frame.compressed);
                    assert_eq!(frame.payload, text.as_bytes());
                }
            }
            for client in &mut deflate {
                let frame = client.frame().await.unwrap();
                assert!(frame.payload.len() < long.len() / 10);
                assert_eq!(inflated(&frame), long);
                let short = client.frame().await.unwrap();
                assert!(!short.compressed, "not worth it");
                assert_eq!(short.payload, b"short");
                assert_eq!(inflated(&client.frame().await.unwrap()), long);
            }
            drop((plain, deflate));
            server.empty().await;
        }
    });
}

#[test]
fn each_compressed_message_can_be_inflated_by_itself() {
    run(async {
        let server = compressing().await;
        let mut client = deflating(&server, "a").await;
        let text = "the same thing again ".repeat(50);
        let mut payloads = Vec::new();
        for _ in 0..3 {
            assert!(server.hub.emit("a", &text).await.is_delivered());
            let frame = client.frame().await.unwrap();
            assert_eq!(inflated(&frame), text);
            payloads.push(frame.payload);
        }
        assert_eq!(payloads[0], payloads[2], "no context is kept");
    });
}

#[test]
fn compressed_messages_are_handled() {
    run(async {
        let server = compressing().await;
        let mut client = deflating(&server, "a").await;
        // "Hello" compressed, the example of RFC 7692, 7.2.3.1.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        client.write(&frame_with(0x80 | 0x40 | TEXT, &hello)).await;
        assert_eq!(client.text().await, "Hello");
        // In fragments only the first has the bit.
        client.write(&frame_with(0x40 | TEXT, &hello[..3])).await;
        client.write(&frame_with(0x80, &hello[3..])).await;
        assert_eq!(client.text().await, "Hello");
        client
            .write(&frame_with(0x80 | 0x40 | TEXT, b"\xff\xff\xff"))
            .await;
        assert_eq!(client.closed().await, 1007);
    });
}

#[test]
fn compression_is_off_unless_it_is_asked_for() {
    run(async {
        let server = Server::start(Config::default()).await;
        let (mut client, answer) = Raw::open(server.address, "/?id=a", OFFER).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        let long = "x".repeat(10_000);
        server.hub.emit("a", &long);
        let frame = client.frame().await.unwrap();
        assert!(!frame.compressed);
        assert_eq!(frame.payload, long.as_bytes());
    });
}
