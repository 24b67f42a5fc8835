//! The keys of rosters and their values.
//!
//! Owns the layout. With `S` as in [`layout`](super::layout), a term as 16 hexadecimal digits, and names in base64url,
//! so that no name contains a separator and each range is exact:
//!
//! | key | value | lease |
//! |---|---|---|
//! | `S` + `presence/term.` + term | empty; its revision is the term's fence | of the term |
//! | `S` + `presence/entry.` + kind + group `.` user `.` term | `+`, or `=` if it was entered again, and the information | of the term |
//! | `S` + `presence/journal` | the name of the journal, and a random number: written with each put | none |
//! | `S` + `presence/dispatcher.by` | the dispatcher's term | of the term |
//! | `S` + `presence/dispatcher.at` | how far it has come | none |
//!
//! Must not know calls.

use std::{str, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

use super::{layout::range, rpc::KeyValue};
use crate::roster::{RosterKind, RosterName, Term};

/// The keys of rosters of one cluster.
#[derive(Debug, Clone)]
pub(super) struct RosterLayout {
    own: String,
}

/// What the key of an entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryKey {
    pub(super) roster: RosterName,
    pub(super) user: Arc<str>,
    /// The lease of the term.
    pub(super) term: i64,
}

/// What an entry says about its user. The information about a user is that of the greatest statement of all terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Statement {
    /// Not empty: nothing does not replace something.
    pub(super) says_something: bool,
    /// Not only entered again: such an entry must not replace what others said since.
    pub(super) is_fresh: bool,
    pub(super) revision: i64,
    pub(super) info: Arc<str>,
}

impl RosterLayout {
    pub(super) fn new(own: &str) -> Self {
        let own = own.to_owned();
        Self { own }
    }

    pub(super) fn term_key(&self, term: i64) -> Bytes {
        format!("{}term.{term:016x}", self.own).into()
    }

    pub(super) fn journal_key(&self) -> Bytes {
        format!("{}journal", self.own).into()
    }

    /// The key that names the dispatcher.
    pub(super) fn dispatcher_key(&self) -> Bytes {
        format!("{}dispatcher.by", self.own).into()
    }

    /// The key that says how far the dispatcher has come.
    pub(super) fn dispatched_key(&self) -> Bytes {
        format!("{}dispatcher.at", self.own).into()
    }

    pub(super) fn entry_key(&self, roster: &RosterName, user: &str, term: i64) -> Bytes {
        format!("{}{term:016x}", self.user_prefix(roster, user)).into()
    }

    /// The entries of one user, each of another term.
    pub(super) fn entries_of_user(&self, roster: &RosterName, user: &str) -> (Bytes, Bytes) {
        range(&self.user_prefix(roster, user))
    }

    pub(super) fn entries_of(&self, roster: &RosterName) -> (Bytes, Bytes) {
        range(&self.roster_prefix(roster))
    }

    /// The entries of all rosters of a kind.
    pub(super) fn entries_of_kind(&self, kind: RosterKind) -> (Bytes, Bytes) {
        let name = RosterName::new(kind, "");
        range(&format!("{}entry.{}", self.own, name.as_str()))
    }

    /// All entries.
    pub(super) fn entries(&self) -> (Bytes, Bytes) {
        range(&format!("{}entry.", self.own))
    }

    /// What the journal is made of: all entries, and its own key.
    pub(super) fn watched(&self) -> (Bytes, Bytes) {
        (self.entries().0, range(&format!("{}journal", self.own)).1)
    }

    fn roster_prefix(&self, roster: &RosterName) -> String {
        let (kind, group) = roster.as_str().split_at(1);
        format!("{}entry.{kind}{}.", self.own, encode(group))
    }

    fn user_prefix(&self, roster: &RosterName, user: &str) -> String {
        format!("{}{}.", self.roster_prefix(roster), encode(user))
    }

    /// `None` if it is not the key of an entry.
    pub(super) fn parse(&self, key: &[u8]) -> Option<EntryKey> {
        let key = str::from_utf8(key.strip_prefix(self.own.as_bytes())?).ok()?;
        let mut parts = key.strip_prefix("entry.")?.split('.');
        let (roster, user, term) = (parts.next()?, parts.next()?, parts.next()?);
        let (kind, group) = roster.split_at_checked(1)?;
        Some(EntryKey {
            roster: RosterName::from_text(format!("{kind}{}", decode(group)?))?,
            user: decode(user)?.into(),
            term: parse_term(term.as_bytes())?,
        })
    }
}

/// What the keys of all entries of this entry's user begin with: equal for the same user of the same roster only.
pub(super) fn user_part(key: &[u8]) -> &[u8] {
    let end = key.iter().rposition(|byte| *byte == b'.');
    end.map_or(key, |end| &key[..=end])
}

/// The lease of a term: random bits of its name. A lease of 0 would be any.
pub(super) fn lease_of(term: &Term) -> i64 {
    let (_, low) = term.name.as_u64_pair();
    i64::try_from(low & (u64::MAX >> 1))
        .unwrap_or(i64::MAX)
        .max(1)
}

/// The text that names a term in keys and values.
pub(super) fn term_text(term: i64) -> String {
    format!("{term:016x}")
}

fn parse_term(text: &[u8]) -> Option<i64> {
    i64::from_str_radix(str::from_utf8(text).ok()?, 16).ok()
}

impl Statement {
    /// The value in etcd.
    pub(super) fn value(is_fresh: bool, info: &str) -> Bytes {
        let mark = if is_fresh { '+' } else { '=' };
        format!("{mark}{info}").into()
    }

    /// What no node has written says nothing.
    pub(super) fn parse(kv: &KeyValue) -> Self {
        let value = String::from_utf8_lossy(&kv.value);
        let (is_fresh, info) = match value.strip_prefix('+') {
            Some(info) => (true, info),
            None => (false, value.strip_prefix('=').unwrap_or_default()),
        };
        Self {
            says_something: !info.is_empty(),
            is_fresh,
            revision: kv.mod_revision,
            info: info.into(),
        }
    }
}

fn encode(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn decode(name: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_as_they_were_written_and_ranges_are_exact() {
        let layout = RosterLayout::new("!tieline/ws/presence/");
        let groups = ["lobby", "lob", "a.b", "\0chat\0lobby", "\u{1F600}", ""];
        let kinds = [
            RosterKind::Members,
            RosterKind::Occupancy,
            RosterKind::Online,
        ];
        let rosters = || kinds.map(|kind| groups.map(|group| RosterName::new(kind, group)));
        let is_in = |key: &Bytes, range: (Bytes, Bytes)| *key >= range.0 && *key < range.1;
        for roster in rosters().as_flattened() {
            for user in ["", "ada", "ad", "x\0y", "a.b"] {
                let key = layout.entry_key(roster, user, 0x1234);
                let parsed = layout.parse(&key).unwrap();
                assert_eq!((&parsed.roster, &*parsed.user), (roster, user));
                assert_eq!(parsed.term, 0x1234);
                assert!(is_in(&key, layout.watched()) && is_in(&key, layout.entries()));
                for other in rosters().as_flattened() {
                    assert_eq!(is_in(&key, layout.entries_of(other)), other == roster);
                    let of_kind = layout.entries_of_kind(other.kind());
                    assert_eq!(is_in(&key, of_kind), other.kind() == roster.kind());
                }
                for other in ["", "ada", "ad", "x\0y", "a.b"] {
                    let of_user = layout.entries_of_user(roster, other);
                    assert_eq!(is_in(&key, of_user), other == user);
                }
            }
        }
        assert!(is_in(&layout.journal_key(), layout.watched()));
        for other in [layout.dispatcher_key(), layout.term_key(1)] {
            assert!(!is_in(&other, layout.watched()));
        }
    }

    #[test]
    fn who_is_entered_again_says_nothing_new() {
        let parse = |value: Bytes, mod_revision| {
            Statement::parse(&KeyValue {
                value,
                mod_revision,
                ..KeyValue::default()
            })
        };
        let fresh = parse(Statement::value(true, "here"), 3);
        let again = parse(Statement::value(false, "there"), 4);
        assert!(fresh > again && fresh < parse(Statement::value(true, "new"), 5));
        let nothing = parse(Statement::value(true, ""), 6);
        assert!(fresh > nothing && again > nothing);
        assert_eq!(&*fresh.info, "here");
    }
}
