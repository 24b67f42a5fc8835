//! Followers: what a reader of the journal knows, and what its subscribers are told.
//!
//! Invariant: `shown` differs from `truth` only while settling; each announcement changes what is shown.

use crate::{
    setup::Setup,
    world::{Awaited, CELLS, Entry, Follower, Mask, Pages, Pid, Position, World, bit},
};

impl Setup {
    fn show(&self, w: &mut World, p: Pid, shown: Mask) {
        for cell in self.cells_of(w.at(p).follower.shown & !shown) {
            self.judge_gone(w, cell, None);
        }
        w.of(p).follower.shown = shown;
    }

    fn take_entry(&self, w: &mut World, p: Pid, entry: Entry) {
        let f = &mut w.of(p).follower;
        f.at = entry.at;
        let Some(cell) = entry.cell else {
            return;
        };
        if f.followed & bit(cell) == 0 {
            self.meet(w, p);
            return;
        }
        f.truth = with(f.truth, cell, entry.add);
        if f.pages.is_some() {
            self.meet_pages(w, p);
            return;
        }
        if f.settling {
            let keeps = !entry.add && self.rules.settle_wait;
            let shown = if keeps {
                f.shown
            } else {
                with(f.shown, cell, entry.add)
            };
            self.show(w, p, shown);
        } else {
            if f.shown ^ f.truth != bit(cell) {
                w.bad = Some("I3 a transition is announced twice, or one was missed");
                return;
            }
            f.shown = f.truth;
        }
        self.meet(w, p);
        let f = &w.at(p).follower;
        if f.truth != entry.after & f.followed {
            w.bad = Some("I3 a follower is not where the journal is");
        }
    }

    /// The roster that is followed besides is shown, if the reader is where its snapshot is.
    fn meet(&self, w: &mut World, p: Pid) {
        let f = &mut w.of(p).follower;
        let Some(Awaited { cell, at, here }) = f.awaits else {
            return;
        };
        if at == f.at || !self.rules.meet && at <= f.at {
            Self::add_roster(f, cell, here);
        }
    }

    fn add_roster(f: &mut Follower, cell: u8, here: Mask) {
        f.truth |= here;
        f.shown |= here;
        f.followed |= bit(cell);
        f.awaits = None;
    }

    /// Begins to follow one more roster.
    pub(crate) fn follow(&self, w: &mut World, p: Pid, cell: u8) {
        let (at, here) = (w.registry.tail(), w.registry.rosters() & bit(cell));
        let f = &mut w.of(p).follower;
        f.awaits = Some(Awaited { cell, at, here });
        if !self.rules.meet {
            Self::add_roster(f, cell, here);
        }
        self.meet(w, p);
    }

    /// A snapshot is there.
    fn present(&self, w: &mut World, p: Pid) {
        let f = w.at(p).follower;
        let here = w.registry.find(f.at);
        let here = here.map(|i| w.registry.journal[i].after);
        if here.is_some_and(|after| after & f.followed != f.truth) {
            w.bad = Some("I3 a snapshot is not what the journal tells");
            return;
        }
        let settling = f.synced && f.settling;
        let shown = if settling { f.shown | f.truth } else { f.truth };
        w.of(p).follower = Follower {
            synced: true,
            settling,
            ..f
        };
        if f.synced {
            self.show(w, p, shown);
        } else {
            w.of(p).follower.shown = shown;
        }
    }

    /// Reads what is followed, at the tail.
    pub(crate) fn sync(&self, w: &mut World, p: Pid) {
        let (at, rosters) = (w.registry.tail(), w.registry.rosters());
        let all = if self.kind.later {
            bit(0)
        } else {
            self.all_cells()
        };
        let f = &mut w.of(p).follower;
        if f.followed == 0 {
            f.followed = all;
        }
        if self.kind.pages {
            f.pages = Some(Pages {
                begun: at,
                got: 0,
                read: 0,
                tails: [0; CELLS],
            });
        } else {
            (f.at, f.truth) = (at, rosters & f.followed);
            self.present(w, p);
        }
    }

    pub(crate) fn page(&self, w: &mut World, p: Pid, cell: u8) {
        let (rosters, tail) = (w.registry.rosters(), w.registry.tail());
        let all_cells = self.all_cells();
        let f = &mut w.of(p).follower;
        let pages = f.pages.as_mut().expect("there are pages");
        pages.got |= rosters & bit(cell);
        pages.read |= bit(cell);
        let all = pages.read == all_cells;
        if all || self.rules.tails {
            pages.tails[usize::from(cell)] = tail;
        }
        if all {
            f.truth = pages.got;
            f.at = if self.rules.replay { pages.begun } else { tail };
            if !self.rules.replay {
                pages.tails = [0; CELLS];
            }
            self.meet_pages(w, p);
        }
    }

    fn meet_pages(&self, w: &mut World, p: Pid) {
        let f = &mut w.of(p).follower;
        let pages = f.pages.as_mut().expect("there are pages");
        for tail in &mut pages.tails {
            if *tail == f.at {
                *tail = 0;
            }
        }
        if pages.tails == [0; CELLS] {
            f.pages = None;
            self.present(w, p);
        }
    }

    pub(crate) fn read(&self, w: &mut World, p: Pid) {
        let at = w.at(p).follower.at;
        let found = w.registry.find(at);
        let next = match found {
            Some(i) => w.registry.journal.get(i + 1).copied(),
            None if self.rules.lineage => None,
            None => Self::entry_after(w, at),
        };
        if let Some(entry) = next {
            self.take_entry(w, p, entry);
            return;
        }
        let f = &mut w.of(p).follower;
        if found.is_none() {
            // The journal is another one: everything is read anew.
            (f.at, f.truth, f.awaits, f.pages) = (0, 0, None, None);
            f.settling = self.rules.settle;
        } else if f.pages.is_some() {
            // The end, and not every tail was met: some were of another journal.
            (f.at, f.truth, f.pages) = (0, 0, None);
        } else {
            f.awaits = None;
        }
    }

    fn entry_after(w: &World, at: Position) -> Option<Entry> {
        let mut entries = w.registry.journal.iter();
        entries.find(|entry| entry.at > at).copied()
    }

    /// Whether a read would find anything: an entry, or that the journal is another.
    pub(crate) fn is_readable(&self, w: &World, p: Pid) -> bool {
        let f = &w.at(p).follower;
        match w.registry.find(f.at) {
            Some(i) => i + 1 < w.registry.journal.len() || f.awaits.is_some() || f.pages.is_some(),
            None => self.rules.lineage || Self::entry_after(w, f.at).is_some(),
        }
    }

    /// What a new snapshot lacks is announced as gone.
    pub(crate) fn settle(&self, w: &mut World, p: Pid) {
        let f = &mut w.of(p).follower;
        f.settling = false;
        let truth = f.truth;
        self.show(w, p, truth);
    }

    /// Without a journal: a follower is told a transition.
    pub(crate) fn deliver(&self, w: &mut World, p: Pid, entry: Entry, before: Position) {
        w.messages.remove(&(p, entry, before));
        let at = w.at(p).follower.at;
        // It may be older than the snapshot.
        if at == 0 || entry.at <= at {
            return;
        }
        if self.rules.chain && before != at {
            self.sync(w, p);
            return;
        }
        let f = &mut w.of(p).follower;
        let shown = match entry.cell {
            Some(cell) if !entry.add => f.shown & !bit(cell),
            _ => f.shown | entry.after,
        };
        (f.at, f.truth, f.shown) = (entry.at, shown, shown);
    }
}

fn with(mask: Mask, cell: u8, add: bool) -> Mask {
    if add {
        mask | bit(cell)
    } else {
        mask & !bit(cell)
    }
}
