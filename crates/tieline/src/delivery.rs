//! Outcomes of sending.
//!
//! Owns [`Delivery`], for one receiver, and [`Reached`], for many. Invariant: `Delivered` means that the
//! frame is in the outbox of a live connection, never less.

/// The result of a message to one client.
///
/// ```
/// use tieline::{Delivery, Hub};
///
/// async fn notify(hub: &Hub, id: &str) {
///     match hub.emit(id, "hello").await {
///         Delivery::Delivered => {}
///         Delivery::Offline => println!("{id} is not connected"),
///         why => println!("cannot send to {id}: {why}"),
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// The frame is in the outbox of a live connection (one whose upgrade was accepted). It is lost if the
    /// client leaves before it has read it. With [`SlowConsumer::DropOldest`](crate::SlowConsumer) it may
    /// still be discarded later.
    Delivered,
    /// No live connection has this id.
    Offline,
    /// The receiver's outbox is full, and the policy refused the frame
    /// ([`Config::slow_consumer`](crate::Config::slow_consumer)); or the note is not for the receiver's
    /// [`Dialect`](crate::Dialect).
    Refused,
    /// A queue on the way is full; nothing was sent.
    QueueFull,
    /// The client's node, or the registry, cannot be reached; the frame was certainly not sent.
    Unreachable,
    /// The outcome is not known; the frame may or may not have been sent.
    Unknown,
}

impl Delivery {
    /// Whether the frame is in the receiver's outbox.
    pub fn is_delivered(self) -> bool {
        self == Self::Delivered
    }

    /// The result as one lower-case word: `delivered`, `offline`, `refused`, `queue-full`,
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

/// The result of a message to many clients: the number of connections per outcome.
///
/// ```
/// use tieline::{Hub, Reached};
///
/// async fn announce(hub: &Hub) {
///     let Reached { delivered, refused, .. } = hub.broadcast("maintenance at noon").await;
///     println!("{delivered} delivered, {refused} outboxes were full");
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// Connections whose outbox took the frame.
    pub delivered: u64,
    /// Connections that ended between the call and the delivery.
    pub offline: u64,
    /// Connections whose outbox was full.
    pub refused: u64,
    /// Connections that were not tried, because the broadcast queue was full
    /// ([`Config::broadcast_queue_bytes`](crate::Config::broadcast_queue_bytes)).
    pub queue_full: u64,
    /// Whether the counts are incomplete, because the hub ended first.
    pub incomplete: bool,
    /// Whether nobody got the message, because its filter cannot be read
    /// ([`Hub::matching`](crate::Hub::matching)).
    pub filter_refused: bool,
}

impl Reached {
    /// Adds the counts of another part of the same message.
    pub(crate) fn add(&mut self, part: Self) {
        self.delivered += part.delivered;
        self.offline += part.offline;
        self.refused += part.refused;
        self.queue_full += part.queue_full;
        self.incomplete |= part.incomplete;
        self.filter_refused |= part.filter_refused;
    }

    /// Counts one connection.
    pub(crate) fn record(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Delivered => self.delivered += 1,
            Delivery::Refused => self.refused += 1,
            Delivery::QueueFull => self.queue_full += 1,
            Delivery::Offline | Delivery::Unreachable | Delivery::Unknown => self.offline += 1,
        }
    }
}

/// The outcome of a message to one receiver, from its counts.
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
