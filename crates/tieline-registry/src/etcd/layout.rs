//! The keys and their values.
//!
//! Owns the layout. With the prefix `P`, and `S` = `!tieline` + `P`:
//!
//! | key | value |
//! |---|---|
//! | `P` + id | the entry: address. Other programs share these keys |
//! | `S` + `own/` + key of the id | the shadow: stamp and address |
//! | `S` + `node/` + address | process |
//! | `S` + `epoch` | when the epoch began, in µs of the clock |
//! | `S` + `value/` + key of a name, escaped | a value: when it ends, in µs of the clock, and its bytes |
//! | `S` + `refilling/` + address, or `*` for all | exists while entries may be missing |
//! | `S` + `presence/` + … | rosters: see `roster_layout` |
//!
//! Other programs know the default namespace only. In another one there are no entries: the shadow is all.
//!
//! Must not know calls. Invariant: no key of Tieline's own begins with `P`.

use std::{str, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;

use super::rpc::KeyValue;
use crate::{
    id::{ClientId, DEFAULT_NAMESPACE, split},
    types::Stamp,
};

/// The longest prefix, in bytes: with it, a batch of the longest ids fits etcd's request limit of 1.5 MiB.
const MAX_PREFIX: usize = 256;

/// The keys of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    entry: String,
    shadow: String,
    node: String,
    epoch: String,
    mark: String,
    value: String,
    rosters: String,
}

/// The shadow of an entry: the arrival of the connection, and its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) stamp: Stamp,
    pub(super) address: Arc<str>,
}

impl Layout {
    /// The error says why the prefix cannot be used.
    pub(super) fn new(prefix: &str) -> Result<Self, &'static str> {
        let own = format!("!tieline{prefix}");
        if prefix.is_empty() {
            return Err("the prefix is empty, so that all keys of etcd would be entries");
        }
        if prefix.len() > MAX_PREFIX {
            return Err("the prefix is longer than 256 bytes");
        }
        if own.starts_with(prefix) {
            return Err("`!tieline` begins with the prefix; choose another one");
        }
        Ok(Self {
            shadow: format!("{own}own/"),
            node: format!("{own}node/"),
            epoch: format!("{own}epoch"),
            mark: format!("{own}refilling/"),
            value: format!("{own}value/"),
            rosters: format!("{own}presence/"),
            entry: prefix.to_owned(),
        })
    }

    /// None in a namespace that no other program shares.
    pub(super) fn entry_key(&self, key: &str) -> Option<Bytes> {
        is_shared(key).then(|| [&self.entry, key].concat().into())
    }

    pub(super) fn shadow_key(&self, key: &str) -> Bytes {
        [&self.shadow, key].concat().into()
    }

    pub(super) fn node_key(&self, address: &str) -> Bytes {
        [&self.node, address].concat().into()
    }

    pub(super) fn epoch_key(&self) -> Bytes {
        self.epoch.clone().into()
    }

    /// The mark of a node whose entries may be missing.
    pub(super) fn mark_of(&self, address: &str) -> Bytes {
        [&self.mark, address].concat().into()
    }

    /// The mark of all nodes: any of them may be about to join. No address is `*`.
    pub(super) fn mark_of_everyone(&self) -> Bytes {
        self.mark_of("*")
    }

    /// All marks.
    pub(super) fn marks(&self) -> (Bytes, Bytes) {
        range(&self.mark)
    }

    /// Escaped, so that what follows `value/` has no slash, and a name cannot look like the key of a node: see
    /// [`prefix_of_live`].
    pub(super) fn value_key(&self, key: &str) -> Bytes {
        let escaped = key.replace('%', "%25").replace('/', "%2F");
        [&self.value, &escaped[..]].concat().into()
    }

    /// The keys of all entries, as a range.
    pub(super) fn entries(&self) -> (Bytes, Bytes) {
        range(&self.entry)
    }

    /// The keys of all shadows.
    pub(super) fn shadows(&self) -> (Bytes, Bytes) {
        range(&self.shadow)
    }

    /// The keys of those shadows that have no entries: the keys of their ids begin with NUL.
    pub(super) fn shadows_in_namespaces(&self) -> (Bytes, Bytes) {
        range(&format!("{}\0", self.shadow))
    }

    /// The keys of all nodes.
    pub(super) fn nodes(&self) -> (Bytes, Bytes) {
        range(&self.node)
    }

    /// What the keys of rosters begin with.
    pub(super) fn rosters(&self) -> &str {
        &self.rosters
    }

    /// The prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.entry
    }

    /// Between the keys of this cluster: where the own keys of a cluster are whose prefix begins with this
    /// one's.
    pub(super) fn own_keys_of_others(&self) -> [(Bytes, Bytes); 5] {
        let (start, end) = range(&format!("!tieline{}", self.entry));
        let (nodes, shadows) = (self.nodes(), self.shadows());
        let (rosters, values) = (range(&self.rosters), range(&self.value));
        [
            (start, nodes.0),
            (nodes.1, shadows.0),
            (shadows.1, rosters.0),
            (rosters.1, values.0),
            (values.1, end),
        ]
    }

    /// The id of an entry's key; `None` if it is not a valid id.
    pub(super) fn id_of_entry(&self, key: &[u8]) -> Option<ClientId> {
        ClientId::new(rest(key, &self.entry)?).ok()
    }

    /// The id of a shadow's key.
    pub(super) fn id_of_shadow(&self, key: &[u8]) -> Option<ClientId> {
        ClientId::from_key(rest(key, &self.shadow)?).ok()
    }

    /// The address of a node's key.
    pub(super) fn address_of_node(&self, key: &[u8]) -> Option<Arc<str>> {
        rest(key, &self.node).map(Arc::from)
    }
}

/// The prefix of the cluster that has this own key, if the key ends with the leases of its nodes: the epoch, the
/// marks and the values may outlive them, and what is in rosters too. No address contains a slash, and no key of
/// rosters does behind its kind.
pub(super) fn prefix_of_live(key: &[u8]) -> Option<String> {
    let key = rest(key, "!tieline")?;
    // A name in a namespace may look like any other key.
    if let Some((before, _)) = key.split_once("own/\0") {
        return Some(before.to_owned());
    }
    let before = |kind| {
        let (before, address) = key.rsplit_once(kind)?;
        (!address.contains('/')).then_some(before)
    };
    let of_others = ["refilling/", "presence/", "value/"];
    let is_other = of_others.into_iter().any(|kind| before(kind).is_some());
    if key.ends_with("epoch") || is_other {
        return None;
    }
    let of_entry = || key.split_once("own/").map(|(before, _)| before);
    before("node/").or_else(of_entry).map(str::to_owned)
}

/// Whether other programs share the namespace of an id, which has this key.
pub(super) fn is_shared(key: &str) -> bool {
    split(key).0 == DEFAULT_NAMESPACE
}

fn rest<'a>(key: &'a [u8], prefix: &str) -> Option<&'a str> {
    str::from_utf8(key.strip_prefix(prefix.as_bytes())?).ok()
}

/// All keys that begin with a prefix.
pub(super) fn range(prefix: &str) -> (Bytes, Bytes) {
    let mut end = prefix.as_bytes().to_vec();
    // No byte of UTF-8 is 0xff, and no prefix is empty.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.to_owned().into(), end.into())
}

impl Shadow {
    /// The value in etcd.
    pub(super) fn value(&self) -> Bytes {
        format!("{} {}", self.stamp, self.address).into()
    }

    /// `None` if no node can have written it.
    pub(super) fn parse(kv: &KeyValue) -> Option<Self> {
        let (stamp, address) = str::from_utf8(&kv.value).ok()?.split_once(' ')?;
        // No node writes a later stamp; it would win for ever.
        let stamp = stamp.parse().ok().filter(|stamp| *stamp < 1 << 53)?;
        Some(Self {
            stamp: Stamp(stamp),
            address: address.into(),
        })
    }
}

/// The process in the value of a node's key; `None` if no node can have written it.
pub(super) fn node_process(kv: &KeyValue) -> Option<Uuid> {
    str::from_utf8(&kv.value).ok()?.parse().ok()
}

/// The address of an entry. Another program may have written anything: what is not UTF-8 is replaced.
pub(super) fn entry_address(kv: &KeyValue) -> Arc<str> {
    String::from_utf8_lossy(&kv.value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_outside_the_shared_prefix() {
        let layout = Layout::new("/ws/").unwrap();
        assert_eq!(layout.entry_key("a").unwrap(), "/ws/a");
        assert_eq!(layout.shadow_key("a"), "!tieline/ws/own/a");
        assert_eq!(layout.node_key("h:1"), "!tieline/ws/node/h:1");
        assert_eq!(layout.entries(), ("/ws/".into(), "/ws0".into()));
        for taken in ["", "!", "!tieline", "!tie"] {
            assert!(Layout::new(taken).is_err(), "{taken}");
        }
        assert!(Layout::new(&"x".repeat(MAX_PREFIX + 1)).is_err());
    }

    #[test]
    fn other_programs_share_the_default_namespace_only() {
        let layout = Layout::new("ws").unwrap();
        let id = ClientId::from_key("\0chat\0a").unwrap();
        assert_eq!(layout.entry_key(id.key()), None);
        let shadow = layout.shadow_key(id.key());
        assert_eq!(layout.id_of_shadow(&shadow), Some(id));
        assert_eq!(layout.id_of_entry(b"ws\0chat\0a"), None);
        let (first, end) = layout.shadows_in_namespaces();
        assert!(first <= shadow && shadow < end);
        for default in ["a", "\u{1}", "a\0b"] {
            assert!(layout.entry_key(default).is_some());
            assert!(layout.shadow_key(default) >= end, "{default:?}");
        }
    }

    #[test]
    fn a_cluster_is_known_by_the_keys_that_end_with_its_nodes() {
        for prefix in ["ws", "/town/", "node/", "prefilling/", "epoch"] {
            let layout = Layout::new(prefix).unwrap();
            let live = |key: Bytes| prefix_of_live(&key);
            assert_eq!(live(layout.node_key("h:1")).as_deref(), Some(prefix));
            let entry = format!("{}entry.pbm9kZS8.YQ.1", layout.rosters());
            for key in [layout.epoch_key(), layout.mark_of("h:1"), entry.into()] {
                assert_eq!(live(key), None, "{prefix}");
            }
            assert_eq!(live(layout.mark_of_everyone()), None, "{prefix}");
        }
        for name in [
            "x",
            "node/h:1",
            "own/a",
            "own/\0",
            "\0chat\0own/\0b",
            "%2F/",
        ] {
            for prefix in ["ws", "/value/"] {
                let layout = Layout::new(prefix).unwrap();
                let value = layout.value_key(name);
                assert_eq!(prefix_of_live(&value), None, "{name:?}");
                let live = prefix_of_live(&layout.node_key("h:1"));
                assert_eq!(live.as_deref(), Some(prefix));
                let of_others = layout.own_keys_of_others();
                let mut of_others = of_others.iter();
                assert!(!of_others.any(|(first, end)| *first <= value && value < *end));
            }
        }
        for id in [
            "a/b",
            "\0chat\0node/h:1",
            "\0own/\0refilling/*",
            "\0a\0epoch",
        ] {
            let shadow = Layout::new("ws").unwrap().shadow_key(id);
            assert_eq!(prefix_of_live(&shadow).as_deref(), Some("ws"), "{id:?}");
        }
    }

    #[test]
    fn a_shadow_is_parsed_as_it_was_written() {
        let shadow = Shadow {
            stamp: Stamp(17),
            address: "h:1".into(),
        };
        let parse = |value: Bytes| {
            Shadow::parse(&KeyValue {
                value,
                ..KeyValue::default()
            })
        };
        assert_eq!(shadow.value(), "17 h:1");
        assert_eq!(parse(shadow.value()), Some(shadow));
        assert_eq!(parse("nonsense".into()), None);
        assert_eq!(parse("x h:1".into()), None);
    }
}
