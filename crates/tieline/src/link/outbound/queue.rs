//! The requests of one link: those that wait for the stream, and the completions of those sent.
//!
//! Owns bounds, numbers and ages. Must not know streams or clocks: times are passed in. Invariant: each
//! completion leaves exactly once, because its number is answered, because it is too old, or because the
//! stream ends. It is collected, to be called after the link's lock is released.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use foldhash::{HashMap, HashMapExt};
use tokio::time::Instant;

use crate::link::{
    codec::{self, EncodeRequest},
    outcome::{Completion, NotSent, Outcome},
    proto::{REQUEST_OVERHEAD, RequestKind},
};

/// Requests without outcome. At 10 µs each way, a link with 1,000,000 requests a second has some hundred in
/// flight; a peer with more than this is too slow.
const MAX_REQUESTS: usize = 65_536;
/// Additional urgent requests.
const URGENT_RESERVE: usize = 4_096;
/// The largest batch, unless a single request is larger.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_REQUESTS: usize = 4_096;
/// The largest buffer that an empty queue keeps.
const MAX_IDLE_BUFFER: usize = 2 * BATCH_BYTES;
/// The largest buffer for completions that is kept, in entries: the outcomes of one batch.
const MAX_IDLE_COMPLETIONS: usize = BATCH_REQUESTS;
/// Completions kept in the order of their numbers, however few of them are undecided.
const ORDERED_WINDOW: usize = 1_024;

/// Completions to call, with their outcomes.
pub(super) type Completions<T> = Vec<(T, Outcome)>;

/// An outcome for a number that was never sent.
#[derive(Debug)]
pub(super) struct UnknownNumber;

/// Which bounds apply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Normal,
    /// Exempt from the bound on bytes; for small requests.
    Urgent,
}

#[derive(Debug)]
struct QueuedRequest<T> {
    /// The request's share of the encoded bytes.
    bytes: usize,
    completion: T,
    since: Instant,
}

#[derive(Debug)]
struct Sent<T> {
    completion: T,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct RequestQueue<T> {
    waiting: VecDeque<QueuedRequest<T>>,
    /// The waiting requests, encoded as the stream carries them.
    encoded: BytesMut,
    /// The largest size of `encoded` since it was last empty.
    peak: usize,
    max_bytes: usize,
    /// The number of the first entry of `in_order`.
    first: u64,
    in_order: VecDeque<Option<Sent<T>>>,
    /// Completions that many later ones have overtaken: messages to many clients take longer than others.
    overtaken: HashMap<u64, Sent<T>>,
    /// Completions in `in_order` and `overtaken`.
    sent: usize,
    completions: Completions<T>,
}

impl<T: Completion> RequestQueue<T> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            encoded: BytesMut::new(),
            peak: 0,
            max_bytes,
            first: 0,
            in_order: VecDeque::new(),
            overtaken: HashMap::new(),
            sent: 0,
            completions: Vec::new(),
        }
    }

    /// Adds a request, or gives its completion back if a bound is reached, with the reason.
    pub(super) fn push(
        &mut self,
        request: &impl EncodeRequest,
        completion: T,
        priority: Priority,
        since: Instant,
    ) -> Result<(), (T, NotSent)> {
        let length = request.encoded_len();
        let bytes = codec::len_in_batch(length);
        if self.is_full(bytes, priority) {
            let is_too_large = bytes > self.max_bytes + REQUEST_OVERHEAD;
            let why = if is_too_large {
                NotSent::TooLarge
            } else {
                NotSent::QueueFull
            };
            return Err((completion, why));
        }
        codec::append_to_batch(request, length, &mut self.encoded);
        self.peak = self.peak.max(self.encoded.len());
        self.waiting.push_back(QueuedRequest {
            bytes,
            completion,
            since,
        });
        Ok(())
    }

    fn is_full(&self, bytes: usize, priority: Priority) -> bool {
        let requests = self.waiting.len() + self.sent;
        if priority == Priority::Urgent {
            return requests >= MAX_REQUESTS + URGENT_RESERVE;
        }
        // A request of the largest size always fits an empty queue.
        let is_too_large = if self.waiting.is_empty() {
            bytes > self.max_bytes + REQUEST_OVERHEAD
        } else {
            self.encoded.len() + bytes > self.max_bytes
        };
        requests >= MAX_REQUESTS || is_too_large
    }

    /// How many requests and bytes wait to be sent.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.encoded.len())
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// Whether no request is without outcome.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent == 0
    }

    /// The completions to call. Allocates nothing if there are none.
    pub(super) fn take_completions(&mut self) -> Completions<T> {
        if self.completions.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.completions)
    }

    /// Keeps an empty buffer for the next completions.
    pub(super) fn reuse(&mut self, buffer: Completions<T>) {
        if self.completions.capacity() == 0 && buffer.capacity() <= MAX_IDLE_COMPLETIONS {
            self.completions = buffer;
        }
    }

    /// Takes the next batch, in order. Its requests are numbered and count as sent from now on. A request
    /// that is too large for the peer (more than `max_request` bytes) is decided instead.
    pub(super) fn take_batch(&mut self, max_request: usize) -> Bytes {
        let (mut requests, mut size) = (0, 0);
        while let Some(next) = self.waiting.front() {
            if next.bytes > max_request {
                if size > 0 {
                    break;
                }
                self.drop_first(NotSent::TooLarge);
                continue;
            }
            let is_full =
                requests == BATCH_REQUESTS || size + next.bytes > BATCH_BYTES.min(max_request);
            if requests > 0 && is_full {
                break;
            }
            if let Some(QueuedRequest {
                bytes,
                completion,
                since,
            }) = self.waiting.pop_front()
            {
                self.in_order.push_back(Some(Sent { completion, since }));
                (requests, size) = (requests + 1, size + bytes);
            }
        }
        self.sent += requests;
        let batch = self.encoded.split_to(size).freeze();
        self.release_memory();
        batch
    }

    /// Takes the next request out, for a peer without numbers.
    pub(super) fn take_request(&mut self) -> Option<(RequestKind, T, Instant)> {
        let next = self.waiting.pop_front()?;
        // Copied: a slice would keep the whole buffer for as long as the call lasts.
        let encoded = Bytes::copy_from_slice(&self.encoded[..next.bytes]);
        self.encoded.advance(next.bytes);
        self.release_memory();
        let request = codec::decode_first(encoded).expect("it was encoded here");
        Some((request, next.completion, next.since))
    }

    /// The client to which the next request sends, if that is an emit.
    pub(super) fn next_recipient(&self) -> Option<&[u8]> {
        codec::first_recipient(&self.encoded)
    }

    fn drop_first(&mut self, why: NotSent) {
        if let Some(next) = self.waiting.pop_front() {
            self.encoded.advance(next.bytes);
            self.release_memory();
            self.completions
                .push((next.completion, Outcome::NotSent(why)));
        }
    }

    /// Decides the requests that wait and are in a namespace: the peer has turned out to know none.
    pub(super) fn drop_namespaced(&mut self) {
        let mut encoded = std::mem::take(&mut self.encoded);
        for next in std::mem::take(&mut self.waiting) {
            let request = encoded.split_to(next.bytes);
            if codec::is_namespaced(&request) {
                let why = Outcome::NotSent(NotSent::NoNamespaces);
                self.completions.push((next.completion, why));
            } else {
                self.encoded.extend_from_slice(&request);
                self.waiting.push_back(next);
            }
        }
        self.release_memory();
    }

    /// Releases the memory of a burst once the queue is empty.
    fn release_memory(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        if self.waiting.capacity() > BATCH_REQUESTS {
            self.waiting.shrink_to(BATCH_REQUESTS);
        }
        // The capacity does not show it: it does not include what was split off, which still keeps the buffer.
        if std::mem::take(&mut self.peak) > MAX_IDLE_BUFFER {
            self.encoded = BytesMut::new();
        }
    }

    /// Decides the request with this number. Does nothing if it has already been decided.
    pub(super) fn decide(&mut self, number: u64, outcome: Outcome) -> Result<(), UnknownNumber> {
        let sent = match number.checked_sub(self.first) {
            None => self.overtaken.remove(&number),
            Some(index) => {
                let index = usize::try_from(index).map_err(|_| UnknownNumber)?;
                self.in_order.get_mut(index).ok_or(UnknownNumber)?.take()
            }
        };
        if let Some(sent) = sent {
            self.sent -= 1;
            self.completions.push((sent.completion, outcome));
        }
        Ok(())
    }

    /// Removes decided entries at the front; called after outcomes.
    pub(super) fn trim(&mut self) {
        while let Some(front) = self.in_order.pop_front() {
            let undecided = self.sent - self.overtaken.len();
            match front {
                None => {}
                Some(sent) if self.in_order.len() > ORDERED_WINDOW + 2 * undecided => {
                    self.overtaken.insert(self.first, sent);
                }
                sent => return self.in_order.push_front(sent),
            }
            self.first += 1;
        }
    }

    /// Decides requests that are at least `max_age` old. Waiting ones get `not_sent`.
    pub(super) fn expire(&mut self, now: Instant, max_age: Duration, not_sent: NotSent) {
        let is_old = |since: Instant| now.saturating_duration_since(since) >= max_age;
        while self.waiting.front().is_some_and(|next| is_old(next.since)) {
            self.drop_first(not_sent);
        }
        let before = self.completions.len();
        for entry in &mut self.in_order {
            match entry {
                Some(sent) if !is_old(sent.since) => break,
                _ => {
                    let sent = entry.take();
                    self.completions
                        .extend(sent.map(|sent| (sent.completion, Outcome::Unknown)));
                }
            }
        }
        let overtaken = self.overtaken.extract_if(|_, sent| is_old(sent.since));
        self.completions
            .extend(overtaken.map(|(_, sent)| (sent.completion, Outcome::Unknown)));
        self.sent -= self.completions.len() - before;
        self.trim();
    }

    /// Decides all sent requests as unknown, since their stream has ended. The next one numbers from 0.
    pub(super) fn fail_sent(&mut self) {
        let in_order = std::mem::take(&mut self.in_order).into_iter().flatten();
        let overtaken = std::mem::take(&mut self.overtaken).into_values();
        let sent = in_order.chain(overtaken);
        self.completions
            .extend(sent.map(|sent| (sent.completion, Outcome::Unknown)));
        self.first = 0;
        self.sent = 0;
    }

    /// Decides all waiting requests as not sent.
    pub(super) fn fail_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.completions
            .extend(waiting.map(|next| (next.completion, Outcome::NotSent(NotSent::Unreachable))));
        self.encoded = BytesMut::new();
        self.peak = 0;
    }
}
