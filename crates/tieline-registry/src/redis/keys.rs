//! The names of the keys.
//!
//! Owns the layout. `P`, the prefix, names the hash that other programs share; all else is named `T:…`,
//! where `T` is `{P}`, or `P` if it has a hash tag: so that every key falls into the slot of `P`, since
//! a script cannot cross slots.

use redis::Cmd;

/// The keys of one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) places: String,
    owns: String,
    nodes: String,
    leases: String,
    clock: String,
    sets: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let tag = match hash_tag(prefix) {
            Some(_) => prefix.to_owned(),
            None => format!("{{{prefix}}}"),
        };
        Self {
            places: prefix.to_owned(),
            owns: format!("{tag}:own"),
            nodes: format!("{tag}:nodes"),
            leases: format!("{tag}:leases"),
            clock: format!("{tag}:clock"),
            sets: format!("{tag}:node:"),
        }
    }

    /// The ids whose shadow names an address.
    pub(super) fn set(&self, address: &str) -> String {
        format!("{}{address}", self.sets)
    }

    /// Adds what every script gets as its KEYS, in the order in which its prelude names them.
    pub(super) fn add_to(&self, command: &mut Cmd, address: &str) {
        command.arg(6).arg(&self.places).arg(&self.owns);
        command.arg(&self.nodes).arg(&self.leases).arg(&self.clock);
        command.arg(self.set(address));
    }
}

/// Whether all keys of a prefix fall into one slot: not where it has a closing brace outside a hash tag.
pub(super) fn in_one_slot(prefix: &str) -> bool {
    hash_tag(prefix).is_some() || !prefix.contains('}')
}

/// What Redis Cluster hashes of a key, if that is not the whole: the text between the first `{` and the
/// next `}`, unless it is empty.
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
        assert_eq!(Keys::new("ws").owns, "{ws}:own");
        assert_eq!(Keys::new("a b").clock, "{a b}:clock");
        assert_eq!(Keys::new("{app}:ws").owns, "{app}:ws:own");
        assert_eq!(Keys::new("{app").leases, "{{app}:leases");
        assert_eq!(Keys::new("ws").set("h:1"), "{ws}:node:h:1");
    }

    #[test]
    fn a_stray_brace_tears_the_keys_apart() {
        for whole in ["ws", "{app}ws", "ws{", "a b", "x{app}y}"] {
            assert!(in_one_slot(whole), "{whole}");
        }
        for torn in ["ws}", "{}ws", "}{"] {
            assert!(!in_one_slot(torn), "{torn}");
        }
    }
}
