//! Written receipts: how the sender learns that a message has left for its client.
//!
//! Owns the [`TrackedReceipt`], the [`Tracker`] that decides it, and the outcomes. Must not know outboxes or links.
//! Invariants: a tracker is decided once, and never under a lock, because that wakes whoever waits; one that is
//! dropped undecided is unknown.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{delivery::Delivery, receipt::Receipt};

/// How long a message may take from the call until it has left: then it is not waited for any more.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Whether a message has left for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteOutcome {
    /// The last byte of the message has left the process of the client's node: its kernel has it, or, on a stream
    /// of another HTTP server, that server. The client may not have received it yet, and may never.
    Written,
    /// The outbox has discarded the message in favour of newer ones
    /// ([`SlowConsumer::DropOldest`](crate::SlowConsumer)).
    Discarded,
    /// The connection ended first; a part of the message may have left.
    Lost,
    /// It was not delivered: never in the outbox of a live connection.
    NotDelivered(Delivery),
    /// It is not known: a minute has passed; or the link to the client's node broke, that node reports to as many
    /// others as it may, or it runs an older version or go-websocket. The message may have left, or may do so yet.
    Unknown,
}

impl WriteOutcome {
    /// Whether the message has left.
    pub fn is_written(self) -> bool {
        self == Self::Written
    }

    /// The outcome as one lower-case word: `written`, `discarded`, `lost`, `unknown`, or that of the
    /// [`Delivery`](Delivery::as_str).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Discarded => "discarded",
            Self::Lost => "lost",
            Self::NotDelivered(delivery) => delivery.as_str(),
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for WriteOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The receipt of a message whose way to the client's socket is watched: [`Hub::emit_tracked`](crate::Hub::emit_tracked)
/// and the like make one. The message is sent whatever becomes of the receipt; dropping it forgets the outcomes and
/// nothing else.
///
/// ```
/// use tieline::{Hub, WriteOutcome};
///
/// /// Hands out a voucher, and takes it back if it has certainly not left.
/// async fn hand_out(hub: &Hub, id: &str, voucher: &str) -> bool {
///     match hub.emit_tracked(id, voucher).written().await {
///         WriteOutcome::NotDelivered(_) | WriteOutcome::Discarded => false,
///         _ => true,
///     }
/// }
/// ```
#[must_use = "to forget the outcome, use `emit`, which costs less"]
#[derive(Debug)]
pub struct TrackedReceipt {
    delivery: Progress<Receipt, Delivery>,
    written: Progress<oneshot::Receiver<WriteOutcome>, WriteOutcome>,
    deadline: Instant,
}

/// A future, or what it has yielded.
#[derive(Debug)]
enum Progress<F, T> {
    Pending(F),
    Done(T),
}

impl TrackedReceipt {
    pub(crate) fn new(delivery: Receipt, written: oneshot::Receiver<WriteOutcome>) -> Self {
        Self {
            delivery: Progress::Pending(delivery),
            written: Progress::Pending(written),
            deadline: Instant::now() + WRITE_TIMEOUT,
        }
    }

    /// What a [`Receipt`] yields: whether the message is in the client's outbox. Cancel-safe, and the same each
    /// time.
    pub async fn delivery(&mut self) -> Delivery {
        let delivery = match &mut self.delivery {
            Progress::Pending(receipt) => receipt.await,
            Progress::Done(delivery) => *delivery,
        };
        self.delivery = Progress::Done(delivery);
        delivery
    }

    /// Waits until the message has left, or will not: a minute from the call that sent it at most, then it is
    /// [`Unknown`](WriteOutcome::Unknown). Cancel-safe, and the same each time.
    ///
    /// In a callback, what it sends leaves when it first waits; with a [`Cork`](crate::Cork), when that is dropped.
    pub async fn written(&mut self) -> WriteOutcome {
        let outcome = match self.delivery().await {
            Delivery::Delivered => self.outcome().await,
            Delivery::Unknown => WriteOutcome::Unknown,
            delivery => WriteOutcome::NotDelivered(delivery),
        };
        self.written = Progress::Done(outcome);
        outcome
    }

    async fn outcome(&mut self) -> WriteOutcome {
        match &mut self.written {
            Progress::Pending(outcome) => written_by(self.deadline, outcome).await,
            Progress::Done(outcome) => *outcome,
        }
    }
}

/// What becomes of a message, by the deadline.
pub(crate) async fn written_by(
    deadline: Instant,
    outcome: impl Future<Output = Result<WriteOutcome, oneshot::error::RecvError>>,
) -> WriteOutcome {
    let outcome = timeout_at(deadline, outcome).await;
    outcome.map_or(WriteOutcome::Unknown, |outcome| {
        outcome.unwrap_or(WriteOutcome::Unknown)
    })
}

/// Decides what [`TrackedReceipt::written`] yields.
pub(crate) struct Tracker {
    /// Unique in this process.
    number: u64,
    sender: Mutex<Option<oneshot::Sender<WriteOutcome>>>,
}

impl Tracker {
    /// A tracker, and what it decides.
    pub(crate) fn new() -> (Self, oneshot::Receiver<WriteOutcome>) {
        // From 1: on a link, 0 says that nobody asks.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (sender, outcome) = oneshot::channel();
        let tracker = Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            sender: Mutex::new(Some(sender)),
        };
        (tracker, outcome)
    }

    /// By which a report finds back.
    #[cfg(feature = "cluster")]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Decides, if nothing is decided yet. No lock may be held.
    pub(crate) fn decide(&self, outcome: WriteOutcome) {
        let sender = self.sender.lock().take();
        if let Some(sender) = sender {
            // Nobody may wait any more.
            let _ = sender.send(outcome);
        }
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(delivery: Delivery) -> (Tracker, TrackedReceipt) {
        let (tracker, written) = Tracker::new();
        let receipt = TrackedReceipt::new(Receipt::decided(delivery), written);
        (tracker, receipt)
    }

    #[tokio::test]
    async fn the_first_outcome_stays() {
        let (tracker, mut receipt) = receipt(Delivery::Delivered);
        tracker.decide(WriteOutcome::Lost);
        tracker.decide(WriteOutcome::Written);
        for _ in 0..2 {
            assert_eq!(receipt.delivery().await, Delivery::Delivered);
            assert_eq!(receipt.written().await, WriteOutcome::Lost);
        }
    }

    #[tokio::test]
    async fn what_was_not_delivered_was_not_written() {
        for delivery in [Delivery::Offline, Delivery::Refused, Delivery::Unreachable] {
            let (_tracker, mut receipt) = receipt(delivery);
            let expected = WriteOutcome::NotDelivered(delivery);
            assert_eq!(receipt.written().await, expected);
            assert_eq!(expected.to_string(), delivery.as_str());
        }
        let (_tracker, mut receipt) = receipt(Delivery::Unknown);
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
    }

    #[tokio::test]
    async fn nobody_decides_once_the_tracker_is_gone() {
        let (tracker, mut receipt) = receipt(Delivery::Delivered);
        drop(tracker);
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_after_the_call_it_is_unknown() {
        let (tracker, mut receipt) = receipt(Delivery::Delivered);
        let started = Instant::now();
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        tracker.decide(WriteOutcome::Written);
        assert_eq!(receipt.written().await, WriteOutcome::Unknown);
    }
}
