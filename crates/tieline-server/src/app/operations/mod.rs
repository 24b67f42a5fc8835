//! What a backend asks of clients, wherever they are.
//!
//! Owns the requests to the node of one client (`client`) and to all nodes (`node`), how they travel, and what
//! comes back. Must not know URLs or statuses: a wire asks, and says what the outcome means. Invariants: every
//! request has a deadline; a node that cannot read a request says so, and is missed rather than guessed at.

pub(crate) mod client;
mod listing;
pub(crate) mod node;

use serde::{Serialize, de::DeserializeOwned};
use tieline::{Bytes, Connection, RequestError};
use tracing::Span;

use super::events::GroupChange;
use crate::traces::{
    context::{LENGTH, TraceContext},
    spans::TARGET,
};

/// The first byte of requests and replies. A node of another version answers none of them: raise it when an old
/// node would take a new request for another one.
const VERSION: u8 = 1;

/// The first byte of a request that is a part of a trace. The context of the span that makes it follows.
const TRACED: u8 = 2;

/// Is told of each connection that an operation has added to a group, or removed from it.
pub(crate) trait GroupChanged: Fn(&Connection, GroupChange, &str) + Send + Sync {}

impl<F: Fn(&Connection, GroupChange, &str) + Send + Sync> GroupChanged for F {}

fn encode(value: &impl Serialize) -> Bytes {
    after(vec![VERSION], value)
}

fn encode_request(value: &impl Serialize) -> Bytes {
    let Some(context) = TraceContext::current() else {
        return encode(value);
    };
    let mut head = vec![TRACED];
    head.extend(context.bytes());
    after(head, value)
}

fn after(mut bytes: Vec<u8>, value: &impl Serialize) -> Bytes {
    serde_json::to_writer(&mut bytes, value).expect("requests are made of text, numbers and lists");
    bytes.into()
}

/// `None` if another version has made it.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let json = bytes.strip_prefix(&[VERSION])?;
    serde_json::from_slice(json).ok()
}

/// A request, and the span of carrying it out.
fn decode_request<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Span), RequestError> {
    let (request, span) = match bytes {
        [TRACED, rest @ ..] => {
            let (context, json) = rest
                .split_at_checked(LENGTH)
                .ok_or_else(RequestError::unsupported)?;
            (serde_json::from_slice(json).ok(), span(context))
        }
        _ => (decode(bytes), Span::none()),
    };
    Ok((request.ok_or_else(RequestError::unsupported)?, span))
}

fn span(context: &[u8]) -> Span {
    let Some(context) = TraceContext::parse(context) else {
        return Span::none();
    };
    let span =
        tracing::info_span!(target: TARGET, parent: None, "node_request", otel.kind = "server");
    context.adopt(&span);
    span
}
