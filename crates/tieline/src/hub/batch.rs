//! Broadcasts that are delivered together: who gets which of them, and the counts.
//!
//! Owns consecutive broadcasts to one scope, and the closes between them. Must not know the queue, or who
//! is in the scope. Nearly all receivers get all frames, in one write. The others joined or left between two
//! broadcasts, are left out of one, or close behind one: they get theirs frame by frame. Invariant: the
//! counts of a broadcast, and those whom their dialect or its filter leaves out, add up to the members that it was queued
//! for; one who is not there at the delivery was offline.

use std::{
    ops::Range,
    sync::{Arc, Weak},
};

use super::{
    content::Cast,
    cork::Cork,
    dialect::DialectId,
    filter::Filter,
    frame_batch::{self, FrameBatch},
    index::Audience,
    inner::ConnectionInner,
    members::{Number, PartialReceiver},
    scope::{Hashed, OwnedScope, Scope},
};
use crate::{close::CloseReason, delivery::Reached, receipt::OutcomeSum};

/// A message to an audience.
pub(super) struct BroadcastJob {
    pub(super) audience: Audience,
    pub(super) message: QueuedCast,
}

/// A message to many, as it is queued in each shard.
pub(super) struct QueuedCast {
    pub(super) cast: Cast,
    /// Who of the audience gets it.
    pub(super) filter: Option<Arc<Filter>>,
    pub(super) sum: Arc<OutcomeSum>,
}

pub(super) struct BroadcastBatch {
    scope: Hashed<OwnedScope>,
    first: Number,
    last: Number,
    frames: FrameBatch<Broadcast>,
    bytes: usize,
    /// Sorted once the batch is complete.
    skips: Vec<Skip>,
    has_filters: bool,
    closes: Vec<(Weak<ConnectionInner>, CloseReason)>,
    /// Connections that took everything that is for their dialect.
    complete: Complete,
    /// The other results of each message; empty as long as there are none.
    partial: Vec<Partial>,
}

/// Connections by dialect.
#[derive(Default)]
struct Complete {
    plain: u64,
    /// Of the other dialects, as far as some were found.
    others: Vec<u64>,
}

/// Results of a message, counted one by one.
#[derive(Debug, Clone, Copy, Default)]
struct Partial {
    reached: Reached,
    /// Connections whose dialect it is not for, or that its filter does not admit.
    left_out: u64,
}

/// What is kept of a broadcast beside its content.
struct Broadcast {
    number: Number,
    receivers: usize,
    filter: Option<Arc<Filter>>,
    sum: Arc<OutcomeSum>,
}

/// Frames that a connection does not get. Its address identifies it: all receivers of a frame, and those
/// left out, were in the hub at the same time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Skip {
    address: usize,
    first: usize,
    end: usize,
}

/// Collecting.
impl BroadcastBatch {
    pub(super) fn new(job: BroadcastJob) -> Self {
        let (scope, excluded, cast, broadcast) = job.into_parts();
        let mut batch = Self {
            scope,
            first: broadcast.number,
            last: broadcast.number,
            has_filters: broadcast.filter.is_some(),
            bytes: cast.len(),
            frames: FrameBatch::new(cast, broadcast),
            skips: Vec::new(),
            closes: Vec::new(),
            complete: Complete::default(),
            partial: Vec::new(),
        };
        batch.exclude(&excluded);
        batch
    }

    /// Whether a broadcast may be added.
    pub(super) fn accepts(&self, job: &BroadcastJob) -> bool {
        self.frames.len() < frame_batch::MAX_FRAMES
            && self.bytes + job.message.cast.len() <= frame_batch::MAX_BYTES
            && self.scope == job.audience.scope
    }

    pub(super) fn push(&mut self, job: BroadcastJob) {
        let (_, excluded, cast, broadcast) = job.into_parts();
        self.has_filters |= broadcast.filter.is_some();
        self.last = broadcast.number;
        self.bytes += cast.len();
        self.frames.push(cast, broadcast);
        self.exclude(&excluded);
    }

    /// Adds a close behind the broadcasts so far: its connection gets no later ones.
    pub(super) fn push_close(&mut self, conn: Weak<ConnectionInner>, reason: CloseReason) {
        self.skips.push(Skip {
            address: conn.as_ptr().addr(),
            first: self.frames.len(),
            end: usize::MAX,
        });
        self.closes.push((conn, reason));
    }

    /// Ends the collection.
    pub(super) fn seal(mut self) -> Self {
        self.skips.sort_unstable();
        self
    }

    /// Leaves connections out of the last broadcast.
    fn exclude(&mut self, addresses: &[usize]) {
        let (first, end) = (self.frames.len() - 1, self.frames.len());
        let skip = |&address| Skip {
            address,
            first,
            end,
        };
        self.skips.extend(addresses.iter().map(skip));
    }
}

impl BroadcastJob {
    fn into_parts(self) -> (Hashed<OwnedScope>, Box<[usize]>, Cast, Broadcast) {
        let Audience {
            scope,
            number,
            receivers,
            excluded,
        } = self.audience;
        let QueuedCast { cast, filter, sum } = self.message;
        let broadcast = Broadcast {
            number,
            receivers,
            filter,
            sum,
        };
        (scope, excluded, cast, broadcast)
    }
}

/// Delivering.
impl BroadcastBatch {
    pub(super) fn scope(&self) -> Hashed<Scope<'_>> {
        self.scope.borrowed()
    }

    /// The numbers of the first and the last broadcast.
    pub(super) fn numbers(&self) -> (Number, Number) {
        (self.first, self.last)
    }

    /// How many broadcasts it has.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// How many entries of the queue it has: broadcasts and closes.
    pub(super) fn entries(&self) -> usize {
        self.frames.len() + self.closes.len()
    }

    /// Sends everything to a connection, except what it is left out of.
    pub(super) fn send(&mut self, conn: &Arc<ConnectionInner>) {
        let refused = self.refused_by_filters(conn);
        if !skips_of(&self.skips, conn).is_empty() || !refused.is_empty() {
            self.send_singly(conn, 0..self.frames.len(), &refused);
            return;
        }
        let failed = conn.send_batch(&self.frames);
        if failed.is_empty() {
            self.complete.add(conn.dialect());
            return;
        }
        // The exception: count one by one.
        self.partial.resize(self.frames.len(), Partial::default());
        for (partial, (cast, _)) in self.partial.iter_mut().zip(self.frames.entries()) {
            if cast.leaves_out(conn.dialect()) {
                partial.left_out += 1;
            } else {
                partial.reached.delivered += 1;
            }
        }
        for (i, delivery) in failed {
            self.partial[i].reached.delivered -= 1;
            self.partial[i].reached.record(delivery);
        }
    }

    /// Sends a part to a connection.
    pub(super) fn send_some(&mut self, receiver: &PartialReceiver<ConnectionInner>) {
        let up_to = |number| self.frames.partition_point(|tag| tag.number <= number);
        let frames = up_to(receiver.after)..up_to(receiver.up_to);
        let refused = self.refused_by_filters(&receiver.member);
        self.send_singly(&receiver.member, frames, &refused);
    }

    /// The places of messages whose filters do not admit a connection.
    fn refused_by_filters(&self, conn: &Arc<ConnectionInner>) -> Vec<usize> {
        if !self.has_filters {
            return Vec::new();
        }
        let refuses = |broadcast: &Broadcast| {
            let filter = broadcast.filter.as_ref();
            filter.is_some_and(|filter| !filter.admits(conn))
        };
        let entries = self.frames.entries().enumerate();
        let places = entries.filter(|(_, (_, broadcast))| refuses(broadcast));
        places.map(|(place, _)| place).collect()
    }

    fn send_singly(
        &mut self,
        conn: &Arc<ConnectionInner>,
        frames: Range<usize>,
        refused: &[usize],
    ) {
        self.partial.resize(self.frames.len(), Partial::default());
        let (batch, partial) = (&self.frames, &mut self.partial);
        let _cork = Cork::new();
        let mut send = |frames: Range<usize>| {
            let each = batch.entries().zip(partial.iter_mut()).enumerate();
            for (place, ((cast, _), partial)) in each.take(frames.end).skip(frames.start) {
                let is_admitted = refused.binary_search(&place).is_err();
                match is_admitted.then(|| conn.rendered(cast)).flatten() {
                    Some(rendered) => partial.reached.record(conn.send_rendered(rendered)),
                    None => partial.left_out += 1,
                }
            }
        };
        let mut next = frames.start;
        for skip in skips_of(&self.skips, conn) {
            send(next..skip.first.min(frames.end));
            next = next.max(skip.end);
        }
        send(next..frames.end);
    }

    /// Adds the results to the outcome of each broadcast; returns the closes that are due now.
    pub(super) fn finish(self) -> Vec<(Weak<ConnectionInner>, CloseReason)> {
        for (i, (cast, broadcast)) in self.frames.entries().enumerate() {
            let mut partial = self.partial.get(i).copied().unwrap_or_default();
            self.complete.count_in(cast, &mut partial);
            let mut part = partial.reached;
            let found = part.delivered + part.offline + part.refused + partial.left_out;
            part.offline += (broadcast.receivers as u64).saturating_sub(found);
            broadcast.sum.add_part(part);
        }
        self.closes
    }
}

impl Complete {
    fn add(&mut self, dialect: DialectId) {
        let Some(other) = dialect.index().checked_sub(1) else {
            self.plain += 1;
            return;
        };
        if self.others.len() <= other {
            self.others.resize(other + 1, 0);
        }
        self.others[other] += 1;
    }

    /// Adds these connections to the results of a message.
    fn count_in(&self, cast: &Cast, partial: &mut Partial) {
        let others = (1..).zip(&self.others);
        for (number, &count) in [(0, &self.plain)].into_iter().chain(others) {
            if count > 0 && cast.leaves_out(DialectId::at(number)) {
                partial.left_out += count;
            } else {
                partial.reached.delivered += count;
            }
        }
    }
}

fn skips_of<'a>(skips: &'a [Skip], conn: &Arc<ConnectionInner>) -> &'a [Skip] {
    let address = Arc::as_ptr(conn).addr();
    let skips = &skips[skips.partition_point(|skip| skip.address < address)..];
    &skips[..skips.partition_point(|skip| skip.address == address)]
}
