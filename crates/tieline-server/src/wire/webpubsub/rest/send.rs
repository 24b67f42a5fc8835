//! Messages of a backend.
//!
//! Owns to whom they go. Must not know how a client reads them. Invariant: a message has no sender, so that no
//! client takes one of a backend for another client's.

use axum::{
    body::Body,
    http::{HeaderMap, Response},
};
use tieline::{Cluster, Note, Receipt, Summary};

use super::{body, error::Error, outcome, path::Target, query::Query};
use crate::{
    app::{about, channels, emit, hubs::HubHandle},
    wire::{outcome::MissedLog, webpubsub::metadata},
};

/// Sends the body of a request.
pub(super) async fn send(
    hub: &HubHandle,
    target: &Target,
    query: &Query,
    (headers, body): (&HeaderMap, Body),
    log: &MissedLog,
) -> Result<Response<Body>, Error> {
    query.check_ttl()?;
    let filter = query.filter()?;
    let bad = |error: String| Error::bad_request("X-WebPubSub-Metadata-*", error);
    let metadata = metadata::read(headers).map_err(|error| bad(error.to_string()))?;
    let event = channels::check_event(hub, metadata.as_ref());
    event.map_err(|error| bad(error.to_string()))?;
    let cluster = hub.cluster();
    let mut note = body::message(headers, body).await?;
    if metadata.is_some() {
        note = note.with_about(about::of("", metadata.as_ref()));
    }
    if let Target::Connection(id) = target {
        let delivery = emit::to_one(cluster, id, note).await;
        return Ok(outcome::sent_to_one(delivery, log));
    }
    // Those to a user have no exceptions.
    let excluded = match target {
        Target::User(_) => Vec::new(),
        _ => query.excluded(),
    };
    let receipt = if filter.is_none() && excluded.is_empty() {
        to_all(cluster, target, note)
    } else {
        to_some(cluster, target, note, (filter, excluded))
    };
    let summary = emit::to_many(target.kind(), receipt).await;
    Ok(outcome::sent_to_many(&summary, log))
}

fn to_all(cluster: &Cluster, target: &Target, note: Note) -> Receipt<Summary> {
    match target {
        Target::Group(group) => cluster.emit_group(group, note),
        Target::User(user) => cluster.emit_user(user, note),
        Target::Everyone | Target::Connection(_) => cluster.broadcast(note),
    }
}

fn to_some(
    cluster: &Cluster,
    target: &Target,
    note: Note,
    (filter, excluded): (Option<String>, Vec<String>),
) -> Receipt<Summary> {
    let mut some = cluster.except(excluded);
    if let Some(filter) = filter {
        some = some.matching(filter);
    }
    match target {
        Target::Group(group) => some.emit_group(group, note),
        Target::User(user) => some.emit_user(user, note),
        Target::Everyone | Target::Connection(_) => some.broadcast(note),
    }
}
