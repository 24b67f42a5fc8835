//! Messages to many, over connections without sockets: what waits, what it costs, who is served by whom.
//!
//! On one thread the workers run only when a test awaits, so that what waits can be inspected.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tieline_registry::ClientId;

use super::{
    core::Hub,
    guard::ConnectionGuard,
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
};
use crate::config::{Config, SlowConsumer};

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), test)
            .await
            .expect("the test ends in time")
    })
}

/// A hub whose clients never read, and are not closed for it.
fn hub(shards: usize) -> Hub {
    Hub::new(Config {
        shards: Some(shards),
        outbox_frames: 4,
        slow_consumer: SlowConsumer::DropOldest,
        max_connections: Some(1_000_000),
        ..Config::default()
    })
    .unwrap()
}

/// A connection in the group `g`; its outbox keeps what it gets.
fn connect(hub: &Hub, id: &str) -> ConnectionGuard {
    let info = ConnectionInfo {
        id: ClientId::new(id).unwrap(),
        user: None,
        groups: vec!["g".into()],
        subprotocol: None,
        remote_addr: None,
    };
    let options = ConnectionOptions {
        first_message: None,
        final_message: None,
        deflate: false,
    };
    hub.register(info, options).unwrap()
}

fn crowd(hub: &Hub, count: usize) -> Vec<ConnectionGuard> {
    (0..count).map(|i| connect(hub, &format!("c{i}"))).collect()
}

fn inner(guard: &ConnectionGuard) -> &Arc<ConnectionInner> {
    guard.connection().inner()
}

/// The connections that a caller has served before it returned.
fn served(crowd: &[ConnectionGuard]) -> usize {
    let has_frames = |guard: &&ConnectionGuard| !inner(guard).send_side.lock().outbox.is_empty();
    crowd.iter().filter(has_frames).count()
}

#[test]
fn what_waits_holds_no_connection_whatever_comes_and_goes() {
    run(async {
        let hub = hub(1);
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
        let hub = hub(1);
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
        let hub = hub(64);
        let crowd = crowd(&hub, 1_000);
        let receipt = hub.emit_group("g", "x");
        assert!(served(&crowd) <= 32, "{} are served", served(&crowd));
        assert_eq!(receipt.await.delivered, 1_000);
        assert_eq!(served(&crowd), 1_000);
    });
}
