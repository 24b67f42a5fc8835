//! What a backend asks of clients, wherever they are.
//!
//! Owns the requests to the node of one client (`client`) and to all nodes (`node`), how they travel, and what
//! comes back. Must not know URLs or statuses: a wire asks, and says what the outcome means. Invariants: every
//! request has a deadline; a node that cannot read a request says so, and is missed rather than guessed at.

pub(crate) mod client;
pub(crate) mod node;

use serde::{Serialize, de::DeserializeOwned};
use tieline::{Bytes, Connection, RequestError};

use super::events::GroupChange;

/// The first byte of requests and replies. A node of another version answers none of them: raise it when an old
/// node would take a new request for another one.
const VERSION: u8 = 1;

/// Is told of each connection that an operation has added to a group, or removed from it.
pub(crate) trait GroupChanged: Fn(&Connection, GroupChange, &str) + Send + Sync {}

impl<F: Fn(&Connection, GroupChange, &str) + Send + Sync> GroupChanged for F {}

fn encode(value: &impl Serialize) -> Bytes {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value).expect("requests are made of text, numbers and lists");
    bytes.into()
}

/// `None` if another version has made it.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let json = bytes.strip_prefix(&[VERSION])?;
    serde_json::from_slice(json).ok()
}

fn decode_request<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RequestError> {
    decode(bytes).ok_or_else(RequestError::unsupported)
}
