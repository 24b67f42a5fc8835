//! How far the message of a backend went.
//!
//! Owns the headers that say so, and the count and the warning when nodes were missed. Must not know what was sent, nor
//! the statuses of a wire. Invariant: a warning a while for all, however many requests miss nodes.

use std::{fmt::Display, sync::Arc};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tieline::{NodeReached, Summary};

use crate::{app::sampled::Sampled, metrics::METRICS};

const DELIVERED: HeaderName = HeaderName::from_static("tieline-delivered");
const REFUSED: HeaderName = HeaderName::from_static("tieline-refused");
const MISSED: HeaderName = HeaderName::from_static("tieline-missed");

/// Counts the nodes that were missed, and warns of them. Clones share the sample.
#[derive(Debug, Clone, Default)]
pub(crate) struct MissedLog(Arc<Sampled>);

impl MissedLog {
    pub(crate) fn missed(&self, node: &str, why: &dyn Display) {
        METRICS.node_missed();
        if let Some(left_out) = self.0.due() {
            tracing::warn!(
                node,
                %why,
                left_out,
                "a backend's request missed the clients of a node"
            );
        }
    }
}

/// Connections that took a message, and nodes that were not reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) delivered: u64,
    /// Connections whose outbox, or a queue on the way, was full.
    pub(crate) refused: u64,
    pub(crate) missed: u64,
}

impl Reach {
    /// That of a message to many. Tells `missed` of each node that was.
    pub(crate) fn of(summary: &Summary, mut missed: impl FnMut(&str, &dyn Display)) -> Self {
        let mut count = 0;
        for NodeReached { node, outcome, .. } in &summary.nodes {
            let node = node.as_deref().unwrap_or_default();
            match outcome {
                Err(why) => missed(node, why),
                Ok(part) if part.filter_refused => missed(node, &"it cannot read the filter"),
                Ok(part) if part.incomplete => missed(node, &"it has ended"),
                Ok(_) => continue,
            }
            count += 1;
        }
        let reached = &summary.reached;
        Self {
            delivered: reached.delivered,
            refused: reached.refused + reached.queue_full,
            missed: count,
        }
    }

    /// Adds that of another message of the same request.
    pub(crate) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.missed += other.missed;
    }

    pub(crate) fn write_to(self, headers: &mut HeaderMap) {
        headers.insert(DELIVERED, HeaderValue::from(self.delivered));
        refused_and_missed(headers, self.refused, self.missed);
    }
}

/// The headers of an operation that delivers nothing.
pub(crate) fn refused_and_missed(headers: &mut HeaderMap, refused: u64, missed: u64) {
    headers.insert(REFUSED, HeaderValue::from(refused));
    headers.insert(MISSED, HeaderValue::from(missed));
}
