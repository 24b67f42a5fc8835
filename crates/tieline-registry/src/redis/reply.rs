//! Reading what the server answers.
//!
//! Owns the way from the server's values to the registry's types. Other programs write into the hash:
//! what is not UTF-8, or no name, is not a client of ours and is passed over.

use std::sync::Arc;

use redis::Value;
use uuid::Uuid;

use crate::{
    error::RegistryError,
    id::ClientId,
    types::{Cursor, LeaseInfo, NodeInfo, Page, Stamp, Verdict},
};

/// An answer that none of our scripts gives.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer makes no sense: another program uses the same keys")]
struct UnexpectedReply;

/// What remains to be read of an answer.
pub(super) struct Reader {
    what: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reader {
    pub(super) fn new(what: &'static str, answer: Value) -> Result<Self, RegistryError> {
        match answer {
            Value::Array(values) => Ok(Self {
                what,
                values: values.into_iter(),
            }),
            _ => Err(unexpected_reply(what)),
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
            .ok_or_else(|| unexpected_reply(self.what))
    }

    pub(super) fn text(&mut self) -> Result<String, RegistryError> {
        let what = self.what;
        text(self.next()?).ok_or_else(|| unexpected_reply(what))
    }

    pub(super) fn number(&mut self) -> Result<i64, RegistryError> {
        let what = self.what;
        number(&self.next()?).ok_or_else(|| unexpected_reply(what))
    }

    pub(super) fn address(&mut self) -> Result<Arc<str>, RegistryError> {
        self.text().map(Arc::from)
    }

    pub(super) fn stamp(&mut self) -> Result<Stamp, RegistryError> {
        let parsed = self.text()?.parse();
        parsed.map(Stamp).map_err(|_| unexpected_reply(self.what))
    }

    pub(super) fn process(&mut self) -> Result<Uuid, RegistryError> {
        let parsed = Uuid::parse_str(&self.text()?);
        parsed.map_err(|_| unexpected_reply(self.what))
    }

    /// What a node learns with each join and beat.
    pub(super) fn lease_info(&mut self) -> Result<LeaseInfo, RegistryError> {
        Ok(LeaseInfo {
            clock: self.stamp()?,
            entry_count: u64::try_from(self.number()?).ok(),
            foreign_balance: Some(self.number()?),
        })
    }

    pub(super) fn member(&mut self) -> Result<NodeInfo, RegistryError> {
        Ok(NodeInfo {
            address: self.address()?,
            process: self.process()?,
            leased: self.number()? == 1,
        })
    }

    pub(super) fn verdict(&mut self) -> Result<Verdict, RegistryError> {
        let verdict = match self.next()? {
            Value::Int(_) => return Ok(Verdict::Granted { displaced: None }),
            other => text(other).ok_or_else(|| unexpected_reply(self.what))?,
        };
        let address = || Arc::from(&verdict[1..]);
        match verdict.as_bytes().first() {
            Some(b'+') => Ok(Verdict::Granted {
                displaced: Some(address()),
            }),
            Some(b'-') => Ok(Verdict::Taken { by: address() }),
            _ => Err(unexpected_reply(self.what)),
        }
    }
}

/// A page of one of the SCAN commands, whose items are made of `width` values each.
pub(super) fn page<T>(
    what: &'static str,
    answer: Value,
    width: usize,
    item: impl Fn(&[Value]) -> Option<T>,
) -> Result<Page<T>, RegistryError> {
    let mut reader = Reader::new(what, answer)?;
    let cursor = reader.text()?;
    let Value::Array(values) = reader.next()? else {
        return Err(unexpected_reply(what));
    };
    Ok(Page {
        items: values.chunks_exact(width).filter_map(item).collect(),
        next: (cursor != "0").then(|| Cursor(cursor.into_bytes())),
    })
}

/// Where to go on with a walk, as the server wants it.
pub(super) fn position(what: &'static str, from: &Cursor) -> Result<u64, RegistryError> {
    if from.0.is_empty() {
        return Ok(0);
    }
    let text = std::str::from_utf8(&from.0).ok();
    let position = text.and_then(|text| text.parse().ok());
    position.ok_or_else(|| unexpected_reply(what))
}

pub(super) fn client(value: &Value) -> Option<ClientId> {
    ClientId::new(std::str::from_utf8(bytes(value)?).ok()?).ok()
}

/// An address as it is written; another program may have written anything.
pub(super) fn written_address(value: &Value) -> Option<Arc<str>> {
    Some(String::from_utf8_lossy(bytes(value)?).into())
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn is_text(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Okay => wanted == "OK",
        value => bytes(value) == Some(wanted.as_bytes()),
    }
}

fn text(value: Value) -> Option<String> {
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

pub(super) fn unexpected_reply(what: &'static str) -> RegistryError {
    RegistryError::new(what, UnexpectedReply)
}
