//! The events that wait for a webhook.
//!
//! Owns which of them may be sent next: of a channel, one request at a time. Must not know how they are sent.
//! Invariants: events of a channel leave in the order in which they came; what waits has a bound.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{event::Event, progress::Receipt};

/// Most events that wait, at some 200 bytes each. As many as the journal of presence keeps changes.
const MAX_WAITING: usize = 1 << 16;

/// Most bytes of what they say: clients send much longer ones.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Most events of a request.
const MAX_BATCH: usize = 100;

/// An event that is to be sent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) event: Event,
    /// When it is given up.
    pub(super) deadline: Instant,
    /// Held until it is sent or given up; `None` for events of this node.
    pub(super) receipt: Option<Arc<Receipt>>,
}

impl Job {
    /// Whether it is still for this node to send it.
    pub(super) fn is_current(&self) -> bool {
        self.receipt
            .as_ref()
            .is_none_or(|receipt| receipt.is_current())
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    channels: HashMap<Arc<str>, Waiting>,
    /// Channels with events of which none is being sent, in the order in which they get their turn.
    ready: VecDeque<Arc<str>>,
    waiting: usize,
    /// Of what they say.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_busy: bool,
}

impl Queue {
    /// Adds an event. Returns it if too many wait.
    pub(super) fn push(&mut self, job: Job) -> Option<Job> {
        let bytes = self.bytes + job.event.len();
        if self.waiting >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
            return Some(job);
        }
        self.waiting += 1;
        self.bytes = bytes;
        let channel = &job.event.channel;
        let waiting = self.channels.entry(Arc::clone(channel)).or_default();
        if waiting.jobs.is_empty() && !waiting.is_busy {
            self.ready.push_back(Arc::clone(channel));
        }
        waiting.jobs.push_back(job);
        None
    }

    /// What to send next: one event, or a batch. Their channels wait until [`sent`](Self::sent).
    pub(super) fn take(&mut self, is_batched: bool) -> Vec<Job> {
        let most = if is_batched { MAX_BATCH } else { 1 };
        let mut batch = Vec::new();
        while batch.len() < most {
            let Some(channel) = self.ready.pop_front() else {
                break;
            };
            let Some(waiting) = self.channels.get_mut(&channel) else {
                continue;
            };
            waiting.is_busy = true;
            let count = waiting.jobs.len().min(most - batch.len());
            batch.extend(waiting.jobs.drain(..count));
        }
        self.waiting -= batch.len();
        self.bytes -= batch.iter().map(|job| job.event.len()).sum::<usize>();
        batch
    }

    /// A batch was sent, or given up.
    pub(super) fn sent(&mut self, batch: &[Job]) {
        for job in batch {
            let channel = &job.event.channel;
            let Some(waiting) = self.channels.get_mut(channel) else {
                continue;
            };
            if waiting.jobs.is_empty() {
                self.channels.remove(channel);
            } else if std::mem::take(&mut waiting.is_busy) {
                self.ready.push_back(Arc::clone(channel));
            }
        }
    }

    /// Whether nothing waits and nothing is being sent.
    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::sections::pusher_webhooks::WebhookEvent;

    /// The number of an event is when it is given up.
    fn job(channel: &str, number: u64, start: Instant) -> Job {
        Job {
            event: Event::of_channel(WebhookEvent::CacheMiss, channel),
            deadline: start + std::time::Duration::from_secs(number),
            receipt: None,
        }
    }

    #[test]
    fn what_waits_has_a_bound() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..MAX_WAITING {
            assert!(queue.push(job(&(number % 7).to_string(), 0, now)).is_none());
        }
        assert!(queue.push(job("more", 0, now)).is_some());
        let batch = queue.take(true);
        assert_eq!(batch.len(), MAX_BATCH);
        assert!(queue.push(job("more", 0, now)).is_none());
    }

    #[test]
    fn what_clients_say_has_a_bound_too() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let long = "x".repeat(MAX_WAITING_BYTES / 4);
        let taken = (0..8).filter(|_| queue.push(job(&long, 0, now)).is_none());
        assert_eq!(taken.count(), 3, "each says a little more than its channel");
        let first = queue.take(false);
        queue.sent(&first);
        assert!(queue.push(job(&long, 0, now)).is_none());
        while !queue.is_empty() {
            let batch = queue.take(true);
            queue.sent(&batch);
        }
        assert_eq!((queue.waiting, queue.bytes), (0, 0));
    }

    proptest! {
        /// Whatever is sent when, each channel's events leave in order and one request at a time, and none stays.
        #[test]
        fn a_channel_keeps_its_order(
            is_batched: bool,
            steps in prop::collection::vec((0..6u8, 0..4usize, any::<prop::sample::Index>()), 0..200)
        ) {
            let (mut queue, start) = (Queue::default(), Instant::now());
            let mut sending: Vec<Vec<Job>> = Vec::new();
            let (mut pushed, mut left) = (0, 0);
            let mut last: HashMap<Arc<str>, Instant> = HashMap::new();
            for (what, channel, which) in steps {
                match what {
                    0..=2 => {
                        pushed += 1;
                        let pushed = queue.push(job(&channel.to_string(), pushed, start));
                        prop_assert!(pushed.is_none());
                    }
                    3 | 4 => {
                        let batch = queue.take(is_batched);
                        prop_assert!(is_batched || batch.len() <= 1);
                        for Job { event, deadline, .. } in &batch {
                            let mut others = sending.iter().flatten();
                            prop_assert!(others.all(|job| job.event.channel != event.channel));
                            let before = last.insert(Arc::clone(&event.channel), *deadline);
                            prop_assert!(before.is_none_or(|before| before < *deadline));
                        }
                        left += batch.len() as u64;
                        sending.push(batch);
                    }
                    _ if !sending.is_empty() => {
                        let batch = sending.remove(which.index(sending.len()));
                        queue.sent(&batch);
                    }
                    _ => {}
                }
            }
            while !queue.is_empty() {
                sending.drain(..).for_each(|batch| queue.sent(&batch));
                let batch = queue.take(is_batched);
                left += batch.len() as u64;
                sending.push(batch);
            }
            prop_assert_eq!(pushed, left);
            prop_assert!(queue.ready.is_empty() && queue.waiting == 0);
        }
    }
}
