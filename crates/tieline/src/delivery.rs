//! What became of an emit.
//!
//! Owns the outcomes: [`Delivery`] for one receiver, [`Reached`] for many. Invariant: `Delivered` is said
//! only of a frame that stands in the outbox of a live connection.

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
