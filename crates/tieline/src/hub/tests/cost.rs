//! What messages to many cost: memory while they wait, locks, the time of their callers.

use std::{sync::Weak, time::Instant};

use super::*;
use crate::config::SlowConsumer;

/// Keeps little of what clients do not read.
fn frugal(shards: usize) -> Config {
    Config {
        outbox_frames: 4,
        slow_consumer: SlowConsumer::DropOldest,
        ..with_shards(shards)
    }
}

/// The connections that have got something.
fn served(crowd: &[ConnectionGuard]) -> usize {
    let has_frames = |guard: &&ConnectionGuard| !inner(guard).send_side.lock().outbox.is_empty();
    crowd.iter().filter(has_frames).count()
}

#[test]
fn what_waits_holds_no_connection_whatever_comes_and_goes() {
    run(async {
        let hub = hub(frugal(1));
        let mut crowd = crowd(&hub, 10_000);
        let mut ended: Vec<Weak<ConnectionInner>> = Vec::new();
        // Eight seconds of 200 broadcasts and 500 reconnects a second.
        for round in 0..1600 {
            drop(hub.broadcast("x"));
            for i in 0..if round % 2 == 0 { 2 } else { 3 } {
                let i = (round * 3 + i) % crowd.len();
                ended.push(Arc::downgrade(inner(&crowd[i])));
                crowd[i] = connect(&hub, &format!("c{i}"));
            }
        }
        let kept = ended.iter().filter(|conn| conn.strong_count() > 0).count();
        assert_eq!(kept, 0, "connections that have ended are kept");
        // The guard holds each connection, and the index by its id and in its group.
        let held = crowd.iter().map(|guard| Arc::strong_count(inner(guard)));
        assert_eq!(held.max(), Some(3));
        // What waits still reaches those for whom it was meant.
        let last = hub.broadcast("last").await;
        assert_eq!(last.delivered, 10_000);
    });
}

#[test]
fn a_message_to_many_holds_a_lock_no_longer_for_a_large_audience() {
    run(async {
        let hub = hub(frugal(1));
        let mut crowd = crowd(&hub, 60_000);
        // The shortest of several: the machine may be busy with something else.
        let mut shortest = Duration::MAX;
        for guard in crowd.iter_mut().take(20) {
            *guard = connect(&hub, "newcomer");
            let begun = Instant::now();
            drop(hub.broadcast("x"));
            shortest = shortest.min(begun.elapsed());
        }
        assert!(shortest < Duration::from_micros(200), "{shortest:?}");
    });
}

#[test]
fn a_caller_serves_few_receivers_of_a_message_however_many_shards_there_are() {
    run(async {
        let hub = hub(frugal(64));
        let crowd = crowd(&hub, 1_000);
        let receipt = hub.emit_group("g", "x");
        assert!(served(&crowd) <= 32, "{} are served", served(&crowd));
        assert_eq!(receipt.await.delivered, 1_000);
        assert_eq!(served(&crowd), 1_000);
    });
}
