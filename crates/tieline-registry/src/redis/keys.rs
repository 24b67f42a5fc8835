//! The names of the keys.
//!
//! Owns the layout. `P`, the prefix, is the hash that other programs share. All other keys are `T:…`, where
//! `T` is `{P}`, or `P` itself if it has a hash tag. So every key is in the slot of `P`, as a script needs.

use redis::Cmd;

/// The keys of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// The shared hash: id → address.
    pub(super) entries: String,
    /// What Tieline wrote: the key of an id → stamp and address.
    pub(super) shadows: String,
    nodes: String,
    leases: String,
    clock: String,
    /// The prefix that the nodes have: `ws` and `{ws}` share all keys but the first.
    pub(super) name: String,
    /// The key of a node's set is this, followed by the node's address.
    node_ids: String,
    /// What all scripts about presence have, in the order of their prelude.
    presence: [String; 7],
    /// The key of a term's set of entries is this, followed by the term.
    entries_of: String,
    /// The key of a roster is this, followed by its name.
    roster: String,
    /// The key of a value is this, followed by the key of its name.
    value: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let tag = match hash_tag(prefix) {
            Some(_) => prefix.to_owned(),
            None => format!("{{{prefix}}}"),
        };
        Self {
            entries: prefix.to_owned(),
            shadows: format!("{tag}:own"),
            nodes: format!("{tag}:nodes"),
            leases: format!("{tag}:leases"),
            clock: format!("{tag}:clock"),
            name: format!("{tag}:cluster"),
            node_ids: format!("{tag}:node:"),
            presence: ["pt", "pq", "px", "pj", "pb", "pi", "ph"].map(|key| format!("{tag}:{key}")),
            entries_of: format!("{tag}:pn:"),
            roster: format!("{tag}:pr:"),
            value: format!("{tag}:value:"),
        }
    }

    /// The prefixes of the keys that a script about presence makes itself: of a term's entries, and of a roster.
    pub(super) fn presence_prefixes(&self) -> (&str, &str) {
        (&self.entries_of, &self.roster)
    }

    /// The stream of transitions.
    pub(super) fn journal(&self) -> &str {
        &self.presence[3]
    }

    /// Adds the KEYS of a script about presence: those that all have, the entries of a term, and rosters.
    pub(super) fn add_presence(&self, command: &mut Cmd, term: Option<&str>, rosters: &[&str]) {
        command.arg(self.presence.len() + usize::from(term.is_some()) + rosters.len());
        for key in &self.presence {
            command.arg(key);
        }
        if let Some(term) = term {
            command.arg(format!("{}{term}", self.entries_of));
        }
        for roster in rosters {
            command.arg(format!("{}{roster}", self.roster));
        }
    }

    /// Adds the KEYS of a script about a value.
    pub(super) fn add_value(&self, command: &mut Cmd, key: &str) {
        command.arg(1).arg(format!("{}{key}", self.value));
    }

    /// The set of the ids whose shadow has this address.
    pub(super) fn node_ids(&self, address: &str) -> String {
        format!("{}{address}", self.node_ids)
    }

    /// Adds the KEYS of a script, in the order of `prelude.lua`.
    pub(super) fn add_to(&self, command: &mut Cmd, uses: KeyUse<'_>) {
        let (node_ids, entries) = match uses {
            KeyUse::Nodes => (None, false),
            KeyUse::Node(address) => (Some(address), false),
            KeyUse::Entries => (None, true),
            KeyUse::NodeAndEntries(address) => (Some(address), true),
        };
        command.arg(4 + usize::from(node_ids.is_some()) + usize::from(entries));
        command.arg(&self.nodes).arg(&self.leases);
        command.arg(&self.clock).arg(&self.shadows);
        if let Some(address) = node_ids {
            command.arg(self.node_ids(address));
        }
        if entries {
            command.arg(&self.entries);
        }
    }
}

/// The keys that a script uses besides those of the nodes, the clock and the shadows.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyUse<'a> {
    Nodes,
    /// The set of ids of this address.
    Node(&'a str),
    Entries,
    NodeAndEntries(&'a str),
}

/// Whether all keys of a prefix are in one slot. They are not if the prefix has a closing brace outside a
/// hash tag.
pub(super) fn are_in_one_slot(prefix: &str) -> bool {
    hash_tag(prefix).is_some() || !prefix.contains('}')
}

/// The part of a key that Redis Cluster hashes: the text between the first `{` and the next `}`. `None` if
/// there is none, or it is empty: then the whole key is hashed.
fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_share_the_slot_of_the_prefix() {
        assert_eq!(Keys::new("ws").shadows, "{ws}:own");
        assert_eq!(Keys::new("a b").clock, "{a b}:clock");
        assert_eq!(Keys::new("{app}:ws").shadows, "{app}:ws:own");
        assert_eq!(Keys::new("{app").leases, "{{app}:leases");
        assert_eq!(Keys::new("ws").node_ids("h:1"), "{ws}:node:h:1");
    }

    #[test]
    fn a_stray_brace_spreads_the_keys_over_slots() {
        for whole in ["ws", "{app}ws", "ws{", "a b", "x{app}y}"] {
            assert!(are_in_one_slot(whole), "{whole}");
        }
        for torn in ["ws}", "{}ws", "}{"] {
            assert!(!are_in_one_slot(torn), "{torn}");
        }
    }
}
