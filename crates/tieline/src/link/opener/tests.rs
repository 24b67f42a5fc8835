//! The queue and the pulse by themselves.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;

use super::{
    pulse::Pulse,
    queue::{Queue, Told},
};
use crate::link::{
    outcome::{Outcome, Ticket, Unsent},
    wire::{self, Code, Post},
};

impl Ticket for u64 {
    fn outcome(self, _: Outcome) {}
}

const DELIVERED: Outcome = Outcome::Code(Code::Delivered);

fn emit(bytes: usize) -> Post {
    Post::Emit(wire::Emit {
        data: vec![0; bytes].into(),
        ..wire::Emit::default()
    })
}

/// Takes a batch, and says how many posts it has.
fn take_batch(queue: &mut Queue<u64>) -> usize {
    let mut told = Vec::new();
    let batch = queue.take_batch(usize::MAX, &mut told);
    assert_eq!(told, []);
    wire::Outgoing::decode(batch).unwrap().posts.len()
}

/// A queue of which this many posts were sent.
fn sent(posts: u64) -> Queue<u64> {
    let mut queue = Queue::new(1 << 20);
    let now = Instant::now();
    for ticket in 0..posts {
        queue.push(&emit(1), ticket, false, now).unwrap();
        assert_eq!(take_batch(&mut queue), 1);
    }
    queue
}

fn decide(queue: &mut Queue<u64>, number: u64) -> Told<u64> {
    let mut told = Vec::new();
    queue.decide(number, DELIVERED, &mut told).unwrap();
    queue.tidy();
    told
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
    for (ticket, bytes) in [(0, 1 << 20), (1, 200 << 10), (2, 200 << 10)] {
        queue.push(&emit(bytes), ticket, false, now).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(take_batch(&mut queue), 1);
    }
    for ticket in 3..10_000 {
        queue.push(&emit(1), ticket, false, now).unwrap();
    }
    assert!(take_batch(&mut queue) <= 4_096);
}

#[test]
fn a_queue_that_was_emptied_gives_its_buffer_back() {
    let mut queue = Queue::new(16 << 20);
    for ticket in 0..8 {
        queue
            .push(&emit(1 << 20), ticket, false, Instant::now())
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
    let mut told = Vec::new();
    queue.expire(
        later + Duration::from_millis(995),
        age,
        Unsent::Unreachable,
        &mut told,
    );
    assert_eq!(told, [(0, Outcome::Unknown), (1, Outcome::Unknown)]);
    told.clear();
    queue.expire(later + age, age, Unsent::QueueFull, &mut told);
    assert_eq!(told, [(7, Outcome::Unsent(Unsent::QueueFull))]);
    assert!(queue.is_empty());
}

#[test]
fn the_end_of_a_stream_tells_sent_from_unsent_and_numbers_begin_anew() {
    let mut queue = sent(2);
    queue.push(&emit(1), 2, false, Instant::now()).unwrap();
    let mut told = Vec::new();
    queue.lose_sent(&mut told);
    queue.refuse_waiting(&mut told);
    let unsent = Outcome::Unsent(Unsent::Unreachable);
    assert_eq!(
        told,
        [(0, Outcome::Unknown), (1, Outcome::Unknown), (2, unsent)]
    );
    queue.push(&emit(1), 3, false, Instant::now()).unwrap();
    queue.take_batch(usize::MAX, &mut told);
    assert_eq!(decide(&mut queue, 0), [(3, DELIVERED)]);
}

#[test]
fn silence_counts_from_the_first_thing_unanswered() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut pulse = Pulse::new(start);
    assert!(!pulse.is_suspect(after(10_000)), "nothing is awaited");
    pulse.sent(after(100));
    pulse.sent(after(900));
    assert!(!pulse.is_suspect(after(1_099)) && pulse.is_suspect(after(1_100)));
    assert!(!pulse.is_dead(after(5_000)) && pulse.is_dead(after(5_100)));
    pulse.heard(after(5_200));
    assert!(!pulse.is_suspect(after(9_000)));
}

#[test]
fn pings_go_only_when_something_is_awaited_or_the_link_was_idle() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let mut pulse = Pulse::new(start);
    assert!(!pulse.wants_ping(after(249), true) && !pulse.wants_ping(after(1_999), false));
    assert!(pulse.wants_ping(after(250), true));
    assert!(!pulse.wants_ping(after(900), true), "one at a time");
    assert!(
        pulse.is_suspect(after(1_250)),
        "a ping is awaited as a post is"
    );
}
