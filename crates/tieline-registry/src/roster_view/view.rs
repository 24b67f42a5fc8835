//! The rosters that a node follows, at one position of the journal.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::followed::{Busy, Followed, Update};
use crate::{
    roster::{
        BeatReply, JournalReply, MAX_READ, Member, Position, RosterName, RosterPage, RosterReply,
    },
    types::Cursor,
};

/// What a node follows.
///
/// Times are those of any monotonic clock of the driver.
#[derive(Debug, Default)]
pub struct RosterView {
    lease: Duration,
    /// Where the reader is; `None` until a roster was read.
    at: Option<Position>,
    rosters: HashMap<RosterName, Followed>,
    /// Those of them with which something goes on.
    busy: HashMap<RosterName, Busy>,
    /// Those of which nothing is read yet.
    unread: BTreeSet<RosterName>,
    /// Those of which something is read that does not count yet. What happens to others concerns no more of them than
    /// these: a node follows tens of thousands.
    being_read: Vec<RosterName>,
    /// Those of which there may be something to tell, some of them twice.
    changed: Vec<RosterName>,
    settling: Option<Settling>,
}

/// After a break: who is missing may only not be entered again yet.
#[derive(Debug)]
struct Settling {
    since: Duration,
    /// The end of the journal when everybody had the time to enter again.
    tail: Option<Position>,
}

/// What the driver reads next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// The roster, with all members if they are few.
    Roster(RosterName),
    /// A page of it.
    Page(RosterName, Cursor),
}

/// What is followed.
impl RosterView {
    /// A view that follows nothing. `lease` is that of the cluster's nodes.
    pub fn new(lease: Duration) -> Self {
        Self {
            lease,
            ..Self::default()
        }
    }

    /// Begins to follow a roster, unless it is followed already.
    pub fn follow(&mut self, roster: &RosterName) {
        if !self.rosters.contains_key(roster) {
            self.rosters.insert(roster.clone(), Followed::default());
            self.busy.entry(roster.clone()).or_default().read_again();
            self.unread.insert(roster.clone());
        }
    }

    /// Follows a roster no longer. With the last one, the view forgets its position.
    pub fn unfollow(&mut self, roster: &RosterName) {
        self.rosters.remove(roster);
        self.busy.remove(roster);
        self.unread.remove(roster);
        if self.rosters.is_empty() {
            *self = Self::new(self.lease);
        }
    }

    /// Where the reader is. Together with what was told, it is what a second subscriber gets.
    pub fn position(&self) -> Option<&Position> {
        self.at.as_ref()
    }

    /// Everybody who was told to be in a roster; `None` before anything was told.
    pub fn shown(&self, roster: &RosterName) -> Option<Vec<Member>> {
        let followed = self.rosters.get(roster)?;
        let busy = self.busy.get(roster);
        followed.is_told.then(|| followed.shown(busy))
    }

    /// Whether users who are missing may only not be entered again yet.
    pub fn is_settling(&self) -> bool {
        self.settling.is_some()
    }
}

/// What the driver reads.
impl RosterView {
    /// The next roster or page to read.
    pub fn next_fetch(&mut self) -> Option<Fetch> {
        self.next_fetches(1).pop()
    }

    /// What to read next, at most so many rosters or pages. They may be asked for at once: what answers them is no
    /// older than the position. As long as there is none, it is one.
    pub fn next_fetches(&mut self, most: usize) -> Vec<Fetch> {
        let most = if self.at.is_none() { 1 } else { most };
        let busy = &self.busy;
        let page = |name: &RosterName| {
            let reading = busy.get(name)?.reading.as_ref()?;
            let cursor = reading.next.as_ref().filter(|_| !reading.is_complete)?;
            Some(Fetch::Page(name.clone(), cursor.clone()))
        };
        let mut fetches: Vec<_> = self.being_read.iter().filter_map(page).take(most).collect();
        let unread = self.unread.iter().take(most - fetches.len());
        fetches.extend(unread.cloned().map(Fetch::Roster));
        fetches
    }

    /// A roster was read.
    pub fn on_roster(&mut self, name: &RosterName, reply: RosterReply) {
        self.unread.remove(name);
        let at = self.at.get_or_insert_with(|| reply.tail.clone()).clone();
        let is_settling = self.settling.is_some();
        let (Some(followed), Some(busy)) = (self.rosters.get_mut(name), self.busy.get_mut(name))
        else {
            return;
        };
        let Some(reading) = &mut busy.reading else {
            return;
        };
        reading.tails.push(reply.tail);
        match reply.members {
            Some(members) => {
                let members = members.into_iter();
                reading.members = members.map(|one| (one.user, one.info)).collect();
                reading.is_complete = true;
            }
            None => reading.next = Some(Cursor::default()),
        }
        let known = followed.meet(busy, &at, is_settling);
        let list = if known {
            &mut self.changed
        } else {
            &mut self.being_read
        };
        list.push(name.clone());
    }

    /// A page was read.
    pub fn on_page(&mut self, name: &RosterName, page: RosterPage) {
        let is_settling = self.settling.is_some();
        let (Some(at), Some(followed)) = (&self.at, self.rosters.get_mut(name)) else {
            return;
        };
        let Some(busy) = self.busy.get_mut(name) else {
            return;
        };
        let Some(reading) = &mut busy.reading else {
            return;
        };
        if !reading.tails.contains(&page.tail) {
            reading.tails.push(page.tail);
        }
        let members = page.members.into_iter();
        reading
            .members
            .extend(members.map(|one| (one.user, one.info)));
        reading.is_complete = page.next.is_none();
        reading.next = page.next;
        if followed.meet(busy, at, is_settling) {
            self.changed.push(name.clone());
        }
    }

    /// The journal was read from the position on. Whether there may be more.
    pub fn on_read(&mut self, reply: JournalReply, now: Duration) -> bool {
        let (entries, reached) = match reply {
            JournalReply::Entries { entries, reached } => (entries, reached),
            JournalReply::Broken => {
                self.on_broken(now);
                return true;
            }
        };
        let is_full = entries.len() >= MAX_READ;
        for entry in entries {
            let is_settling = self.settling.is_some();
            if let Some(followed) = self.rosters.get_mut(&entry.roster) {
                let busy = self.busy.entry(entry.roster.clone()).or_default();
                followed.apply(busy, &entry, is_settling);
                self.changed.push(entry.roster);
            }
            self.reach(entry.position);
        }
        if self.at.as_ref() != Some(&reached) {
            self.reach(reached);
        }
        if !is_full {
            self.on_end();
        }
        is_full
    }

    fn reach(&mut self, at: Position) {
        let is_settling = self.settling.is_some();
        let (rosters, changed) = (&mut self.rosters, &mut self.changed);
        let all_busy = &mut self.busy;
        self.being_read.retain(|name| {
            let (Some(followed), Some(busy)) = (rosters.get_mut(name), all_busy.get_mut(name))
            else {
                return false;
            };
            if followed.meet(busy, &at, is_settling) {
                changed.push(name.clone());
            }
            let reading = busy.reading.as_ref();
            reading.is_some_and(|reading| !reading.is_unread())
        });
        let tail = self.settling.as_ref().and_then(|one| one.tail.as_ref());
        if tail.is_some_and(|tail| at.has_reached(tail)) {
            self.settle();
        }
        self.at = Some(at);
    }

    /// The end of the journal. What was read before, and whose end was not met, is of a journal that is lost.
    fn on_end(&mut self) {
        let (all_busy, unread) = (&mut self.busy, &mut self.unread);
        self.being_read.retain(|name| {
            let Some(busy) = all_busy.get_mut(name) else {
                return false;
            };
            let reading = busy.reading.as_ref();
            let is_unmet = reading.is_some_and(|reading| !reading.tails.is_empty());
            if is_unmet {
                busy.read_again();
                unread.insert(name.clone());
            }
            !is_unmet
        });
        if let Some(settling) = &mut self.settling {
            settling.tail = None;
        }
    }

    /// The journal is another one: everything is read anew.
    fn on_broken(&mut self, now: Duration) {
        self.at = None;
        self.settling = Some(Settling {
            since: now,
            tail: None,
        });
        for roster in self.rosters.keys() {
            self.busy.entry(roster.clone()).or_default().read_again();
        }
        self.unread = self.rosters.keys().cloned().collect();
        self.being_read.clear();
    }

    /// Whether the view needs a beat to settle: a lease has passed, and everything is read.
    pub fn wants_beat(&self, now: Duration) -> bool {
        let waited = |settling: &Settling| {
            settling.tail.is_none() && now.saturating_sub(settling.since) >= self.lease
        };
        let is_read = || self.busy.values().all(|one| one.reading.is_none());
        self.settling.as_ref().is_some_and(waited) && is_read()
    }

    /// The reply to the beat that the view wants. What follows until the end of the journal that came with it was
    /// entered when everybody had the time to.
    pub fn on_beat(&mut self, reply: &BeatReply) {
        let (Some(settling), BeatReply::Renewed(pulse)) = (&mut self.settling, reply) else {
            return;
        };
        if !pulse.hold.is_zero() {
            return;
        }
        let at = self.at.as_ref();
        if at.is_some_and(|at| at.has_reached(&pulse.tail)) {
            self.settle();
        } else {
            settling.tail = Some(pulse.tail.clone());
        }
    }

    fn settle(&mut self) {
        self.settling = None;
        self.busy.values_mut().for_each(Busy::settle);
        self.changed = self.busy.keys().cloned().collect();
    }

    /// What is to be told, of each roster at once.
    pub fn take_updates(&mut self) -> Vec<(RosterName, Update)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let updates = changed.filter_map(|name| {
            let busy = self.busy.get_mut(&name)?;
            let update = self.rosters.get_mut(&name)?.take_update(busy);
            if busy.is_over() {
                self.busy.remove(&name);
            }
            Some((name, update?))
        });
        updates.collect()
    }
}
