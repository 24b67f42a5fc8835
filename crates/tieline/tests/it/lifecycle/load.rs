//! Effects of load, which must not outlast it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tieline::{Config, Delivery, SlowConsumer};

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
