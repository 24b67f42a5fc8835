//! Events of a backend.
//!
//! Owns how they are sent, and what the answer says. Must not know signatures. Invariants: nothing is sent before all
//! events of a request have been checked; the answer waits for other nodes only if the backend wants to know who got
//! an event; that no node could be sent anything is an error in any case.

use std::collections::BTreeMap;

use axum::response::Response;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use tieline::{Cluster, Delivery, Receipt, Summary, ValuesError};

use super::{
    answer::{EMPTY, json_response},
    caller::Caller,
    channels::About,
    error::ApiError,
    info::Info,
    trigger::{Trigger, channel},
};
use crate::{
    app::emit,
    wire::{
        outcome::{MissedLog, Reach},
        pusher::{cache, event},
    },
};

/// Publishes the event of a body.
pub(super) async fn trigger(caller: &Caller, body: &[u8]) -> Result<Response, ApiError> {
    publish(caller, Trigger::of_body(body, &caller.app.rules)?).await
}

/// Publishes an event.
pub(super) async fn publish(caller: &Caller, event: Trigger<'_>) -> Result<Response, ApiError> {
    let events = std::slice::from_ref(&event);
    caller.keep(events).await?;
    let Some(info) = event.info else {
        caller.send(events)?;
        return Ok(json_response(EMPTY));
    };
    let outcomes = caller.send_for(events, info.delivered).await?;
    let about = caller.describe_known(asked(&event)?).await;
    let channels = event.channels.iter().zip(about).enumerate();
    let channels = channels.map(|(at, (name, about))| {
        let about = with_outcome(&about, outcomes.get(at));
        (name.clone().into_owned(), about)
    });
    let channels: serde_json::Map<_, _> = channels.collect();
    let answer = json_response(json!({ "channels": channels }).to_string());
    Ok(with_headers(answer, &outcomes))
}

/// Publishes the events of a body.
pub(super) async fn batch(caller: &Caller, body: &[u8]) -> Result<Response, ApiError> {
    let events = Trigger::of_batch(body, &caller.app.rules)?;
    caller.keep(&events).await?;
    if events.iter().all(|event| event.info.is_none()) {
        caller.send(&events)?;
        return Ok(json_response(EMPTY));
    }
    let info = |event: &Trigger<'_>| event.info.unwrap_or_default();
    let is_awaited = events.iter().any(|event| info(event).delivered);
    let outcomes = caller.send_for(&events, is_awaited).await?;
    // Each has one channel.
    let channels = events.iter().map(asked).collect::<Result<Vec<_>, _>>()?;
    let about = caller.describe_known(channels.concat()).await.into_iter();
    let batch = about.zip(&events).enumerate().map(|(at, (about, event))| {
        let outcome = outcomes.get(at).filter(|_| info(event).delivered);
        with_outcome(&about, outcome)
    });
    let batch: Vec<_> = batch.collect();
    let answer = json_response(json!({ "batch": batch }).to_string());
    Ok(with_headers(answer, &outcomes))
}

/// How far an event went on a channel.
struct Outcome {
    reach: Reach,
    /// The addresses of nodes that were not reached.
    missed: Vec<String>,
    /// Whether something was sent, as far as is known, or there was nobody to send to.
    is_sent: bool,
}

impl Outcome {
    fn of(summary: &Summary, log: &MissedLog) -> Self {
        let mut missed = Vec::new();
        let reach = Reach::of(summary, |node, why| {
            log.missed(node, why);
            missed.push(node.to_owned());
        });
        let is_not_sent = |why| matches!(why, Delivery::Unreachable | Delivery::QueueFull);
        let mut nodes = summary.nodes.iter();
        let failed = summary.reached.queue_full > 0
            || nodes.any(|part| part.outcome.is_err_and(is_not_sent));
        let mut nodes = summary.nodes.iter();
        let reached = &summary.reached;
        let some = reached.delivered + reached.refused + reached.offline > 0
            || nodes.any(|part| part.outcome == Err(Delivery::Unknown));
        Self {
            reach,
            missed,
            is_sent: some || !failed,
        }
    }
}

impl Caller {
    /// Keeps those events that their channels give to later subscribers, before they are sent.
    async fn keep(&self, events: &[Trigger<'_>]) -> Result<(), ApiError> {
        let mut last = BTreeMap::new();
        for event in events {
            for name in &event.channels {
                if channel(name)?.is_cached() {
                    last.insert(&**name, (&*event.name, &*event.data));
                }
            }
        }
        let cluster = self.hub.handle().cluster();
        let mut kept = FuturesUnordered::new();
        for (channel, event) in last {
            let expiry = self.app.rules.cache_expiry;
            kept.push(cache::keep(cluster, channel, event, expiry));
        }
        while let Some(kept) = kept.next().await {
            kept.map_err(not_kept)?;
        }
        Ok(())
    }

    /// Sends events, and waits for nobody.
    fn send(&self, events: &[Trigger<'_>]) -> Result<(), ApiError> {
        let mut is_sent = false;
        for mut receipt in self.emit(events) {
            if let Some(summary) = receipt.try_outcome() {
                is_sent |= Outcome::of(&summary, &self.api.missed).is_sent;
                continue;
            }
            is_sent = true;
            let log = self.api.missed.clone();
            receipt.on_outcome(move |summary| drop(Outcome::of(&summary, &log)));
        }
        check(is_sent)
    }

    /// Sends events; if this `is_awaited`, yields how far each went on each of its channels.
    async fn send_for(
        &self,
        events: &[Trigger<'_>],
        is_awaited: bool,
    ) -> Result<Vec<Outcome>, ApiError> {
        if !is_awaited {
            self.send(events)?;
            return Ok(Vec::new());
        }
        let mut outcomes = Vec::new();
        for receipt in self.emit(events) {
            let summary = emit::to_many("channel", receipt).await;
            outcomes.push(Outcome::of(&summary, &self.api.missed));
        }
        check(outcomes.iter().any(|outcome| outcome.is_sent))?;
        Ok(outcomes)
    }

    /// The receipts of events, for each of the channels of each.
    fn emit(&self, events: &[Trigger<'_>]) -> Vec<Receipt<Summary>> {
        let cluster = self.hub.handle().cluster();
        let _cork = cluster.hub().cork();
        let mut receipts = Vec::with_capacity(events.len());
        for event in events {
            let note = event::of_backend(&event.name, &event.data);
            let channels = event.channels.iter();
            receipts.extend(channels.map(|name| {
                let except = event.socket_id.as_deref();
                to_channel(cluster, name, note.clone(), except)
            }));
        }
        receipts
    }
}

/// What is asked of the channels of an event, as far as it applies to them.
fn asked(event: &Trigger<'_>) -> Result<Vec<(String, Info)>, ApiError> {
    let info = event.info.unwrap_or_default();
    let channels = event.channels.iter();
    let asked = channels.map(|name| Ok((name.clone().into_owned(), info.of(channel(name)?))));
    asked.collect()
}

fn to_channel(
    cluster: &Cluster,
    name: &str,
    note: tieline::Note,
    except: Option<&str>,
) -> Receipt<Summary> {
    match except {
        Some(id) => cluster.except([id]).emit_group(name, note),
        None => cluster.emit_group(name, note),
    }
}

fn not_kept(error: ValuesError) -> ApiError {
    match error {
        ValuesError::Invalid(error) => ApiError::cannot_keep(error),
        error => ApiError::unavailable(format!(
            "the event could not be kept for later subscribers, so nothing was sent: {error}"
        )),
    }
}

fn check(is_sent: bool) -> Result<(), ApiError> {
    is_sent.then_some(()).ok_or_else(|| {
        ApiError::unavailable(
            "the event was not sent: the queues to its subscribers, or to their nodes, are full, or no node with \
             subscribers can be reached",
        )
    })
}

/// What is known of a channel, with how far an event went there.
fn with_outcome(about: &About, outcome: Option<&Outcome>) -> Value {
    let mut about = json!(about);
    if let Some(outcome) = outcome {
        about["delivered"] = outcome.reach.delivered.into();
        about["missed"] = outcome.missed.clone().into();
    }
    about
}

/// The same over all channels, as headers, if anybody has waited for it.
fn with_headers(mut response: Response, outcomes: &[Outcome]) -> Response {
    let mut all = Reach::default();
    for outcome in outcomes {
        all.add(outcome.reach);
    }
    if !outcomes.is_empty() {
        all.write_to(response.headers_mut());
    }
    response
}
