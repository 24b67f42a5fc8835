//! The node's side of the protocol: what it puts, and what it makes of answers and beats.

use crate::{
    setup::Setup,
    world::{Answer, Health, Lease, Mask, Op, Pid, Put, World},
};

impl Setup {
    /// Begins a term.
    pub(crate) fn open(&self, w: &mut World, p: Pid) {
        let again = w.at(p).last.filter(|_| !self.rules.fresh);
        let Some(id) = again.or_else(|| self.unused(w)) else {
            w.bad = Some("?? out of terms");
            return;
        };
        if !self.rules.claim_first {
            self.end_old(w, p);
        }
        Self::begin(w, p, id);
        (w.of(p).term, w.of(p).last) = (Some(id), Some(id));
    }

    /// Ends the term before this one.
    pub(crate) fn end_old(&self, w: &mut World, p: Pid) {
        if let Some(old) = w.of(p).old.take() {
            w.of(p).ended = Some(old);
            self.end(w, old);
        }
    }

    /// Sends what is wanted, as far as it is among `items`.
    pub(crate) fn send(&self, w: &mut World, p: Pid, items: Mask) {
        let process = w.of(p);
        // Who was acknowledged is entered again.
        let speakers = if self.rules.fill {
            Mask::MAX
        } else {
            !process.steady
        };
        process.number += 1;
        let adds = process.adds() & items;
        let put = Put {
            term: process.term.expect("there is a term"),
            number: process.number,
            acked: process.acked,
            adds,
            drops: process.drops() & items,
            says: process.says & adds & speakers,
        };
        process.op = Some(Op {
            put,
            answer: None,
            kept: 0,
            told: vec![],
        });
    }

    /// The operation under way fails for this node; what it touched may or may not stand.
    pub(crate) fn forget(w: &mut World, p: Pid) -> Option<Put> {
        let process = w.of(p);
        let op = process.op.take()?;
        let touched = op.put.adds | op.put.drops;
        process.mine &= !touched;
        process.maybe |= touched;
        op.answer.is_none().then_some(op.put)
    }

    /// The term is over, or in doubt: everything is to be entered again, under another.
    fn renounce(&self, w: &mut World, p: Pid, in_doubt: bool) {
        let late = Self::forget(w, p);
        w.late.extend(late);
        let process = w.of(p);
        process.old = if in_doubt {
            process.term
        } else {
            process.old.filter(|_| self.rules.claim_first)
        };
        (process.term, process.number, process.acked) = (None, 0, 0);
        (process.mine, process.maybe, process.later) = (0, 0, 0);
        process.dispatcher = None;
    }

    pub(crate) fn answer(&self, w: &mut World, p: Pid) {
        let process = w.of(p);
        let op = process.op.take().expect("there is an operation");
        let (adds, drops) = (op.put.adds, op.put.drops & !op.kept);
        match op.answer.expect("it is answered") {
            Answer::Done => {
                // Something was said of them meanwhile: they are put again.
                let unsaid = process.says & !op.put.says & !process.steady;
                let unsaid = if self.faults.silent > 0 { unsaid } else { 0 };
                let stand = (adds | op.kept) & !unsaid;
                process.mine = process.mine & !drops & !unsaid | stand;
                process.maybe = process.maybe & !(stand | drops) | (adds | op.kept) & unsaid;
                process.later |= op.kept;
                process.acked = op.put.number;
                process.steady |= adds & process.users;
                self.pass_on(w, op.told);
            }
            Answer::Lost => self.renounce(w, p, false),
            Answer::Loss => self.renounce(w, p, true),
            Answer::Stale => {
                process.mine &= !(adds | drops);
                process.maybe |= adds | drops;
            }
        }
    }

    /// A beat, if it changes anything.
    pub(crate) fn beat(&self, w: &World, p: Pid) -> Option<World> {
        let process = w.at(p);
        let id = process.term.filter(|_| process.health == Health::Up)?;
        let mut n = w.clone();
        let old = process.old.filter(|_| self.rules.both);
        for renewed in [Some(id), old].into_iter().flatten() {
            if let Some(term) = n.registry.term(renewed)
                && term.lease == Lease::Expired
            {
                term.lease = Lease::Live;
            }
        }
        match n.registry.open(id) {
            None => self.renounce(&mut n, p, false),
            Some(term) if self.rules.loss && term.number < process.acked => {
                self.renounce(&mut n, p, true);
            }
            // What waited is sent again.
            Some(_) if !w.registry.hold => n.of(p).later = 0,
            Some(_) => {}
        }
        (n != *w).then_some(n)
    }

    /// What every process that reaches the registry does within a lease is done.
    pub(crate) fn is_calm(&self, w: &World) -> bool {
        self.have_entered(w)
            && self.pids().filter(|&p| w.up(p)).all(|p| {
                let process = w.at(p);
                !process.wants() && process.old.is_none()
            })
    }

    /// Every process that reaches the registry has beaten, and entered all its users.
    pub(crate) fn have_entered(&self, w: &World) -> bool {
        self.pids().filter(|&p| w.up(p)).all(|p| {
            let process = w.at(p);
            process.term.is_some()
                && process.op.is_none()
                && process.adds() == 0
                && self.beat(w, p).is_none()
        })
    }
}
