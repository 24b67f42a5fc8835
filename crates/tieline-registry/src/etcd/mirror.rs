//! All rosters at one revision, and what each event changes.
//!
//! Pure: owns how transitions are derived from events of entries. Invariants: a user is in a roster while any term has
//! an entry of it; the information about it is that of the greatest [`Statement`].

use std::{collections::HashMap, sync::Arc};

use super::{
    roster_layout::{EntryKey, RosterLayout, Statement},
    rpc::{Event, KeyValue, event::EventType},
};
use crate::roster::{RosterName, TransitionKind};

/// All rosters.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    rosters: HashMap<RosterName, HashMap<Arc<str>, Seat>>,
}

/// What each term says about a user.
#[derive(Debug, Default)]
struct Seat(Vec<(i64, Statement)>);

/// A change of who is in a roster, or of what is known about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) kind: TransitionKind,
    pub(super) roster: RosterName,
    pub(super) user: Arc<str>,
    /// Empty for one who has gone.
    pub(super) info: Arc<str>,
    /// The members of the roster from then on.
    pub(super) count: u64,
}

impl Mirror {
    /// An entry was read.
    pub(super) fn load(&mut self, layout: &RosterLayout, kv: &KeyValue) {
        if let Some(key) = layout.parse(&kv.key) {
            self.change(key, Some(Statement::parse(kv)));
        }
    }

    /// An entry was written or deleted. `None` if that changes no roster.
    pub(super) fn apply(&mut self, layout: &RosterLayout, event: &Event) -> Option<Transition> {
        let kv = event.kv.as_ref()?;
        let key = layout.parse(&kv.key)?;
        let is_written = event.r#type() == EventType::Put;
        self.change(key, is_written.then(|| Statement::parse(kv)))
    }

    fn change(&mut self, key: EntryKey, statement: Option<Statement>) -> Option<Transition> {
        let EntryKey { roster, user, term } = key;
        let seats = self.rosters.entry(roster.clone()).or_default();
        let seat = seats.entry(Arc::clone(&user)).or_default();
        let before = seat.info();
        seat.0.retain(|(of, _)| *of != term);
        seat.0.reserve_exact(usize::from(statement.is_some()));
        seat.0.extend(statement.map(|statement| (term, statement)));
        let after = seat.info();
        if after.is_none() {
            seats.remove(&user);
        }
        let count = u64::try_from(seats.len()).unwrap_or(u64::MAX);
        if count == 0 {
            self.rosters.remove(&roster);
        }
        let (kind, info) = match (before, after) {
            (None, Some(info)) => (TransitionKind::Joined, info),
            (Some(_), None) => (TransitionKind::Left, Arc::default()),
            (Some(before), Some(info)) if before != info => (TransitionKind::Changed, info),
            _ => return None,
        };
        Some(Transition {
            kind,
            roster,
            user,
            info,
            count,
        })
    }
}

impl Seat {
    fn info(&self) -> Option<Arc<str>> {
        let greatest = self.0.iter().map(|(_, statement)| statement).max();
        greatest.map(|statement| Arc::clone(&statement.info))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::roster::RosterKind;

    /// What a term says about ada, fresh or not; `None` if it ends.
    type Says<'a> = (i64, Option<(bool, &'a str)>);

    /// What happens to ada in the lobby when terms say something about her, at one revision after the other.
    fn told(events: &[Says<'_>]) -> Vec<String> {
        let layout = RosterLayout::new("p/");
        let lobby = RosterName::new(RosterKind::Members, "lobby");
        let mut mirror = Mirror::default();
        let apply = |(revision, (term, says)): (i64, &Says<'_>)| {
            let value = says.map(|(is_fresh, info)| Statement::value(is_fresh, info));
            let kind = if says.is_some() {
                EventType::Put
            } else {
                EventType::Delete
            };
            let kv = KeyValue {
                key: layout.entry_key(&lobby, "ada", *term),
                mod_revision: revision,
                value: value.unwrap_or_else(Bytes::new),
                ..KeyValue::default()
            };
            let event = Event {
                r#type: kind.into(),
                kv: Some(kv),
            };
            let one = mirror.apply(&layout, &event)?;
            Some(format!("{:?} {} {}", one.kind, one.info, one.count))
        };
        let told = (1..).zip(events).filter_map(apply).collect();
        assert!(mirror.rosters.is_empty(), "nothing is left");
        told
    }

    #[test]
    fn transitions_are_first_in_last_out_and_the_last_information() {
        let events = [
            (1, Some((true, "1"))),
            (2, Some((true, "1"))),
            (1, Some((true, "2"))),
            (1, Some((true, "2"))),
            (1, None),
            (1, None),
            (3, Some((false, "old"))),
            (2, None),
            (3, None),
        ];
        assert_eq!(
            told(&events),
            [
                "Joined 1 1",
                "Changed 2 1",
                "Changed 1 1",
                "Changed old 1",
                "Left  0"
            ]
        );
    }
}
