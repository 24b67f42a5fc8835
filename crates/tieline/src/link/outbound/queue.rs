//! The posts of one link: those that wait for the stream, and the tickets of those sent.
//!
//! Owns the bounds, the numbers and the ages. Must not know streams or clocks: times are handed in. A
//! ticket leaves exactly once, by a number that is answered, by age, or by the end of the stream; whoever
//! takes it out tells it, after the link's lock is released.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use foldhash::{HashMap, HashMapExt};
use tokio::time::Instant;

use crate::link::{
    codec::{self, EncodeRequest},
    config::DATA_OVERHEAD,
    outcome::{Completion, NotSent, Outcome},
    proto::RequestKind,
};

/// Posts without outcome. At 10 µs each way a link of 1,000,000 posts a second has some hundred under way;
/// what is beyond this waits for a peer that is too slow.
const UNDECIDED: usize = 65_536;
/// Room beyond [`UNDECIDED`] for urgent posts.
const URGENT: usize = 4_096;
/// The largest batch, unless a single post is larger.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_POSTS: usize = 4_096;
/// What an empty queue keeps of its buffer.
const KEPT: usize = 2 * BATCH_BYTES;
/// Tickets kept in order of their numbers, however few of them are undecided.
const IN_ORDER: usize = 1_024;

/// Tickets that were taken out, to be told.
pub(super) type Completions<T> = Vec<(T, Outcome)>;

/// An outcome for a number that was never sent.
#[derive(Debug)]
pub(super) struct NeverSent;

#[derive(Debug)]
struct Waiting<T> {
    /// How much of the encoded posts is this one's.
    bytes: usize,
    completion: T,
    since: Instant,
}

#[derive(Debug)]
struct Sent<T> {
    completion: T,
    since: Instant,
}

/// The posts of one link.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// What waits, as the stream will carry it.
    encoded: BytesMut,
    /// The most that waited since it was empty.
    peak: usize,
    bound: usize,
    /// The number of the first in `in_order`.
    first: u64,
    in_order: VecDeque<Option<Sent<T>>>,
    /// Tickets that many later ones have overtaken: messages to many are answered when they are through.
    overtaken: HashMap<u64, Sent<T>>,
    /// Tickets in `in_order` and `overtaken`.
    sent: usize,
}

impl<T: Completion> Queue<T> {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            encoded: BytesMut::new(),
            peak: 0,
            bound,
            first: 0,
            in_order: VecDeque::new(),
            overtaken: HashMap::new(),
            sent: 0,
        }
    }

    /// Takes a post in, or gives its ticket back.
    pub(super) fn push(
        &mut self,
        request: &impl EncodeRequest,
        completion: T,
        urgent: bool,
        since: Instant,
    ) -> Result<(), T> {
        let length = request.length();
        let bytes = codec::entry(length);
        let undecided = self.waiting.len() + self.sent;
        // One post always fits an empty queue, as long as peers read it at all.
        let too_large = if self.waiting.is_empty() {
            bytes > self.bound + DATA_OVERHEAD
        } else {
            self.encoded.len() + bytes > self.bound
        };
        let full = if urgent {
            undecided >= UNDECIDED + URGENT
        } else {
            undecided >= UNDECIDED || too_large
        };
        if full {
            return Err(completion);
        }
        codec::append(request, length, &mut self.encoded);
        self.peak = self.peak.max(self.encoded.len());
        self.waiting.push_back(Waiting {
            bytes,
            completion,
            since,
        });
        Ok(())
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether no ticket is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent == 0
    }

    pub(super) fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// The next batch, in order: numbered and handed to the stream from here on. A post that the peer would
    /// not read (larger than `largest`) is told so instead.
    pub(super) fn take_batch(&mut self, largest: usize, completions: &mut Completions<T>) -> Bytes {
        let (mut requests, mut size) = (0, 0);
        while let Some(next) = self.waiting.front() {
            if next.bytes > largest {
                if size > 0 {
                    break;
                }
                self.drop_first(NotSent::QueueFull, completions);
                continue;
            }
            let is_full = requests == BATCH_POSTS || size + next.bytes > BATCH_BYTES.min(largest);
            if requests > 0 && is_full {
                break;
            }
            if let Some(Waiting {
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
        self.release();
        batch
    }

    /// Takes the next post out, for a peer that numbers nothing.
    pub(super) fn take(&mut self) -> Option<(RequestKind, T, Instant)> {
        let next = self.waiting.pop_front()?;
        // A copy: a part of the buffer would hold all of it for as long as the call lasts.
        let entry = Bytes::copy_from_slice(&self.encoded[..next.bytes]);
        self.encoded.advance(next.bytes);
        self.release();
        let request = codec::read(entry).expect("it was encoded here");
        Some((request, next.completion, next.since))
    }

    /// The client that the next post is a message to, if it is one.
    pub(super) fn recipient(&self) -> Option<&[u8]> {
        codec::recipient(&self.encoded)
    }

    fn drop_first(&mut self, why: NotSent, completions: &mut Completions<T>) {
        if let Some(next) = self.waiting.pop_front() {
            self.encoded.advance(next.bytes);
            self.release();
            completions.push((next.completion, Outcome::NotSent(why)));
        }
    }

    /// Gives back what a burst took, once it is through.
    fn release(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        if self.waiting.capacity() > BATCH_POSTS {
            self.waiting.shrink_to(BATCH_POSTS);
        }
        // Its capacity would not tell: what was split off does not count, and still holds the buffer.
        if std::mem::take(&mut self.peak) > KEPT {
            self.encoded = BytesMut::new();
        }
    }

    /// The outcome of a number. One that came too late is nobody's.
    pub(super) fn decide(
        &mut self,
        number: u64,
        outcome: Outcome,
        completions: &mut Completions<T>,
    ) -> Result<(), NeverSent> {
        let sent = match number.checked_sub(self.first) {
            None => self.overtaken.remove(&number),
            Some(place) => {
                let place = usize::try_from(place).map_err(|_| NeverSent)?;
                self.in_order.get_mut(place).ok_or(NeverSent)?.take()
            }
        };
        if let Some(sent) = sent {
            self.sent -= 1;
            completions.push((sent.completion, outcome));
        }
        Ok(())
    }

    /// Forgets what is decided at the front; after outcomes were taken in.
    pub(super) fn tidy(&mut self) {
        while let Some(front) = self.in_order.pop_front() {
            let undecided = self.sent - self.overtaken.len();
            match front {
                None => {}
                Some(sent) if self.in_order.len() > IN_ORDER + 2 * undecided => {
                    self.overtaken.insert(self.first, sent);
                }
                sent => return self.in_order.push_front(sent),
            }
            self.first += 1;
        }
    }

    /// Takes out what is older than `age`. What waits hears `unsent`.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        age: Duration,
        unsent: NotSent,
        completions: &mut Completions<T>,
    ) {
        let is_old = |since: Instant| now.saturating_duration_since(since) >= age;
        while self.waiting.front().is_some_and(|next| is_old(next.since)) {
            self.drop_first(unsent, completions);
        }
        let before = completions.len();
        for place in &mut self.in_order {
            match place {
                Some(sent) if !is_old(sent.since) => break,
                _ => {
                    completions.extend(place.take().map(|sent| (sent.completion, Outcome::Unknown)));
                }
            }
        }
        let overtaken = self.overtaken.extract_if(|_, sent| is_old(sent.since));
        completions.extend(overtaken.map(|(_, sent)| (sent.completion, Outcome::Unknown)));
        self.sent -= completions.len() - before;
        self.tidy();
    }

    /// The stream ended: what it took is unknown. A new one numbers from 0.
    pub(super) fn lose_sent(&mut self, completions: &mut Completions<T>) {
        let in_order = std::mem::take(&mut self.in_order).into_iter().flatten();
        let overtaken = std::mem::take(&mut self.overtaken).into_values();
        completions.extend(
            in_order
                .chain(overtaken)
                .map(|sent| (sent.completion, Outcome::Unknown)),
        );
        self.first = 0;
        self.sent = 0;
    }

    /// What waits will not be sent.
    pub(super) fn refuse_waiting(&mut self, completions: &mut Completions<T>) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        completions.extend(waiting.map(|w| (w.completion, Outcome::NotSent(NotSent::Unreachable))));
        self.encoded = BytesMut::new();
        self.peak = 0;
    }
}
