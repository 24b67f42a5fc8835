//! Which keys there are, and what stands under them.
//!
//! Owns the layout: `P` + id → address, the part that other programs share; and beside it, never
//! below `P`, `S` + `own/` + id → stamp and address, `S` + `node/` + address → process, where `S` is
//! `!tieline` + `P`. Must not know calls.

use std::{str, sync::Arc};

use bytes::Bytes;

use super::rpc::KeyValue;
use crate::{id::ClientId, types::Stamp};

/// The longest prefix, so that a batch of the longest ids fits etcd's limit of 1.5 MiB a request.
const MAX_PREFIX: usize = 256;

/// The keys of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    place: String,
    own: String,
    node: String,
}

/// An entry's shadow: who wrote it, for a connection that arrived when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) stamp: Stamp,
    pub(super) address: Arc<str>,
}

impl Layout {
    /// Says why where the prefix cannot be used.
    pub(super) fn new(prefix: &str) -> Result<Self, &'static str> {
        let beside = format!("!tieline{prefix}");
        if prefix.is_empty() {
            return Err("the prefix is empty: all keys of etcd would be entries");
        }
        if prefix.len() > MAX_PREFIX {
            return Err("the prefix is longer than 256 bytes");
        }
        if beside.starts_with(prefix) {
            return Err("the prefix is one that `!tieline` begins with: choose another");
        }
        Ok(Self {
            own: format!("{beside}own/"),
            node: format!("{beside}node/"),
            place: prefix.to_owned(),
        })
    }

    pub(super) fn place(&self, id: &str) -> Bytes {
        [&self.place, id].concat().into()
    }

    pub(super) fn shadow(&self, id: &str) -> Bytes {
        [&self.own, id].concat().into()
    }

    pub(super) fn node(&self, address: &str) -> Bytes {
        [&self.node, address].concat().into()
    }

    /// The keys of all entries, as a range.
    pub(super) fn places(&self) -> (Bytes, Bytes) {
        range(&self.place)
    }

    /// The keys of all shadows.
    pub(super) fn shadows(&self) -> (Bytes, Bytes) {
        range(&self.own)
    }

    /// The keys of all nodes.
    pub(super) fn nodes(&self) -> (Bytes, Bytes) {
        range(&self.node)
    }

    /// The id of an entry's key; `None` for what no node can have written.
    pub(super) fn placed(&self, key: &[u8]) -> Option<ClientId> {
        ClientId::new(rest(key, &self.place)?).ok()
    }

    /// The id of a shadow's key.
    pub(super) fn owned(&self, key: &[u8]) -> Option<ClientId> {
        ClientId::new(rest(key, &self.own)?).ok()
    }

    /// The address of a node's key.
    pub(super) fn address(&self, key: &[u8]) -> Option<Arc<str>> {
        rest(key, &self.node).map(Arc::from)
    }
}

fn rest<'a>(key: &'a [u8], prefix: &str) -> Option<&'a str> {
    str::from_utf8(key.strip_prefix(prefix.as_bytes())?).ok()
}

/// All keys that begin with a prefix.
fn range(prefix: &str) -> (Bytes, Bytes) {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of UTF-8 is 0xff, and no prefix is empty.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.to_owned().into(), end.into())
}

impl Shadow {
    /// As it stands in etcd.
    pub(super) fn value(&self) -> Bytes {
        format!("{} {}", self.stamp, self.address).into()
    }

    /// `None` for what no node can have written.
    pub(super) fn read(kv: &KeyValue) -> Option<Self> {
        let (stamp, address) = str::from_utf8(&kv.value).ok()?.split_once(' ')?;
        // No node of ours writes a later one, and it would win for ever.
        let stamp = stamp.parse().ok().filter(|stamp| *stamp < 1 << 53)?;
        Some(Self {
            stamp: Stamp(stamp),
            address: address.into(),
        })
    }
}

/// The address that an entry names; what is not UTF-8 is foreign and shown as well as it can be.
pub(super) fn address(kv: &KeyValue) -> Arc<str> {
    String::from_utf8_lossy(&kv.value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_alone_stands_outside_of_the_shared_prefix() {
        let layout = Layout::new("/ws/").unwrap();
        assert_eq!(layout.place("a"), "/ws/a");
        assert_eq!(layout.shadow("a"), "!tieline/ws/own/a");
        assert_eq!(layout.node("h:1"), "!tieline/ws/node/h:1");
        assert_eq!(layout.places(), ("/ws/".into(), "/ws0".into()));
        for taken in ["", "!", "!tieline", "!tie"] {
            assert!(Layout::new(taken).is_err(), "{taken}");
        }
        assert!(Layout::new(&"x".repeat(MAX_PREFIX + 1)).is_err());
    }

    #[test]
    fn a_shadow_is_read_as_it_was_written() {
        let own = Shadow {
            stamp: Stamp(17),
            address: "h:1".into(),
        };
        let read = |value: Bytes| {
            Shadow::read(&KeyValue {
                value,
                ..KeyValue::default()
            })
        };
        assert_eq!(own.value(), "17 h:1");
        assert_eq!(read(own.value()), Some(own));
        assert_eq!(read("nonsense".into()), None);
        assert_eq!(read("x h:1".into()), None);
    }
}
