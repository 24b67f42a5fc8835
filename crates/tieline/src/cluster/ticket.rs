//! Who waits for the outcome of a post.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Inner, one::One, summary::SummaryBuilder};
use crate::{
    Delivery,
    link::{self, Outcome, Unsent, wire},
};

pub(super) enum Ticket {
    One(Arc<Inner>, Box<One>),
    /// A node's part of a message to many.
    Part(Arc<SummaryBuilder>, Arc<str>),
    /// All that was sent before it is decided: nothing more comes back for this client.
    Mark(Arc<Inner>, Arc<str>),
    Ask(oneshot::Sender<Outcome>),
    Nobody,
}

impl link::Ticket for Ticket {
    fn outcome(self, outcome: Outcome) {
        match self {
            Self::One(cluster, one) => cluster.outcome(one, &outcome),
            Self::Part(gather, node) => gather.part(Some(node), reached(&outcome)),
            Self::Mark(cluster, id) => {
                cluster.line.returned_all(&id);
                cluster.advance();
            }
            // Nobody may be waiting.
            Self::Ask(sender) => drop(sender.send(outcome)),
            Self::Nobody => {}
        }
    }
}

fn reached(outcome: &Outcome) -> Result<crate::Reached, Delivery> {
    match outcome {
        Outcome::Reached(reached) => Ok(*reached),
        Outcome::Unsent(Unsent::QueueFull) | Outcome::Code(wire::Code::QueueFull) => {
            Err(Delivery::QueueFull)
        }
        Outcome::Unsent(Unsent::Unreachable) => Err(Delivery::Unreachable),
        Outcome::Code(_) | Outcome::Listing { .. } | Outcome::Unknown => Err(Delivery::Unknown),
    }
}
