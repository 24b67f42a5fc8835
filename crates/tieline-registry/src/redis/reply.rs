//! Reads the server's replies.
//!
//! Owns the conversion from the server's values to the registry's types. Other programs write to the
//! shared hash: a field that is not a valid client id is skipped.

use std::sync::Arc;

use redis::Value;
use uuid::Uuid;

use crate::{
    error::{RegistryError, RegistryErrorKind},
    id::ClientId,
    types::{Cursor, Epoch, LeaseInfo, NodeInfo, Page, Stamp, Verdict},
};

/// A reply that none of the scripts returns.
#[derive(Debug, thiserror::Error)]
#[error("unexpected reply of the server: another program uses the same keys")]
struct UnexpectedReply;

/// The part of an array that is not read yet.
pub(super) struct ReplyReader {
    operation: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl ReplyReader {
    pub(super) fn new(operation: &'static str, reply: Value) -> Result<Self, RegistryError> {
        match reply {
            Value::Array(values) => Ok(Self {
                operation,
                values: values.into_iter(),
            }),
            _ => Err(unexpected_reply(operation)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn next(&mut self) -> Result<Value, RegistryError> {
        self.values
            .next()
            .ok_or_else(|| unexpected_reply(self.operation))
    }

    pub(super) fn text(&mut self) -> Result<String, RegistryError> {
        let operation = self.operation;
        text(self.next()?).ok_or_else(|| unexpected_reply(operation))
    }

    pub(super) fn number(&mut self) -> Result<i64, RegistryError> {
        let operation = self.operation;
        number(&self.next()?).ok_or_else(|| unexpected_reply(operation))
    }

    /// The number that the script `locate` returns in place of an entry; `None` if there is one.
    pub(super) fn absence(&self) -> Option<i64> {
        self.values.as_slice().first().and_then(number)
    }

    pub(super) fn address(&mut self) -> Result<Arc<str>, RegistryError> {
        self.text().map(Arc::from)
    }

    pub(super) fn stamp(&mut self) -> Result<Stamp, RegistryError> {
        let parsed = self.text()?.parse();
        parsed
            .map(Stamp)
            .map_err(|_| unexpected_reply(self.operation))
    }

    pub(super) fn process(&mut self) -> Result<Uuid, RegistryError> {
        let parsed = Uuid::parse_str(&self.text()?);
        parsed.map_err(|_| unexpected_reply(self.operation))
    }

    /// What the script `renew` in the prelude returns.
    pub(super) fn lease_info(&mut self) -> Result<LeaseInfo, RegistryError> {
        Ok(LeaseInfo {
            clock: self.stamp()?,
            epoch: Epoch(self.stamp()?.0),
            entry_count: u64::try_from(self.number()?).ok(),
            foreign_balance: None,
        })
    }

    pub(super) fn node(&mut self) -> Result<NodeInfo, RegistryError> {
        Ok(NodeInfo {
            address: self.address()?,
            process: self.process()?,
            leased: self.number()? == 1,
        })
    }

    pub(super) fn verdict(&mut self) -> Result<Verdict, RegistryError> {
        let verdict = match self.next()? {
            Value::Int(_) => return Ok(Verdict::Granted { displaced: None }),
            other => text(other).ok_or_else(|| unexpected_reply(self.operation))?,
        };
        let address = || Arc::from(&verdict[1..]);
        match verdict.as_bytes().first() {
            Some(b'+') => Ok(Verdict::Granted {
                displaced: Some(address()),
            }),
            Some(b'-') => Ok(Verdict::Taken { by: address() }),
            _ => Err(unexpected_reply(self.operation)),
        }
    }
}

/// A page of one of the SCAN commands. Each item consists of `width` values.
pub(super) fn page<T>(
    operation: &'static str,
    reply: Value,
    width: usize,
    item: impl Fn(&[Value]) -> Option<T>,
) -> Result<Page<T>, RegistryError> {
    let mut reader = ReplyReader::new(operation, reply)?;
    let cursor = reader.text()?;
    let Value::Array(values) = reader.next()? else {
        return Err(unexpected_reply(operation));
    };
    Ok(Page {
        items: values.chunks_exact(width).filter_map(item).collect(),
        next: next_cursor(cursor),
    })
}

/// The position of the next page; the server's cursor after the last one is 0.
pub(super) fn next_cursor(cursor: String) -> Option<Cursor> {
    (cursor != "0").then(|| Cursor(cursor.into_bytes()))
}

/// The server's cursor.
pub(super) fn scan_cursor(operation: &'static str, from: &Cursor) -> Result<u64, RegistryError> {
    if from.0.is_empty() {
        return Ok(0);
    }
    let text = std::str::from_utf8(&from.0).ok();
    let cursor = text.and_then(|text| text.parse().ok());
    cursor.ok_or_else(|| {
        let kind = RegistryErrorKind::InvalidInput;
        RegistryError::of_kind(kind, operation, "the cursor is not from this registry")
    })
}

/// An id of any namespace, by its key.
pub(super) fn client_id(value: &Value) -> Option<ClientId> {
    ClientId::from_key(std::str::from_utf8(bytes(value)?).ok()?).ok()
}

/// An id of the shared hash, which has those of the default namespace.
pub(super) fn shared_client_id(value: &Value) -> Option<ClientId> {
    ClientId::new(std::str::from_utf8(bytes(value)?).ok()?).ok()
}

/// An address of the shared hash, in which another program may have written anything.
pub(super) fn shared_address(value: &Value) -> Option<Arc<str>> {
    Some(String::from_utf8_lossy(bytes(value)?).into())
}

/// The address of a shadow; `None` for one that no node can have written.
pub(super) fn shadow_address(value: &Value) -> Option<Arc<str>> {
    let (_, address) = std::str::from_utf8(bytes(value)?).ok()?.split_once(' ')?;
    Some(address.into())
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn is_text(value: &Value, expected: &str) -> bool {
    match value {
        Value::Okay => expected == "OK",
        value => bytes(value) == Some(expected.as_bytes()),
    }
}

/// The clock that the script `check` returns.
pub(super) fn clock(value: Value) -> Option<Stamp> {
    text(value)?.parse().ok().map(Stamp)
}

pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => {
            let lossy = |error: std::string::FromUtf8Error| {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            };
            Some(String::from_utf8(bytes).unwrap_or_else(lossy))
        }
        Value::SimpleString(text) => Some(text),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

pub(super) fn unexpected_reply(operation: &'static str) -> RegistryError {
    RegistryError::of_kind(
        RegistryErrorKind::UnexpectedReply,
        operation,
        UnexpectedReply,
    )
}
