//! What the protocol will do in a world, and what the passage of time brings. Each of these changes the world.
//!
//! A world in which no such step is left is quiet: there the invariants must hold.

use crate::{
    action::Action as A,
    setup::Setup,
    world::{Health, Lease, Op, Pid, TERMS, TermId, World, bit},
};

impl Setup {
    pub(crate) fn steps(&self, w: &World, out: &mut Vec<A>) {
        for p in self.pids() {
            self.steps_of_process(w, p, out);
        }
        out.extend(w.late.iter().map(|&put| A::ExecuteLate(put)));
        let messages = w.messages.iter().filter(|message| w.up(message.0));
        out.extend(messages.map(|&(p, entry, before)| A::Deliver(p, entry, before)));
        for id in 0..TERMS {
            self.steps_of_term(w, id, out);
        }
        if w.registry.hold && self.have_entered(w) {
            out.push(A::HoldEnds);
        }
    }

    fn steps_of_process(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let process = w.at(p);
        if let Some(Op { answer: None, .. }) = process.op {
            out.push(A::Execute(p));
        }
        if matches!(process.health, Health::Paused | Health::Cut) {
            out.push(A::Recover(p));
        }
        if process.health != Health::Up {
            return;
        }
        if process.op.as_ref().is_some_and(|op| op.answer.is_some()) {
            out.push(A::Answer(p));
        }
        if process.term.is_none() {
            out.push(A::Open(p));
        } else if process.op.is_none() {
            let wanted = process.adds() | process.drops();
            if self.kind.single {
                out.extend(self.cells_of(wanted).map(|cell| A::SendOne(p, cell)));
            } else if wanted != 0 {
                out.push(A::Send(p));
            }
            if wanted == 0 && process.old.is_some() {
                out.push(A::End(p));
            }
        }
        if self.beat(w, p).is_some() {
            out.push(A::Beat(p));
        }
        if p < self.followers {
            self.steps_of_follower(w, p, out);
        }
        if self.kind.hook && process.term.is_some_and(|id| w.registry.is_live(id)) {
            self.steps_of_dispatcher(w, p, out);
        }
    }

    fn steps_of_term(&self, w: &World, id: TermId, out: &mut Vec<A>) {
        let registry = &w.registry;
        let Some(term) = registry.terms[usize::from(id)] else {
            return;
        };
        let owner = w.at(term.owner);
        let renewed = owner.term == Some(id) || owner.old == Some(id) && self.rules.both;
        let may_bury = self.rules.bury || term.entries == 0;
        match term.lease {
            // A lease expires exactly while its process cannot renew it.
            Lease::Live if !(renewed && owner.health == Health::Up) => out.push(A::Expire(id)),
            Lease::Expired if !registry.hold && may_bury => out.push(A::Bury(id)),
            _ => {}
        }
        let checked = term.lease == Lease::Expired && !self.rules.bury && !registry.hold;
        if term.lease == Lease::Buried || checked {
            let entries = self.cells_of(term.entries);
            out.extend(entries.map(|cell| A::Reap(id, cell)));
        }
    }

    fn steps_of_follower(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let f = &w.at(p).follower;
        if let Some(pages) = f.pages.filter(|pages| pages.read != self.all_cells()) {
            let unread = self.cells_of(!pages.read);
            out.extend(unread.map(|cell| A::Page(p, cell)));
        } else if f.at == 0 {
            if !w.registry.journal.is_empty() {
                out.push(A::Sync(p));
            }
        } else {
            let reads = self.rules.journal || f.pages.is_some();
            if reads && self.is_readable(w, p) {
                out.push(A::Read(p));
            }
            if self.kind.later && f.awaits.is_none() {
                let more = (0..self.cells).filter(|&cell| f.followed & bit(cell) == 0);
                out.extend(more.map(|cell| A::Follow(p, cell)));
            }
            let has_read = !self.rules.settle_read || w.registry.tail() == f.at;
            let reached = !w.registry.hold && has_read;
            if f.settling && f.pages.is_none() && reached && self.is_calm(w) {
                out.push(A::Settle(p));
            }
        }
    }

    fn steps_of_dispatcher(&self, w: &World, p: Pid, out: &mut Vec<A>) {
        let registry = &w.registry;
        let Some(d) = w.at(p).dispatcher else {
            let holder = registry.hook.and_then(|hook| registry.open(hook.by));
            if holder.is_none() {
                out.push(A::Take(p));
            }
            return;
        };
        let Some(i) = registry.find(d.at) else {
            out.push(A::Reset(p));
            return;
        };
        let next = registry.journal.get(i + 1).is_some();
        let (posts, moves) = if self.rules.post_first {
            (next && d.posted == d.at, d.posted != d.at)
        } else {
            (d.moved, next && !d.moved)
        };
        if posts {
            out.push(A::Post(p));
        }
        if moves {
            out.push(A::Move(p));
        }
    }
}
