//! Messages, closes and changes of membership of one task to one client, in one order.

use std::time::Duration;

use tieline::{CloseCode, CloseFrame, Cluster, Config, Delivery, Membership, Receipt};

use crate::kit::{
    Mode, Proxy, Reader, TestNode, eventually, memory_registry, run_threads, test_config,
};

const ATTEMPTS: usize = 10;

/// A client that has just come to a node, while a message to it is on its way back from the node that
/// it left.
struct Returning {
    a: TestNode,
    _b: TestNode,
    _way: Proxy,
    client: Reader,
    in_transit: Receipt,
}

impl Returning {
    async fn start() -> Self {
        let registry = memory_registry();
        let a = TestNode::start(&registry).await;
        let (b, way) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        a.wait_for_links(1).await;
        let mut old = b.reader("id=mover&quiet").await;
        assert_eq!(a.cluster.emit("mover", "warm").await, Delivery::Delivered);
        old.send_close().await;
        eventually(|| !b.has("mover")).await;
        way.set(Mode::Delay(Duration::from_millis(150)));
        let in_transit = a.cluster.emit("mover", "1");
        let client = a.reader("id=mover&quiet").await;
        Self {
            a,
            _b: b,
            _way: way,
            client,
            in_transit,
        }
    }

    fn cluster(&self) -> &Cluster {
        &self.a.cluster
    }
}

fn goodbye() -> CloseFrame {
    CloseFrame::new(CloseCode::NORMAL, "bye")
}

/// Plays a test until it was in time: on a busy machine, answers may be awaited for too long. What is out of
/// order is out of order in any attempt that is in time.
fn until_in_time(test: impl AsyncFn(Returning) -> bool) {
    run_threads(2, async {
        for _ in 0..ATTEMPTS {
            if test(Returning::start().await).await {
                return;
            }
        }
        panic!("never in time");
    });
}

#[test]
fn messages_to_many_do_not_overtake_what_comes_back() {
    until_in_time(async |returning| {
        let second = returning.cluster().emit("mover", "2");
        let third = returning.cluster().broadcast("3");
        let fourth = returning.cluster().emit("mover", "4");
        let delivered = [returning.in_transit, second, fourth];
        for receipt in delivered {
            if !receipt.await.is_delivered() {
                return false;
            }
        }
        assert_eq!(third.await.reached.delivered, 1);
        returning.client.until("4").await;
        assert_eq!(returning.client.texts(), ["1", "2", "3", "4"]);
        true
    });
}

#[test]
fn what_would_arrive_behind_a_message_to_many_is_not_delivered() {
    until_in_time(async |returning| {
        // Sent before anything has come back.
        let second = returning.cluster().broadcast("2");
        assert_eq!(second.await.reached.delivered, 1);
        let third = returning.cluster().emit("mover", "3");
        let first = returning.in_transit.await;
        if first == Delivery::Unknown || !third.await.is_delivered() {
            return false;
        }
        assert_eq!(first, Delivery::Unreachable);
        returning.client.until("3").await;
        assert_eq!(returning.client.texts(), ["2", "3"]);
        true
    });
}

#[test]
fn a_close_does_not_overtake_what_was_sent_before() {
    until_in_time(async |returning| {
        let second = returning.cluster().emit("mover", "2");
        let closed = returning.cluster().close("mover", goodbye());
        let late = returning.cluster().emit("mover", "too late");
        for receipt in [returning.in_transit, second, closed] {
            if !receipt.await.is_delivered() {
                return false;
            }
        }
        assert_eq!(returning.client.until_closed().await, Some(1000));
        assert_eq!(returning.client.texts(), ["1", "2"]);
        assert!(!late.await.is_delivered());
        true
    });
}

#[test]
fn memberships_change_in_the_order_of_the_calls() {
    until_in_time(async |mut returning| {
        let joined = returning.cluster().join_group("mover", "lobby").await;
        // What was sent before the change is decided before it.
        let first = returning.in_transit.try_outcome();
        let first = first.expect("the change waited for it");
        let to_group = returning.cluster().emit_group("lobby", "2");
        let left = returning.cluster().leave_group("mover", "lobby").await;
        let to_group = to_group.await.reached.delivered;
        if !first.is_delivered() || [joined, left] != [Membership::Changed; 2] {
            return false;
        }
        assert_eq!(to_group, 1);
        returning.client.until("2").await;
        assert_eq!(returning.client.texts(), ["1", "2"]);
        true
    });
}
