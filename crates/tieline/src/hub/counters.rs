//! What a hub counts while messages pass.
//!
//! Owns the counts. Must not know for whom something is counted. Each thread adds to a stripe of its own, by a
//! load and a store, so counting costs a nanosecond and no thread waits for another; a snapshot adds the
//! stripes up. Invariants: counts only grow; a stripe has one writer; that of a thread which has ended is
//! merged into the rest, so that threads which come and go leave nothing behind.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

use parking_lot::Mutex;

use crate::{
    close::CloseReason,
    delivery::{Delivery, Reached},
};

use super::stats::{Ends, Traffic};

#[derive(Debug)]
pub(crate) struct Counters {
    /// Tells the hubs of a process apart.
    id: u32,
    stripes: Mutex<Stripes>,
    opened: AtomicU64,
    ended: Mutex<Ends>,
}

#[derive(Debug, Default)]
struct Stripes {
    of_threads: Vec<Arc<Stripe>>,
    /// Of threads that have ended.
    rest: Counts,
}

/// The counts of one thread, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; KINDS]);

type Counts = [u64; KINDS];

/// What is counted for each message.
#[derive(Debug, Clone, Copy)]
enum Kind {
    MessagesIn,
    BytesIn,
    FramesOut,
    BytesOut,
    Delivered,
    Offline,
    Refused,
    QueueFull,
}

const KINDS: usize = 8;

thread_local! {
    /// This thread's stripe of each hub that it has counted for.
    static OWN: RefCell<Vec<(u32, Arc<Stripe>)>> = const { RefCell::new(Vec::new()) };
}

impl Counters {
    pub(super) fn new() -> Self {
        static IDS: AtomicU32 = AtomicU32::new(0);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            stripes: Mutex::default(),
            opened: AtomicU64::new(0),
            ended: Mutex::default(),
        }
    }

    /// The upgrade of a connection is complete.
    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a connection has ended.
    pub(super) fn ended(&self, reason: &CloseReason) {
        let ended = &mut *self.ended.lock();
        let count = match reason {
            CloseReason::Client(_) => &mut ended.client,
            CloseReason::Application(_) => &mut ended.application,
            CloseReason::Replaced => &mut ended.replaced,
            CloseReason::Drain => &mut ended.drain,
            CloseReason::SlowConsumer => &mut ended.slow_consumer,
            CloseReason::Silent => &mut ended.silent,
            CloseReason::Unfinished => &mut ended.unfinished,
            CloseReason::TooFast => &mut ended.too_fast,
            CloseReason::Protocol(_) => &mut ended.protocol,
            CloseReason::Panic => &mut ended.panic,
            CloseReason::Lost(_) => &mut ended.lost,
        };
        *count += 1;
    }

    /// Messages of a client are complete.
    pub(crate) fn messages_in(&self, messages: u64) {
        self.add([(Kind::MessagesIn, messages)]);
    }

    /// Bytes of a client have arrived.
    pub(crate) fn bytes_in(&self, bytes: usize) {
        self.add([(Kind::BytesIn, bytes as u64)]);
    }

    /// Frames and bytes have left for a client, and some were delivered meanwhile.
    pub(super) fn left(&self, delivered: u64, frames: u64, bytes: usize) {
        self.add([
            (Kind::Delivered, delivered),
            (Kind::FramesOut, frames),
            (Kind::BytesOut, bytes as u64),
        ]);
    }

    /// What happened to messages, each for one connection.
    pub(super) fn deliveries(&self, delivery: Delivery, count: u64) {
        let kind = match delivery {
            Delivery::Delivered => Kind::Delivered,
            Delivery::Refused => Kind::Refused,
            Delivery::QueueFull => Kind::QueueFull,
            Delivery::Offline | Delivery::Unreachable | Delivery::Unknown => Kind::Offline,
        };
        self.add([(kind, count)]);
    }

    fn add<const N: usize>(&self, counts: [(Kind, u64); N]) {
        // While a thread ends it has no stripe any more: what it counts then is lost.
        let _ = OWN.try_with(|own| {
            let mut own = own.borrow_mut();
            let place = own.iter().position(|(hub, _)| *hub == self.id);
            let place = place.unwrap_or_else(|| {
                own.retain(|(_, stripe)| Arc::strong_count(stripe) > 1);
                own.push((self.id, self.stripes.lock().add()));
                own.len() - 1
            });
            let stripe = &own[place].1.0;
            for (kind, count) in counts {
                let counter = &stripe[kind as usize];
                let before = counter.load(Ordering::Relaxed);
                counter.store(before.wrapping_add(count), Ordering::Relaxed);
            }
        });
    }
}

/// Snapshots.
impl Counters {
    pub(super) fn traffic(&self) -> (Traffic, Reached) {
        let counts = self.stripes.lock().sum();
        let count = |kind| counts[kind as usize];
        let traffic = Traffic {
            messages_in: count(Kind::MessagesIn),
            bytes_in: count(Kind::BytesIn),
            frames_out: count(Kind::FramesOut),
            bytes_out: count(Kind::BytesOut),
        };
        let deliveries = Reached {
            delivered: count(Kind::Delivered),
            offline: count(Kind::Offline),
            refused: count(Kind::Refused),
            queue_full: count(Kind::QueueFull),
            ..Reached::default()
        };
        (traffic, deliveries)
    }

    /// Connections whose upgrade was ever completed.
    pub(super) fn all_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn ends(&self) -> Ends {
        *self.ended.lock()
    }
}

impl Stripes {
    /// A stripe for a thread that has none.
    fn add(&mut self) -> Arc<Stripe> {
        let Self { of_threads, rest } = self;
        of_threads.retain(|stripe| {
            let is_used = Arc::strong_count(stripe) > 1;
            if !is_used {
                // After what the thread counted last.
                fence(Ordering::Acquire);
                merge(rest, stripe);
            }
            is_used
        });
        let stripe = Arc::<Stripe>::default();
        of_threads.push(Arc::clone(&stripe));
        stripe
    }

    fn sum(&self) -> Counts {
        let mut sum = self.rest;
        for stripe in &self.of_threads {
            merge(&mut sum, stripe);
        }
        sum
    }
}

fn merge(into: &mut Counts, stripe: &Stripe) {
    for (sum, count) in into.iter_mut().zip(&stripe.0) {
        *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn messages(counters: &Counters) -> u64 {
        counters.traffic().0.messages_in
    }

    #[test]
    fn what_threads_count_at_the_same_time_is_added_up() {
        let (counters, other) = (Counters::new(), Counters::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counters.messages_in(2);
                        other.messages_in(1);
                    }
                });
            }
        });
        assert_eq!((messages(&counters), messages(&other)), (80_000, 40_000));
    }

    #[test]
    fn threads_that_come_and_go_leave_their_counts_and_nothing_else() {
        let counters = Counters::new();
        for _ in 0..100 {
            thread::scope(|scope| {
                scope.spawn(|| counters.messages_in(1)).join().unwrap();
            });
        }
        assert_eq!(messages(&counters), 100);
        assert!(counters.stripes.lock().of_threads.len() <= 2);
    }

    #[test]
    fn hubs_that_come_and_go_leave_nothing_in_a_thread() {
        for _ in 0..100 {
            Counters::new().messages_in(1);
        }
        OWN.with_borrow(|own| assert!(own.len() <= 2));
    }
}
