//! Messages of backends, with a span that says which nodes they went to.
//!
//! Owns what the span says. Must not know who sends. Invariant: without traces, nothing but the message costs anything.

use tieline::{Cluster, Delivery, NodeReached, Note, Receipt, Summary};
use tracing::{
    Instrument, Span,
    field::{Empty, display},
};

use crate::traces::spans::TARGET;

/// Sends to one connection. The span says whether it is on this node: the library does not tell which other one.
pub(crate) async fn to_one(cluster: &Cluster, id: &str, note: Note) -> Delivery {
    let span = span("connection");
    if !span.is_disabled() {
        let is_here = cluster.hub().online(id);
        span.record("nodes", if is_here { "this" } else { "another" });
    }
    let delivery = cluster.emit(id, note).instrument(span.clone()).await;
    span.record("outcome", display(delivery));
    delivery
}

/// Waits for the outcome of a message to many. `target` is a word of the program.
pub(crate) async fn to_many(target: &'static str, receipt: Receipt<Summary>) -> Summary {
    let span = span(target);
    let summary = receipt.instrument(span.clone()).await;
    if !span.is_disabled() {
        span.record("delivered", summary.reached.delivered);
        let names = |reached: bool| {
            let of_kind = |node: &&NodeReached| node.outcome.is_ok() == reached;
            let nodes = summary.nodes.iter().filter(of_kind);
            let names = nodes.map(|node| node.node.as_deref().unwrap_or("this"));
            names.collect::<Vec<_>>().join(" ")
        };
        span.record("nodes", names(true));
        span.record("missed", names(false));
    }
    summary
}

fn span(target: &'static str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "emit",
        to = target,
        nodes = Empty,
        missed = Empty,
        delivered = Empty,
        outcome = Empty,
    )
}
