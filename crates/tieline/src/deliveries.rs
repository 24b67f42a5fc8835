//! The outcome of one message to many ids.
//!
//! Owns [`Deliveries`], and how the outcomes of the ids are added up. Must not know how a message travels.
//! Invariant: the receipt is decided when every id has its outcome, without a lock.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    delivery::{Delivery, Reached},
    receipt::{Receipt, ReceiptSender},
};

/// The result of a message to many ids: how many clients it was delivered to, and which ids it was not.
///
/// ```
/// # use tieline::{Config, Delivery, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::new(Config::default())?;
/// let deliveries = hub.emit_many(["alice", "bob"], "hello").await;
/// assert_eq!(deliveries.delivered, 0); // nobody is connected yet
/// for (id, why) in deliveries.missed {
///     println!("{id}: {why}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deliveries {
    /// How many of the ids are [`Delivered`](Delivery::Delivered).
    pub delivered: u64,
    /// The other ids, each with its outcome, in no particular order.
    pub missed: Vec<(Arc<str>, Delivery)>,
    /// Whether ids are missing here, because the hub ended first.
    pub incomplete: bool,
}

impl Deliveries {
    /// Whether it was delivered to every id.
    pub fn is_complete(&self) -> bool {
        self.missed.is_empty() && !self.incomplete
    }

    /// Counts the outcome of one id.
    fn record(&mut self, id: impl Into<Arc<str>>, delivery: Delivery) {
        match delivery {
            Delivery::Delivered => self.delivered += 1,
            why => self.missed.push((id.into(), why)),
        }
    }
}

/// The outcome of a hub that ended before the rest was decided.
impl From<Reached> for Deliveries {
    fn from(_: Reached) -> Self {
        Self {
            incomplete: true,
            ..Self::default()
        }
    }
}

/// Adds up what is decided now and later.
#[derive(Default)]
pub(crate) struct DeliveriesBuilder {
    /// What is decided already, while the ids are walked.
    now: Deliveries,
    /// Made for the first id that is decided later.
    later: Option<(Arc<PendingDeliveries>, Receipt<Deliveries>)>,
}

impl DeliveriesBuilder {
    /// The outcome of one id, from its receipt.
    pub(crate) fn add(&mut self, id: impl Into<Arc<str>>, mut receipt: Receipt) {
        if let Some(delivery) = receipt.try_outcome() {
            return self.now.record(id, delivery);
        }
        let part = self.expect(id);
        receipt.on_outcome(move |delivery| part.send(delivery));
    }

    /// The outcome of one id.
    #[cfg(feature = "cluster")]
    pub(crate) fn record(&mut self, id: impl Into<Arc<str>>, delivery: Delivery) {
        self.now.record(id, delivery);
    }

    /// The sender of the outcome of one id.
    pub(crate) fn expect(&mut self, id: impl Into<Arc<str>>) -> DeliverySender {
        let (pending, _) = self.later.get_or_insert_with(PendingDeliveries::open);
        pending.0.lock().open += 1;
        DeliverySender {
            pending: Arc::clone(pending),
            id: id.into(),
        }
    }

    /// All ids are known.
    pub(crate) fn finish(self) -> Receipt<Deliveries> {
        match self.later {
            None => Receipt::decided(self.now),
            Some((pending, receipt)) => {
                pending.end_one(|deliveries| {
                    deliveries.delivered += self.now.delivered;
                    deliveries.missed.extend(self.now.missed);
                });
                receipt
            }
        }
    }
}

/// Outcomes that come later.
pub(crate) struct PendingDeliveries(Mutex<PendingState>);

struct PendingState {
    /// Ids without an outcome, and one until all ids are known.
    open: usize,
    deliveries: Deliveries,
    sender: Option<ReceiptSender<Deliveries>>,
}

impl PendingDeliveries {
    fn open() -> (Arc<Self>, Receipt<Deliveries>) {
        let (sender, receipt) = Receipt::channel();
        let state = PendingState {
            open: 1,
            deliveries: Deliveries::default(),
            sender: Some(sender),
        };
        (Arc::new(Self(Mutex::new(state))), receipt)
    }

    fn end_one(&self, record: impl FnOnce(&mut Deliveries)) {
        let mut state = self.0.lock();
        record(&mut state.deliveries);
        state.open -= 1;
        if state.open == 0
            && let Some(sender) = state.sender.take()
        {
            let deliveries = std::mem::take(&mut state.deliveries);
            drop(state);
            sender.send(deliveries);
        }
    }
}

/// Sends the outcome of one id.
pub(crate) struct DeliverySender {
    pending: Arc<PendingDeliveries>,
    id: Arc<str>,
}

impl DeliverySender {
    pub(crate) fn send(self, delivery: Delivery) {
        let Self { pending, id } = self;
        pending.end_one(|deliveries| deliveries.record(id, delivery));
    }
}

impl std::fmt::Debug for DeliverySender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliverySender")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_decided_now_and_later_is_added_up() {
        let mut builder = DeliveriesBuilder::default();
        builder.add("a", Receipt::decided(Delivery::Delivered));
        let (sender, receipt) = Receipt::channel();
        builder.add("b", receipt);
        builder.add("c", Receipt::decided(Delivery::Offline));
        let last = builder.expect("d");
        let mut receipt = builder.finish();
        sender.send(Delivery::Delivered);
        assert_eq!(receipt.try_outcome(), None);
        last.send(Delivery::QueueFull);
        let mut deliveries = receipt.await;
        deliveries.missed.sort_by(|a, b| a.0.cmp(&b.0));
        let missed = [
            ("c".into(), Delivery::Offline),
            ("d".into(), Delivery::QueueFull),
        ];
        assert_eq!(
            (deliveries.delivered, &*deliveries.missed),
            (2, &missed[..])
        );
        assert!(!deliveries.is_complete());
    }

    #[tokio::test]
    async fn what_a_hub_that_ends_leaves_open_is_incomplete() {
        let mut builder = DeliveriesBuilder::default();
        drop(builder.expect("a"));
        assert!(builder.finish().await.incomplete);
    }
}
