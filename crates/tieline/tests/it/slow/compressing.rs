//! Nobody waits while a message is compressed.

use std::time::{Duration, Instant};

use tieline::{Config, Deflate, Delivery, Frame};

use crate::kit::{Raw, Server, run_threads};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Compresses badly, and therefore slowly.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'a' + u8::try_from(state % 16).unwrap()
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_message_is_sent_while_another_to_the_same_client_is_compressed() {
    run_threads(2, async {
        let deflate = Deflate {
            level: 9,
            ..Deflate::default()
        };
        let server = Server::start(Config {
            compression: Some(deflate),
            outbox_bytes: 64 * 1024 * 1024,
            ..Config::default()
        })
        .await;
        let (mut client, _) = Raw::open(server.address, "/?id=a", OFFER).await;
        let reading = tokio::spawn(async move { while client.frame().await.is_some() {} });
        let large = Frame::binary(noise(4 * 1024 * 1024));
        let hub = server.hub.clone();
        let emitting = std::thread::spawn(move || {
            let begun = Instant::now();
            let delivery = hub.emit("a", large).try_outcome();
            assert_eq!(delivery, Some(Delivery::Delivered));
            begun.elapsed()
        });
        let mut longest = Duration::ZERO;
        while !emitting.is_finished() {
            let begun = Instant::now();
            let delivery = server.hub.emit("a", "small").try_outcome();
            longest = longest.max(begun.elapsed());
            assert_eq!(delivery, Some(Delivery::Delivered));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let compressing = emitting.join().unwrap();
        assert!(
            longest < compressing / 3,
            "a message waited {longest:?} for a compression of {compressing:?}"
        );
        reading.abort();
    });
}
