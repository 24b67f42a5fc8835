//! What load does, and what it must not do for longer than it lasts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline::{Config, Delivery, SlowConsumer};

use crate::kit::{Raw, Server, eventually, run, run_threads};

/// More than a caller serves itself, so that a broadcast goes by the worker.
const CROWD: usize = 40;

#[test]
fn a_broadcast_under_load_does_not_slow_messages_to_one_for_ever() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            slow_consumer: SlowConsumer::DropNewest,
            ..Config::default()
        })
        .await;
        let _crowd: Vec<Raw> = server.crowd("c", CROWD, "").await;
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..CROWD)
            .map(|i| {
                let (hub, stop) = (server.hub.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut lost = 0;
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..64 {
                            let mut receipt = hub.emit(&format!("c{i}"), "x");
                            lost += usize::from(receipt.try_outcome() == Some(Delivery::QueueFull));
                        }
                        tokio::task::yield_now().await;
                    }
                    lost
                })
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(server.hub.broadcast("B").await.queue_full, 0);
            // While the senders go on, messages go straight to their outboxes again.
            let hub = server.hub.clone();
            eventually(|| hub.emit("c0", "x").try_outcome().is_some()).await;
        }
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            assert_eq!(
                sender.await.unwrap(),
                0,
                "messages that found the queue full"
            );
        }
    });
}

#[test]
fn clients_that_talk_are_not_taken_for_silent_however_many_shards() {
    run_threads(4, async {
        let server = Server::start(Config {
            shards: Some(8),
            // Ticks of 5 ms, so that sweepers and clients meet often.
            ping_interval: Duration::from_secs(8),
            ping_timeout: Duration::from_millis(40),
            ..Config::default()
        })
        .await;
        let mut crowd: Vec<Raw> = server.crowd("c", 300, "").await;
        for round in 0..20 {
            // Each message in two parts, so that it is unfinished for a while.
            for client in &mut crowd {
                client.write(&[0x81, 0x80 | 5, 0, 0]).await;
            }
            for client in &mut crowd {
                client.write(&[0, 0, b'h', b'e', b'l', b'l', b'o']).await;
            }
            for client in &mut crowd {
                assert_eq!(client.text().await, "hello", "round {round}");
            }
        }
    });
}
