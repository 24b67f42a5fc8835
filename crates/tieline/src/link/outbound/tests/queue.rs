//! The queue and the pulse by themselves.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;

use super::super::{
    liveness::Liveness,
    queue::{Completions, Queue},
};
use crate::link::{
    outcome::{Completion, NotSent, Outcome},
    proto::{self, OutcomeCode, RequestKind},
};

impl Completion for u64 {
    fn complete(self, _: Outcome) {}
}

const DELIVERED: Outcome = Outcome::Code(OutcomeCode::Delivered);

fn emit(bytes: usize) -> RequestKind {
    RequestKind::Emit(proto::Emit {
        data: vec![0; bytes].into(),
        ..proto::Emit::default()
    })
}

/// Takes a batch, and says how many posts it has.
fn take_batch(queue: &mut Queue<u64>) -> usize {
    let mut completions = Vec::new();
    let batch = queue.take_batch(usize::MAX, &mut completions);
    assert_eq!(completions, []);
    proto::RequestBatch::decode(batch).unwrap().requests.len()
}

/// A queue of which this many posts were sent.
fn sent(requests: u64) -> Queue<u64> {
    let mut queue = Queue::new(1 << 20);
    let now = Instant::now();
    for completion in 0..requests {
        queue.push(&emit(1), completion, false, now).unwrap();
        assert_eq!(take_batch(&mut queue), 1);
    }
    queue
}

fn decide(queue: &mut Queue<u64>, number: u64) -> Completions<u64> {
    let mut completions = Vec::new();
    queue.decide(number, DELIVERED, &mut completions).unwrap();
    queue.tidy();
    completions
}

#[test]
fn outcomes_come_in_any_order_and_each_ticket_hears_once() {
    let mut queue = sent(3);
    assert_eq!(decide(&mut queue, 2), [(2, DELIVERED)]);
    assert_eq!(decide(&mut queue, 0), [(0, DELIVERED)]);
    assert_eq!(decide(&mut queue, 0), []);
    assert_eq!(decide(&mut queue, 1), [(1, DELIVERED)]);
    assert!(queue.is_empty());
    queue.decide(3, DELIVERED, &mut Vec::new()).unwrap_err();
}

#[test]
fn a_ticket_that_thousands_overtake_is_still_found() {
    let mut queue = sent(10_000);
    for number in 1..10_000 {
        assert_eq!(decide(&mut queue, number), [(number, DELIVERED)]);
    }
    assert!(!queue.is_empty());
    assert_eq!(decide(&mut queue, 0), [(0, DELIVERED)]);
    assert!(queue.is_empty());
}

#[test]
fn a_batch_is_bounded_in_bytes_and_posts_and_takes_at_least_one() {
    let mut queue = Queue::new(8 << 20);
    let now = Instant::now();
    for (completion, bytes) in [(0, 1 << 20), (1, 200 << 10), (2, 200 << 10)] {
        queue.push(&emit(bytes), completion, false, now).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(take_batch(&mut queue), 1);
    }
    for completion in 3..10_000 {
        queue.push(&emit(1), completion, false, now).unwrap();
    }
    assert!(take_batch(&mut queue) <= 4_096);
}

#[test]
fn a_queue_that_was_emptied_gives_its_buffer_back() {
    let mut queue = Queue::new(16 << 20);
    for completion in 0..8 {
        queue
            .push(&emit(1 << 20), completion, false, Instant::now())
            .unwrap();
    }
    let batches: Vec<_> = (0..8)
        .map(|_| queue.take_batch(usize::MAX, &mut Vec::new()))
        .collect();
    // They share one buffer: were the queue's a part of it too, none would be the only owner at the end.
    let held = |batch: Bytes| batch.is_unique();
    assert_eq!(
        batches
            .into_iter()
            .map(held)
            .filter(|unique| *unique)
            .count(),
        1
    );
}

#[test]
fn the_bounds_refuse_and_urgent_posts_pass_the_one_on_bytes() {
    let mut queue = Queue::new(1_000);
    let now = Instant::now();
    queue.push(&emit(1_000), 0, false, now).unwrap();
    assert_eq!(queue.push(&emit(1), 1, false, now), Err(1));
    queue.push(&emit(1), 2, true, now).unwrap();
    let mut queue = Queue::new(usize::MAX / 2);
    let taken = (0..200_000).take_while(|t| queue.push(&emit(0), *t, false, now).is_ok());
    assert_eq!(taken.count(), 65_536);
    queue.push(&emit(0), 0, true, now).unwrap();
}

#[test]
fn age_decides_what_waits_and_what_was_sent() {
    let mut queue = sent(2);
    let later = Instant::now() + Duration::from_millis(10);
    queue.push(&emit(1), 7, false, later).unwrap();
    let age = Duration::from_secs(1);
    let mut completions = Vec::new();
    queue.expire(
        later + Duration::from_millis(995),
        age,
        NotSent::Unreachable,
        &mut completions,
    );
    assert_eq!(completions, [(0, Outcome::Unknown), (1, Outcome::Unknown)]);
    completions.clear();
    queue.expire(later + age, age, NotSent::QueueFull, &mut completions);
    assert_eq!(completions, [(7, Outcome::NotSent(NotSent::QueueFull))]);
    assert!(queue.is_empty());
}

#[test]
fn the_end_of_a_stream_tells_sent_from_unsent_and_numbers_begin_anew() {
    let mut queue = sent(2);
    queue.push(&emit(1), 2, false, Instant::now()).unwrap();
    let mut completions = Vec::new();
    queue.lose_sent(&mut completions);
    queue.refuse_waiting(&mut completions);
    let unsent = Outcome::NotSent(NotSent::Unreachable);
    assert_eq!(
        completions,
        [(0, Outcome::Unknown), (1, Outcome::Unknown), (2, unsent)]
    );
    queue.push(&emit(1), 3, false, Instant::now()).unwrap();
    queue.take_batch(usize::MAX, &mut completions);
    assert_eq!(decide(&mut queue, 0), [(3, DELIVERED)]);
}

#[test]
fn silence_counts_from_the_first_thing_unanswered() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut liveness = Liveness::new(start);
    assert!(!liveness.is_suspect(after(10_000)), "nothing is awaited");
    liveness.sent(after(100));
    liveness.sent(after(900));
    assert!(!liveness.is_suspect(after(1_099)) && liveness.is_suspect(after(1_100)));
    assert!(!liveness.is_dead(after(5_000)) && liveness.is_dead(after(5_100)));
    liveness.heard(after(5_200));
    assert!(!liveness.is_suspect(after(9_000)));
}

#[test]
fn pings_go_only_when_something_is_awaited_or_the_link_was_idle() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut liveness = Liveness::new(start);
    assert!(!liveness.wants_ping(after(249), true) && !liveness.wants_ping(after(1_999), false));
    assert!(liveness.wants_ping(after(250), true));
    assert!(!liveness.wants_ping(after(900), true), "one at a time");
    assert!(
        liveness.is_suspect(after(1_250)),
        "a ping is awaited as a post is"
    );
}
