//! Effects of load, which must not outlast it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tieline::{Config, Delivery, Reached, Receipt, SlowConsumer};

use crate::kit::{Raw, Server, eventually, run};

/// More clients than the caller serves itself, so that the worker delivers a broadcast.
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
                "messages were refused by a full queue"
            );
        }
    });
}

/// Sixteen members of a group send to it at once, several times; `send` sends for one of them.
async fn time_chat(server: &Server, send: impl Fn(&str) -> Receipt<Reached>) -> Duration {
    let begun = Instant::now();
    for _ in 0..10 {
        let receipts: Vec<_> = (0..16).map(|i| send(&format!("c{i}"))).collect();
        for receipt in receipts {
            assert!(receipt.await.delivered > 0);
        }
    }
    // Everything has left: the clients' kernels hold it.
    assert_eq!(server.hub.len(), CHAT);
    begun.elapsed()
}

const CHAT: usize = 300;

/// Messages that leave out different clients leave in one write, as those to all do. Written one by one
/// they would take several times as long.
#[test]
fn leaving_the_sender_out_of_its_message_costs_little() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            ..Config::default()
        })
        .await;
        let _crowd: Vec<Raw> = server.crowd("c", CHAT, "groups=chat").await;
        let mut best = 0.0_f64;
        // The machine may be busy with something else.
        for _ in 0..10 {
            let to_all = time_chat(&server, |_| server.hub.emit_group("chat", "hello")).await;
            let to_others = time_chat(&server, |sender| {
                server.hub.except([sender]).emit_group("chat", "hello")
            })
            .await;
            best = best.max(to_all.as_secs_f64() / to_others.as_secs_f64());
            if best > 0.6 {
                return;
            }
        }
        panic!("{best:.2} of the rate of messages to all");
    });
}
