//! The dispatcher: one reader of the journal for the cluster, which posts every transition.
//!
//! Its place and its position are in the registry.

use crate::{
    setup::Setup,
    world::{Dispatcher, Hook, Pid, World},
};

impl Setup {
    /// Takes the place.
    pub(crate) fn take_hook(w: &mut World, p: Pid) {
        let by = w.at(p).term.expect("there is a term");
        let first = w.registry.journal.first();
        let mark = first.filter(|entry| entry.cell.is_none());
        let first = mark.map_or(w.registry.tail(), |entry| entry.at);
        let at = w.registry.hook.map_or(first, |hook| hook.at);
        w.registry.hook = Some(Hook { by, at });
        // The mark is a reset.
        w.delivered = w.delivered.max(first);
        w.of(p).dispatcher = Some(Dispatcher {
            at,
            posted: at,
            moved: false,
        });
    }

    /// Posts the transition after the position.
    pub(crate) fn post(&self, w: &mut World, p: Pid) {
        let d = w.at(p).dispatcher.expect("it is the dispatcher");
        let i = w.registry.find(d.at).expect("it has a position");
        let i = i + usize::from(self.rules.post_first);
        let entry = w.registry.journal[i];
        let before = i.checked_sub(1);
        let before = before.map_or(0, |i| w.registry.journal[i].at);
        let (left, all) = (&w.left, &self.faults);
        let is_undisturbed = left.crash == all.crash
            && left.pause == all.pause
            && left.cut == all.cut
            && left.wipe == all.wipe
            && left.failover == all.failover
            && left.stall == all.stall;
        if w.delivered < before {
            w.bad = Some("I6 the dispatcher leaves out a transition");
        }
        if entry.at <= w.delivered && is_undisturbed {
            w.bad = Some("I6 the dispatcher posts twice");
        }
        w.delivered = w.delivered.max(entry.at);
        w.of(p).dispatcher = Some(Dispatcher {
            posted: entry.at,
            moved: false,
            ..d
        });
    }

    /// Moves the position to what was posted.
    pub(crate) fn move_hook(&self, w: &mut World, p: Pid) {
        let d = w.at(p).dispatcher.expect("it is the dispatcher");
        let to = if self.rules.post_first {
            d.posted
        } else {
            let i = w.registry.find(d.at).expect("it has a position");
            w.registry.journal[i + 1].at
        };
        Self::set_hook(w, p, to, true);
    }

    /// The journal is another one: the receiver is told to ask for everything.
    pub(crate) fn reset_hook(w: &mut World, p: Pid) {
        let at = w.registry.tail();
        w.delivered = at;
        Self::set_hook(w, p, at, false);
    }

    fn set_hook(w: &mut World, p: Pid, at: u8, moved: bool) {
        let by = w.at(p).term.expect("there is a term");
        let is_mine = w.registry.hook.is_some_and(|hook| hook.by == by);
        if is_mine {
            w.registry.hook = Some(Hook { by, at });
        }
        w.of(p).dispatcher = is_mine.then_some(Dispatcher {
            at,
            posted: at,
            moved,
        });
    }
}
