//! The registry's side of the protocol: terms, entries, and the journal of transitions.

use crate::{
    setup::Setup,
    world::{
        Answer, CELLS, Entry, Health, Lease, Mask, Pid, Process, Put, TERMS, Term, TermId, World,
        bit,
    },
};

impl Setup {
    /// A user has come into a roster, or gone from it: exactly once for each, in the journal.
    fn tell(&self, w: &mut World, cell: u8, add: bool, id: TermId) -> Entry {
        let before = w.registry.journal.last().map_or(0, |entry| entry.after);
        let after = w.registry.rosters();
        if before ^ after != bit(cell) || (after & bit(cell) != 0) != add {
            w.bad = Some("I2 the journal does not tell a change");
        }
        let was_wiped = self.faults.wipe > w.left.wipe;
        if !(add || self.kind.etcd && was_wiped) {
            self.judge_gone(w, cell, Some(id));
        }
        let entry = Entry {
            at: w.next,
            cell: Some(cell),
            add,
            after,
        };
        w.registry.journal.push(entry);
        w.next += 1;
        entry
    }

    /// Nobody is announced as gone who has been here and acknowledged all the time, at a node that was never away.
    /// Where a failover has lost the acknowledged entry, it may not be because the user's own node ends a term.
    pub(crate) fn judge_gone(&self, w: &mut World, cell: u8, id: Option<TermId>) {
        let away = w.left.pause != self.faults.pause || w.left.cut != self.faults.cut;
        let lost = w.left.failover != self.faults.failover;
        let ended_by = |p: &Process| {
            id.is_some_and(|id| w.registry.open(id).is_none())
                && [p.term, p.old, p.ended].contains(&id)
        };
        let is_here = |p: &Process| {
            let here = p.health == Health::Up && p.users & p.steady & bit(cell) != 0;
            here && (!lost || ended_by(p))
        };
        if !away && w.processes.iter().any(is_here) {
            w.bad = Some("I4 a user who is here is announced as gone");
        }
    }

    fn leave(&self, w: &mut World, cell: u8, id: TermId) -> Option<Entry> {
        let count = &mut w.registry.count[usize::from(cell)];
        *count -= 1;
        if *count == 0 {
            w.registry.known &= !bit(cell);
        }
        let count = w.registry.count[usize::from(cell)];
        (count == 0).then(|| self.tell(w, cell, false, id))
    }

    pub(crate) fn execute(&self, w: &mut World, put: Put) -> (Answer, Mask, Vec<Entry>) {
        let Some(term) = w.registry.open(put.term) else {
            return (Answer::Lost, 0, vec![]);
        };
        if self.rules.loss_put && term.number < put.acked {
            return (Answer::Loss, 0, vec![]);
        }
        if self.rules.number && put.number <= term.number {
            return (Answer::Stale, 0, vec![]);
        }
        let (mut kept, mut told) = (0, vec![]);
        for cell in 0..self.cells {
            let (entered, wanted) = (term.entries & bit(cell) != 0, put.adds & bit(cell) != 0);
            if put.drops & bit(cell) != 0 && entered {
                let is_last = w.registry.count[usize::from(cell)] == 1;
                if self.rules.keep && w.registry.hold && is_last {
                    kept |= bit(cell);
                } else {
                    told.extend(self.leave(w, cell, put.term));
                }
            }
            if wanted && !self.rules.silence {
                w.registry.known &= !bit(cell);
            }
            if wanted {
                w.registry.known |= put.says & bit(cell);
            }
            if wanted && !entered {
                w.registry.count[usize::from(cell)] += 1;
                if w.registry.count[usize::from(cell)] == 1 {
                    told.push(self.tell(w, cell, true, put.term));
                }
            }
        }
        let entries = term.entries & !(put.drops & !kept) | put.adds;
        *w.registry.term(put.term) = Some(Term {
            number: put.number.max(term.number),
            entries,
            says: if self.kind.etcd {
                (term.says | put.says) & entries
            } else {
                0
            },
            ..term
        });
        self.forget_said(w);
        (Answer::Done, kept, told)
    }

    /// Removes one entry of a term that is over.
    pub(crate) fn reap(&self, w: &mut World, id: TermId, cell: u8) {
        let Some(term) = w.registry.term(id) else {
            return;
        };
        term.entries &= !bit(cell);
        term.says &= !bit(cell);
        let (owner, over) = (term.owner, term.entries == 0);
        if over {
            *w.registry.term(id) = None;
        }
        let told = self.leave(w, cell, id);
        self.forget_said(w);
        if over {
            Self::forget_ended(w, owner, id);
        }
        if self.pids().any(|p| w.up(p)) {
            self.pass_on(w, told.into_iter().collect());
        }
    }

    /// On etcd, what an entry says goes with it.
    fn forget_said(&self, w: &mut World) {
        if self.kind.etcd {
            let terms = w.registry.terms.iter().flatten();
            w.registry.known = terms.fold(0, |known, term| known | term.says);
        }
    }

    fn forget_ended(w: &mut World, owner: Pid, id: TermId) {
        let ended = &mut w.of(owner).ended;
        *ended = ended.filter(|&ended| ended != id);
    }

    /// Without a journal: the caller of a script tells the followers what it answered.
    pub(crate) fn pass_on(&self, w: &mut World, told: Vec<Entry>) {
        if self.rules.journal {
            return;
        }
        for entry in told {
            let i = w.registry.find(entry.at).and_then(|i| i.checked_sub(1));
            let before = i.map_or(0, |i| w.registry.journal[i].at);
            for p in 0..self.followers {
                if w.at(p).health != Health::Down {
                    w.messages.insert((p, entry, before));
                }
            }
        }
    }

    /// A term name that nothing refers to is as good as new.
    pub(crate) fn unused(&self, w: &World) -> Option<TermId> {
        let reused = w.left.late_open > 0 || !self.rules.fresh;
        let used = |id: TermId| {
            let known = |p: &Process| {
                [p.term, p.old, p.ended, p.last.filter(|_| reused)].contains(&Some(id))
            };
            let in_snapshot = w.snapshot.as_ref().is_some_and(|snapshot| {
                snapshot.terms[usize::from(id)].is_some()
                    || snapshot.hook.is_some_and(|hook| hook.by == id)
            });
            w.registry.terms[usize::from(id)].is_some()
                || w.late.iter().any(|put| put.term == id)
                || in_snapshot
                || w.registry.hook.is_some_and(|hook| hook.by == id)
                || w.processes.iter().any(known)
        };
        (0..TERMS).find(|&id| !used(id))
    }

    pub(crate) fn begin(w: &mut World, p: Pid, id: TermId) {
        if w.registry.journal.is_empty() {
            let after = w.registry.rosters();
            w.registry.journal.push(Entry {
                at: w.next,
                cell: None,
                add: false,
                after,
            });
            w.next += 1;
        }
        let term = w.registry.term(id);
        let new = Term {
            owner: p,
            lease: Lease::Live,
            number: 0,
            entries: 0,
            says: 0,
        };
        *term = Some(term.map_or(new, |before| Term {
            lease: Lease::Live,
            ..before
        }));
    }

    /// Ends a term. On etcd its entries go with it, in one revision; on Redis they go by and by.
    pub(crate) fn end(&self, w: &mut World, id: TermId) {
        let Some(term) = w.registry.term(id) else {
            return;
        };
        term.lease = Lease::Buried;
        let (entries, owner) = (term.entries, term.owner);
        if entries == 0 {
            *w.registry.term(id) = None;
            Self::forget_ended(w, owner, id);
        }
        if self.kind.etcd {
            for cell in self.cells_of(entries) {
                self.reap(w, id, cell);
            }
        }
    }

    /// How many terms have each cell, by the terms.
    pub(crate) fn counted(w: &World) -> [u8; CELLS] {
        let mut count = [0; CELLS];
        for term in w.registry.terms.iter().flatten() {
            for (cell, count) in count.iter_mut().enumerate() {
                *count += term.entries >> cell & 1;
            }
        }
        count
    }
}
