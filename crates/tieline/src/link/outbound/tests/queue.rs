//! Bounds, numbers and ages of the queue.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;

use super::{
    super::queue::{Completions, Priority, RequestQueue},
    DELIVERED, emit,
};
use crate::link::{
    outcome::{NotSent, Outcome},
    proto,
};

/// Takes a batch, and returns how many requests it has.
fn take_batch(queue: &mut RequestQueue<u64>) -> usize {
    let batch = queue.take_batch(usize::MAX);
    assert_eq!(queue.take_completions(), []);
    proto::RequestBatch::decode(batch).unwrap().requests.len()
}

/// A queue with this many sent requests.
fn sent(requests: u64) -> RequestQueue<u64> {
    let mut queue = RequestQueue::new(1 << 20);
    let now = Instant::now();
    for completion in 0..requests {
        queue
            .push(&emit(1), completion, Priority::Normal, now)
            .unwrap();
        assert_eq!(take_batch(&mut queue), 1);
    }
    queue
}

fn decide(queue: &mut RequestQueue<u64>, number: u64) -> Completions<u64> {
    queue.decide(number, DELIVERED).unwrap();
    queue.trim();
    queue.take_completions()
}

#[test]
fn outcomes_come_in_any_order_and_complete_once() {
    let mut queue = sent(3);
    assert_eq!(decide(&mut queue, 2), [(2, DELIVERED)]);
    assert_eq!(decide(&mut queue, 0), [(0, DELIVERED)]);
    assert_eq!(decide(&mut queue, 0), []);
    assert_eq!(decide(&mut queue, 1), [(1, DELIVERED)]);
    assert!(queue.is_empty());
    queue.decide(3, DELIVERED).unwrap_err();
}

#[test]
fn a_request_that_thousands_overtake_is_still_completed() {
    let mut queue = sent(10_000);
    for number in 1..10_000 {
        assert_eq!(decide(&mut queue, number), [(number, DELIVERED)]);
    }
    assert!(!queue.is_empty());
    assert_eq!(decide(&mut queue, 0), [(0, DELIVERED)]);
    assert!(queue.is_empty());
}

#[test]
fn a_batch_is_bounded_in_bytes_and_requests_and_has_at_least_one() {
    let mut queue = RequestQueue::new(8 << 20);
    let now = Instant::now();
    for (completion, bytes) in [(0, 1 << 20), (1, 200 << 10), (2, 200 << 10)] {
        queue
            .push(&emit(bytes), completion, Priority::Normal, now)
            .unwrap();
    }
    for _ in 0..3 {
        assert_eq!(take_batch(&mut queue), 1);
    }
    for completion in 3..10_000 {
        queue
            .push(&emit(1), completion, Priority::Normal, now)
            .unwrap();
    }
    assert!(take_batch(&mut queue) <= 4_096);
}

#[test]
fn an_emptied_queue_releases_its_buffer() {
    let mut queue = RequestQueue::new(16 << 20);
    for completion in 0..8 {
        queue
            .push(&emit(1 << 20), completion, Priority::Normal, Instant::now())
            .unwrap();
    }
    let batches: Vec<_> = (0..8).map(|_| queue.take_batch(usize::MAX)).collect();
    // They share one buffer. If the queue still had a part of it, no batch would be its only owner in the end.
    let last_owner = |batch: Bytes| batch.is_unique();
    let owners = batches.into_iter().map(last_owner);
    assert_eq!(owners.filter(|is_unique| *is_unique).count(), 1);
}

#[test]
fn the_bounds_refuse_and_urgent_requests_pass_the_one_on_bytes() {
    let mut queue = RequestQueue::new(1_000);
    let now = Instant::now();
    queue.push(&emit(1_000), 0, Priority::Normal, now).unwrap();
    assert_eq!(
        queue.push(&emit(1), 1, Priority::Normal, now),
        Err((1, NotSent::QueueFull))
    );
    queue.push(&emit(1), 2, Priority::Urgent, now).unwrap();
    let mut queue = RequestQueue::new(usize::MAX / 2);
    let taken =
        (0..200_000).take_while(|t| queue.push(&emit(0), *t, Priority::Normal, now).is_ok());
    assert_eq!(taken.count(), 65_536);
    queue.push(&emit(0), 0, Priority::Urgent, now).unwrap();
}

#[test]
fn age_decides_waiting_and_sent_requests() {
    let mut queue = sent(2);
    let later = Instant::now() + Duration::from_millis(10);
    queue.push(&emit(1), 7, Priority::Normal, later).unwrap();
    let age = Duration::from_secs(1);
    let early = later + Duration::from_millis(995);
    queue.expire(early, age, NotSent::Unreachable);
    let unknown = [(0, Outcome::Unknown), (1, Outcome::Unknown)];
    assert_eq!(queue.take_completions(), unknown);
    queue.expire(later + age, age, NotSent::QueueFull);
    let not_sent = [(7, Outcome::NotSent(NotSent::QueueFull))];
    assert_eq!(queue.take_completions(), not_sent);
    assert!(queue.is_empty());
}

#[test]
fn the_end_of_a_stream_separates_sent_from_waiting_and_restarts_the_numbers() {
    let mut queue = sent(2);
    queue
        .push(&emit(1), 2, Priority::Normal, Instant::now())
        .unwrap();
    queue.fail_sent();
    queue.fail_waiting();
    let not_sent = Outcome::NotSent(NotSent::Unreachable);
    assert_eq!(
        queue.take_completions(),
        [(0, Outcome::Unknown), (1, Outcome::Unknown), (2, not_sent)]
    );
    queue
        .push(&emit(1), 3, Priority::Normal, Instant::now())
        .unwrap();
    queue.take_batch(usize::MAX);
    assert_eq!(decide(&mut queue, 0), [(3, DELIVERED)]);
}

#[test]
fn the_buffer_for_completions_is_reused() {
    let mut queue = sent(2);
    let mut completions = decide(&mut queue, 0);
    let buffer = completions.as_ptr();
    completions.clear();
    queue.reuse(completions);
    assert_eq!(
        queue.take_completions().capacity(),
        0,
        "nothing to complete"
    );
    let completions = decide(&mut queue, 1);
    assert_eq!(completions.as_ptr(), buffer);
    queue.reuse(Vec::with_capacity(100_000));
    assert!(queue.take_completions().is_empty());
}
