use std::{collections::HashMap, sync::Arc};

use proptest::prelude::*;

use super::{Enqueued, OrderingQueue, Ready};

type TestQueue = OrderingQueue<(u8, u32), u32, bool>;

fn id(client: u8) -> Arc<str> {
    format!("client {client}").into()
}

/// What left the queue.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Left {
    Unicast(u8, u32),
    Multicast(u32),
}

fn dispatch(ordering: &TestQueue, left: &mut Vec<Left>) {
    ordering.dispatch(|ready| match ready {
        Ready::Unicasts(unicasts, _) => {
            left.extend(unicasts.into_iter().map(|(c, n)| Left::Unicast(c, n)));
        }
        Ready::Multicast(n) => left.push(Left::Multicast(n)),
    });
}

#[test]
fn a_message_with_nothing_before_it_is_sent_now() {
    let ordering = TestQueue::new(1000);
    assert!(ordering.is_idle());
    assert_eq!(
        ordering.enqueue(&id(1), (1, 0), 1, true),
        Enqueued::SendNow((1, 0))
    );
    assert_eq!(ordering.add_multicast(1), Some(1));
}

#[test]
fn one_lookup_serves_all_unicasts_of_a_client() {
    let ordering = TestQueue::new(1000);
    assert_eq!(
        ordering.enqueue(&id(1), (1, 0), 1, false),
        Enqueued::NeedsLookup
    );
    assert_eq!(ordering.enqueue(&id(1), (1, 1), 1, false), Enqueued::Queued);
    // It waits although its route is known by now.
    assert_eq!(ordering.enqueue(&id(1), (1, 2), 1, true), Enqueued::Queued);
    assert_eq!(
        ordering.enqueue(&id(2), (2, 3), 1, true),
        Enqueued::SendNow((2, 3))
    );
    let mut left = Vec::new();
    ordering.resolve(&id(1), &true);
    dispatch(&ordering, &mut left);
    assert_eq!(
        left,
        [
            Left::Unicast(1, 0),
            Left::Unicast(1, 1),
            Left::Unicast(1, 2)
        ]
    );
    assert!(ordering.is_idle());
}

#[test]
fn a_multicast_is_a_barrier() {
    let ordering = TestQueue::new(1000);
    assert_eq!(
        ordering.enqueue(&id(1), (1, 0), 1, false),
        Enqueued::NeedsLookup
    );
    assert_eq!(ordering.add_multicast(1), None);
    assert_eq!(
        ordering.enqueue(&id(2), (2, 2), 1, true),
        Enqueued::NeedsLookup
    );
    let mut left = Vec::new();
    ordering.resolve(&id(2), &true);
    dispatch(&ordering, &mut left);
    assert_eq!(left, []);
    ordering.resolve(&id(1), &true);
    dispatch(&ordering, &mut left);
    assert_eq!(
        left,
        [Left::Unicast(1, 0), Left::Multicast(1), Left::Unicast(2, 2)]
    );
}

#[test]
fn bounced_unicasts_leave_before_later_ones() {
    let ordering = TestQueue::new(1000);
    assert!(ordering.add_bounced(&id(1), (1, 0), 1));
    assert_eq!(ordering.enqueue(&id(1), (1, 2), 1, true), Enqueued::Queued);
    assert!(!ordering.add_bounced(&id(1), (1, 1), 1));
    let mut left = Vec::new();
    ordering.resolve(&id(1), &true);
    dispatch(&ordering, &mut left);
    assert_eq!(left, [], "more may bounce");
    ordering.all_bounced(&id(1));
    dispatch(&ordering, &mut left);
    assert_eq!(
        left,
        [
            Left::Unicast(1, 0),
            Left::Unicast(1, 1),
            Left::Unicast(1, 2)
        ]
    );
}

#[test]
fn a_full_queue_refuses_until_it_is_dispatched() {
    let ordering = TestQueue::new(10);
    assert_eq!(
        ordering.enqueue(&id(1), (1, 0), 100, false),
        Enqueued::NeedsLookup,
        "one always fits"
    );
    assert_eq!(
        ordering.enqueue(&id(2), (2, 1), 1, false),
        Enqueued::Full((2, 1))
    );
    ordering.resolve(&id(1), &true);
    dispatch(&ordering, &mut Vec::new());
    assert_eq!(
        ordering.enqueue(&id(2), (2, 2), 1, false),
        Enqueued::NeedsLookup
    );
}

#[test]
fn a_unicast_added_during_a_dispatch_does_not_overtake_it() {
    let ordering = TestQueue::new(1000);
    ordering.enqueue(&id(1), (1, 0), 1, false);
    ordering.resolve(&id(1), &true);
    let mut left = Vec::new();
    ordering.dispatch(|ready| {
        if let Ready::Unicasts(unicasts, _) = ready {
            for (client, n) in unicasts {
                if n == 0 {
                    assert_eq!(ordering.enqueue(&id(1), (1, 1), 1, true), Enqueued::Queued);
                }
                left.push((client, n));
            }
        }
    });
    assert_eq!(left, [(1, 0), (1, 1)]);
    assert!(ordering.is_idle());
}

#[derive(Debug, Clone)]
enum Step {
    Unicast(u8, bool),
    Multicast,
    Resolve(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u8, any::<bool>()).prop_map(|(client, routed)| Step::Unicast(client, routed)),
        1 => Just(Step::Multicast),
        3 => (0..4u8).prop_map(Step::Resolve),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Each client receives its unicasts and all multicasts in the order of the calls.
    #[test]
    fn order_is_kept_for_every_client(steps in steps()) {
        let ordering = TestQueue::new(100_000);
        let (mut left, mut sent) = (Vec::new(), Vec::new());
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::Unicast(client, routed) => {
                    sent.push(Left::Unicast(client, n));
                    match ordering.enqueue(&id(client), (client, n), 1, routed) {
                        Enqueued::SendNow((c, n)) => left.push(Left::Unicast(c, n)),
                        Enqueued::NeedsLookup if routed => ordering.resolve(&id(client), &true),
                        Enqueued::NeedsLookup | Enqueued::Queued => {}
                        Enqueued::Full(_) => prop_assert!(false, "full"),
                    }
                }
                Step::Multicast => {
                    sent.push(Left::Multicast(n));
                    left.extend(ordering.add_multicast(n).map(Left::Multicast));
                }
                Step::Resolve(client) => ordering.resolve(&id(client), &true),
            }
            dispatch(&ordering, &mut left);
        }
        // Every lookup ends.
        for _ in 0..2 {
            (0..4).for_each(|client| ordering.resolve(&id(client), &true));
            dispatch(&ordering, &mut left);
        }
        prop_assert!(ordering.is_idle());
        for client in 0..4 {
            let seen = |left: &[Left]| left.iter().copied().filter(|l| match l {
                Left::Unicast(c, _) => *c == client,
                Left::Multicast(_) => true,
            }).collect::<Vec<_>>();
            prop_assert_eq!(seen(&left), seen(&sent));
        }
        let mut counts = HashMap::new();
        left.iter().for_each(|l| *counts.entry(format!("{l:?}")).or_insert(0) += 1);
        prop_assert!(counts.values().all(|count| *count == 1));
    }
}

#[test]
fn unicasts_wait_while_others_may_bounce() {
    let ordering = TestQueue::new(1000);
    assert!(!ordering.is_waiting_for("client 1"));
    ordering.expect_bounces(&id(1));
    assert!(ordering.is_waiting_for("client 1") && !ordering.is_waiting_for("client 2"));
    assert_eq!(ordering.enqueue(&id(1), (1, 1), 1, true), Enqueued::Queued);
    ordering.resolve(&id(1), &true);
    let mut left = Vec::new();
    dispatch(&ordering, &mut left);
    assert_eq!(left, []);
    ordering.add_bounced(&id(1), (1, 0), 1);
    ordering.all_bounced(&id(1));
    ordering.all_bounced(&id(1));
    ordering.resolve(&id(1), &true);
    dispatch(&ordering, &mut left);
    assert_eq!(left, [Left::Unicast(1, 0), Left::Unicast(1, 1)]);
    assert!(ordering.is_idle() && !ordering.is_waiting_for("client 1"));
}

#[test]
fn overtaken_unicasts_are_removed_and_free_their_room() {
    let ordering = TestQueue::new(10);
    for n in [3, 5, 7] {
        ordering.add_bounced(&id(1), (1, n), 4);
    }
    assert_eq!(
        ordering.take_overtaken("client 1", |(_, n)| *n < 6),
        [(1, 3), (1, 5)]
    );
    assert_eq!(ordering.take_overtaken("client 2", |_| true), []);
    ordering.all_bounced(&id(1));
    ordering.resolve(&id(1), &true);
    let mut left = Vec::new();
    dispatch(&ordering, &mut left);
    assert_eq!(left, [Left::Unicast(1, 7)]);
    // Their room is free.
    assert_eq!(
        ordering.enqueue(&id(2), (2, 8), 10, false),
        Enqueued::NeedsLookup
    );
}
