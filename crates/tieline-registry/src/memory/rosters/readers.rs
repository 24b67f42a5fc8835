//! What readers ask the rosters for.

use std::{ops::Bound, sync::Arc};

use super::{Recorded, Rosters, Seat, position};
use crate::{
    by_user::ByUser,
    error::{RegistryError, RegistryErrorKind},
    roster::{
        HookReply, JournalReply, MAX_READ, Member, Position, RosterKind, RosterName, RosterPage,
        RosterReply, Term,
    },
    types::{Cursor, Page},
};

/// Members or rosters of a page.
const PAGE: usize = 1000;

/// What readers ask for.
impl Rosters {
    pub(in super::super) fn roster(&self, roster: &RosterName, most: usize) -> RosterReply {
        let seats = self.members.get(roster);
        let count = seats.map_or(0, ByUser::len);
        let all = || {
            seats
                .into_iter()
                .flat_map(ByUser::iter)
                .map(member)
                .collect()
        };
        RosterReply {
            tail: self.tail(),
            count: u64::try_from(count).unwrap_or(u64::MAX),
            members: (count <= most).then(all),
        }
    }

    /// A cursor is the last user of the previous page.
    pub(in super::super) fn page(&self, roster: &RosterName, from: &Cursor) -> RosterPage {
        let last = String::from_utf8_lossy(&from.0);
        let after = (!from.0.is_empty()).then_some(&*last);
        let seats = self.members.get(roster).into_iter();
        let seats = seats.flat_map(|seats| seats.after(after));
        let members: Vec<_> = seats.take(PAGE).map(member).collect();
        let last = members.last().filter(|_| members.len() == PAGE);
        RosterPage {
            tail: self.tail(),
            next: last.map(|last| Cursor(last.user.as_bytes().to_vec())),
            members,
        }
    }

    /// A cursor is the text of the last roster of the previous page.
    pub(in super::super) fn rosters(
        &self,
        kind: RosterKind,
        from: &Cursor,
    ) -> Result<Page<RosterName>, RegistryError> {
        let after = match from.0.as_slice() {
            [] => Bound::Included(RosterName::new(kind, "")),
            last => {
                let last = std::str::from_utf8(last).ok();
                let last = last.and_then(RosterName::from_text);
                Bound::Excluded(last.ok_or_else(invalid_cursor)?)
            }
        };
        let rosters = self.members.range((after, Bound::Unbounded));
        let rosters = rosters.map(|(roster, _)| roster);
        let of_kind = rosters.take_while(|roster| roster.kind() == kind);
        let items: Vec<_> = of_kind.take(PAGE).cloned().collect();
        let last = items.last().filter(|_| items.len() == PAGE);
        let next = last.map(|last| Cursor(last.as_str().as_bytes().to_vec()));
        Ok(Page { items, next })
    }

    pub(in super::super) fn read(&self, after: &Position) -> JournalReply {
        let place = after.as_str().parse().unwrap_or_default();
        let found = self.journal.binary_search_by_key(&place, |one| one.place);
        let Ok(found) = found else {
            return JournalReply::Broken;
        };
        let entries = self.journal.range(found + 1..);
        let entries = entries.filter_map(Recorded::entry);
        let entries: Vec<_> = entries.take(MAX_READ).collect();
        let last = entries.last().map_or(after, |last| &last.position);
        JournalReply::Entries {
            reached: last.clone(),
            entries,
        }
    }

    pub(in super::super) fn hook(&mut self, term: &Term, reached: Option<&Position>) -> HookReply {
        if !self.terms.contains_key(&term.name) {
            return HookReply::Lost;
        }
        let (by, at) = match &self.hook {
            Some((by, at)) => (Some(*by), at.clone()),
            None => (None, None),
        };
        if let Some(reached) = reached {
            if by != Some(term.name) {
                return HookReply::Lost;
            }
            self.hook = Some((term.name, Some(reached.clone())));
            return HookReply::Held(reached.clone());
        }
        if by.is_some_and(|by| by != term.name && self.terms.contains_key(&by)) {
            return HookReply::Busy;
        }
        self.hook = Some((term.name, at.clone()));
        match (at, self.journal.front()) {
            (Some(at), _) => HookReply::Held(at),
            // The whole journal still stands: nothing is left out from its mark on.
            (
                None,
                Some(Recorded {
                    place,
                    transition: None,
                }),
            ) => HookReply::Reset(position(*place)),
            (None, _) => HookReply::Reset(self.tail()),
        }
    }
}

fn member((user, seat): (&Arc<str>, &Seat)) -> Member {
    Member {
        user: Arc::clone(user),
        info: Arc::clone(&seat.info),
    }
}

fn invalid_cursor() -> RegistryError {
    let (kind, operation) = (RegistryErrorKind::InvalidInput, "list the rosters");
    RegistryError::of_kind(kind, operation, "the cursor is not from this registry")
}
