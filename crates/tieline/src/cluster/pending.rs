//! Who waits for the outcome of a post.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Inner, summary::SummaryBuilder, unicast::Unicast};
use crate::{
    Delivery,
    link::{self, NotSent, Outcome, proto},
};

pub(super) enum PendingReply {
    Unicast(Arc<Inner>, Box<Unicast>),
    /// A node's part of a message to many.
    Part(Arc<SummaryBuilder>, Arc<str>),
    /// All that was sent before it is decided: nothing more comes back for this client.
    Barrier(Arc<Inner>, Arc<str>),
    Query(oneshot::Sender<Outcome>),
    Discard,
}

impl link::Completion for PendingReply {
    fn complete(self, outcome: Outcome) {
        match self {
            Self::Unicast(cluster, msg) => cluster.outcome(msg, &outcome),
            Self::Part(builder, node) => builder.part(Some(node), reached(&outcome)),
            Self::Barrier(cluster, id) => {
                cluster.ordering.all_bounced(&id);
                cluster.dispatch_ready();
            }
            // Nobody may be waiting.
            Self::Query(sender) => drop(sender.send(outcome)),
            Self::Discard => {}
        }
    }
}

fn reached(outcome: &Outcome) -> Result<crate::Reached, Delivery> {
    match outcome {
        Outcome::Reached(reached) => Ok(*reached),
        Outcome::NotSent(NotSent::QueueFull) | Outcome::Code(proto::OutcomeCode::QueueFull) => {
            Err(Delivery::QueueFull)
        }
        Outcome::NotSent(NotSent::Unreachable) => Err(Delivery::Unreachable),
        Outcome::Code(_) | Outcome::Listing { .. } | Outcome::Unknown => Err(Delivery::Unknown),
    }
}
