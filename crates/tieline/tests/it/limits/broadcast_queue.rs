//! Bounds of the broadcast queue of a shard.
//!
//! On one thread the shard's worker runs only when the test awaits, so that the bounds can be seen
//! exactly. There are more clients than the caller serves itself.

use tieline::{Config, Delivery, Reached};

use crate::kit::{Raw, Server, run};

const CROWD: usize = 40;

async fn crowded(config: Config) -> (Server, Vec<Raw>) {
    let server = Server::start(Config {
        shards: Some(1),
        ..config
    })
    .await;
    let crowd = server.crowd("c", CROWD, "groups=g").await;
    (server, crowd)
}

fn delivered() -> Reached {
    let mut reached = Reached::default();
    reached.delivered = CROWD as u64;
    reached
}

fn queue_full() -> Reached {
    let mut reached = Reached::default();
    reached.queue_full = CROWD as u64;
    reached
}

/// Ten messages of 100 bytes pass, the eleventh fails with `queue_full` and reaches nobody.
async fn assert_ten_fit(config: Config) {
    let (server, mut crowd) = crowded(config).await;
    let texts: Vec<_> = (0..11).map(|i| format!("{i:0100}")).collect();
    let receipts: Vec<_> = texts
        .iter()
        .map(|text| server.hub.broadcast(text))
        .collect();
    let full = server.hub.emit_group("g", &texts[10]);
    // A unicast waits behind what is queued, and so does not fit either.
    let behind = server.hub.emit("c0", &texts[10]);

    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(receipt.await);
    }
    assert_eq!(outcomes[..10], vec![delivered(); 10]);
    assert_eq!(outcomes[10], queue_full());
    assert_eq!(full.await, queue_full());
    assert_eq!(behind.await, Delivery::QueueFull);

    // There is room again, and the clients are still served.
    assert_eq!(server.hub.broadcast("last").await, delivered());
    for client in &mut crowd {
        for text in &texts[..10] {
            assert_eq!(client.text().await, *text);
        }
        assert_eq!(client.text().await, "last");
    }
    server.assert_unharmed().await;
}

#[test]
fn as_many_frames_as_allowed_wait_and_one_more_fails_with_queue_full() {
    run(assert_ten_fit(Config {
        broadcast_queue_frames: 10,
        ..Config::default()
    }));
}

#[test]
fn as_many_bytes_as_allowed_wait_and_one_more_fails_with_queue_full() {
    run(assert_ten_fit(Config {
        broadcast_queue_bytes: 1000,
        message_size: 999,
        ..Config::default()
    }));
}
