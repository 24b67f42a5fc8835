//! What became of an emit.
//!
//! Owns the outcomes, [`Delivery`] for one receiver and [`Reached`] for many, and the [`Receipt`]
//! that yields them. Invariant: `Delivered` is said only of a frame that stands in the outbox of a
//! live connection.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// What became of a message to one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// The frame is in the outbox of a live connection, which a connection is once its upgrade is
    /// accepted; a client that leaves before it has read takes along what waited for it. Under
    /// [`SlowConsumer::DropOldest`](crate::SlowConsumer) it may still be discarded later.
    Delivered,
    /// No live connection has that id.
    Offline,
    /// The receiver's outbox is full and its policy refused the frame.
    Refused,
    /// A queue on the way is full; nothing was sent.
    QueueFull,
    /// The node that holds the client, or the registry that knows it, cannot be reached; certainly
    /// nothing was sent.
    Unreachable,
    /// No outcome came; the frame may or may not have been sent.
    Unknown,
}

impl Delivery {
    /// Whether the frame is in the receiver's outbox.
    pub fn is_delivered(self) -> bool {
        self == Self::Delivered
    }

    /// The outcome as one lower-case word: `delivered`, `offline`, `refused`, `queue-full`,
    /// `unreachable`, `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::QueueFull => "queue-full",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a message to many clients: connections counted by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// Connections whose outbox took the frame.
    pub delivered: u64,
    /// Connections that ended between the call and the delivery.
    pub offline: u64,
    /// Connections whose outbox was full.
    pub refused: u64,
    /// Connections not tried, because the broadcast queue was full.
    pub queue_full: u64,
    /// Whether the outcome is incomplete, because the hub ended first.
    pub incomplete: bool,
}

impl Reached {
    /// Adds another part of the same message.
    pub(crate) fn add(&mut self, part: Self) {
        self.delivered += part.delivered;
        self.offline += part.offline;
        self.refused += part.refused;
        self.queue_full += part.queue_full;
        self.incomplete |= part.incomplete;
    }

    pub(crate) fn count(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Delivered => self.delivered += 1,
            Delivery::Refused => self.refused += 1,
            Delivery::QueueFull => self.queue_full += 1,
            Delivery::Offline | Delivery::Unreachable | Delivery::Unknown => self.offline += 1,
        }
    }
}

/// One receiver's outcome out of the counts of a one-receiver message.
impl From<Reached> for Delivery {
    fn from(reached: Reached) -> Self {
        match reached {
            Reached { delivered: 1.., .. } => Self::Delivered,
            Reached { refused: 1.., .. } => Self::Refused,
            Reached {
                queue_full: 1.., ..
            } => Self::QueueFull,
            Reached {
                incomplete: true, ..
            } => Self::Unknown,
            _ => Self::Offline,
        }
    }
}

/// The future of an outcome. The message is on its way whether this is awaited, kept or dropped.
///
/// Cancel-safe: dropping it forgets the outcome and nothing else.
#[derive(Debug)]
pub struct Receipt<T = Delivery>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Decided(Option<T>),
    /// A hub counts.
    Pending(oneshot::Receiver<Reached>),
    /// A cluster tells.
    #[cfg(feature = "cluster")]
    Told(oneshot::Receiver<T>),
}

impl<T> Receipt<T> {
    pub(crate) fn decided(outcome: T) -> Self {
        Self(Inner::Decided(Some(outcome)))
    }

    /// A receipt that whoever holds the sender decides; dropped, it is as if the hub had ended.
    #[cfg(feature = "cluster")]
    pub(crate) fn told() -> (oneshot::Sender<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Inner::Told(receiver)))
    }
}

impl<T: From<Reached>> Receipt<T> {
    /// The outcome, if it is decided already: for one client it nearly always is. Yields it once.
    pub fn try_outcome(&mut self) -> Option<T> {
        match &mut self.0 {
            Inner::Decided(outcome) => outcome.take(),
            Inner::Pending(receiver) => match receiver.try_recv() {
                Ok(reached) => Some(reached.into()),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(lost().into()),
            },
            #[cfg(feature = "cluster")]
            Inner::Told(receiver) => match receiver.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(lost().into()),
            },
        }
    }
}

/// The outcome of a message whose hub ended first.
fn lost() -> Reached {
    Reached {
        incomplete: true,
        ..Reached::default()
    }
}

impl<T: From<Reached> + Unpin> Future for Receipt<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Inner::Decided(outcome) => Poll::Ready(
                outcome
                    .take()
                    .expect("a receipt is not polled after it is ready"),
            ),
            Inner::Pending(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|reached| T::from(reached.unwrap_or_else(|_| lost()))),
            #[cfg(feature = "cluster")]
            Inner::Told(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|outcome| outcome.unwrap_or_else(|_| lost().into())),
        }
    }
}

/// Adds up the outcomes of the parts of one message, one part per shard; the last part to end tells
/// the sum.
pub(crate) struct Tally(Mutex<Counting>);

struct Counting {
    parts: usize,
    reached: Reached,
    /// Told once; it is dropped untold where the hub ends first.
    then: Option<Then>,
}

/// What hears the outcome of a message to many.
pub(crate) type Then = Box<dyn FnOnce(Reached) + Send>;

impl Tally {
    /// A tally of `parts` parts, of which `reached` is known already, and the receipt that they decide.
    pub(crate) fn new<T>(parts: usize, reached: Reached) -> (Arc<Self>, Receipt<T>) {
        let (sender, receiver) = oneshot::channel();
        let then = move |reached| {
            // Nobody may be waiting: a receipt can be dropped.
            let _ = sender.send(reached);
        };
        let tally = Self::then(parts, reached, Box::new(then));
        (tally, Receipt(Inner::Pending(receiver)))
    }

    /// The same for someone who is told. `then` runs under no lock of the hub's, and must be quick.
    pub(crate) fn then(parts: usize, reached: Reached, then: Then) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Counting {
            parts,
            reached,
            then: Some(then),
        })))
    }

    /// Ends one part with its counts.
    pub(crate) fn end_part(&self, part: Reached) {
        let mut counting = self.0.lock();
        counting.reached.add(part);
        counting.parts -= 1;
        if counting.parts == 0
            && let Some(then) = counting.then.take()
        {
            let reached = counting.reached;
            drop(counting);
            then(reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_part_decides_the_receipt() {
        let (tally, receipt) = Tally::new::<Reached>(2, Reached::default());
        tally.end_part(Reached {
            delivered: 2,
            ..Reached::default()
        });
        tally.end_part(Reached {
            delivered: 1,
            refused: 1,
            ..Reached::default()
        });
        let reached = receipt.await;
        assert_eq!((reached.delivered, reached.refused), (3, 1));
    }

    #[tokio::test]
    async fn a_lost_tally_is_unknown() {
        let (tally, receipt) = Tally::new::<Delivery>(1, Reached::default());
        drop(tally);
        assert_eq!(receipt.await, Delivery::Unknown);
    }
}
