//! The next world, and what must hold in it.

use tieline_model_search::Model;

use crate::{
    action::Action,
    setup::Setup,
    world::{Mask, Pid, Position, World},
};

impl Model for Setup {
    type World = World;
    type Action = Action;

    fn parse(line: &str) -> Self {
        Self::of_line(line)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn expected(&self) -> &[String] {
        &self.expected
    }

    fn start(&self) -> World {
        World::start(self)
    }

    fn actions(&self, w: &World) -> Vec<Action> {
        let mut actions = vec![];
        if w.bad.is_none() {
            self.faults(w, &mut actions);
            self.steps(w, &mut actions);
        }
        actions
    }

    fn next(&self, w: &World, action: Action) -> World {
        let mut n = w.clone();
        self.apply(&mut n, action);
        let mut steps = vec![];
        self.steps(&n, &mut steps);
        if n.bad.is_none() && steps.is_empty() {
            n.bad = self.judge(&n);
        }
        if !self.kind.hook && n.left.trim == 0 {
            forget_read_entries(&mut n);
        }
        n
    }

    fn violation(w: &World) -> Option<&'static str> {
        w.bad
    }

    fn words(action: Action) -> String {
        action.words()
    }
}

impl Setup {
    /// What is wrong with a quiet world.
    fn judge(&self, w: &World) -> Option<&'static str> {
        let here: Mask = w.processes.iter().fold(0, |mask, p| mask | p.users);
        let rosters = w.registry.rosters();
        if rosters & !here != 0 {
            return Some("I1 a member who is not here: a ghost");
        }
        if here & !rosters != 0 {
            return Some("I1 a user who is here is no member");
        }
        for (id, term) in (0..).zip(w.registry.terms) {
            let Some(term) = term else { continue };
            let owner = w.at(term.owner);
            if owner.term != Some(id) || owner.users != term.entries {
                return Some("I1 a term is not what its node has");
            }
        }
        if Self::counted(w) != w.registry.count {
            return Some("I1 a count is not that of the entries");
        }
        let said = w.processes.iter().fold(0, |mask, p| mask | p.says);
        if said & !w.registry.known != 0 {
            return Some("I7 what is known of a member is lost");
        }
        let is_wrong = |p: Pid| {
            let f = &w.at(p).follower;
            let right = here & f.followed;
            w.up(p) && (f.shown != right || f.truth != right || f.settling)
        };
        if (0..self.followers).any(is_wrong) && !w.registry.journal.is_empty() {
            return Some("I1 a follower shows something else than the roster");
        }
        let mut dispatchers = w.processes.iter().filter_map(|p| p.dispatcher);
        if self.kind.hook && dispatchers.any(|d| d.at != w.registry.tail()) {
            return Some("I6 the dispatcher stops");
        }
        None
    }
}

/// Forgets the entries of the journal that nobody can come back to, so that equal worlds look equal.
fn forget_read_entries(w: &mut World) {
    let of_processes = w.processes.iter().flat_map(|p| {
        [
            p.follower.at,
            p.follower.pages.map_or(0, |pages| pages.begun),
            p.follower.awaits.map_or(0, |awaited| awaited.at),
            p.dispatcher.map_or(0, |d| d.at),
        ]
    });
    let of_hooks = [Some(&w.registry), w.snapshot.as_deref()].into_iter();
    let of_hooks = of_hooks.flatten().filter_map(|registry| registry.hook);
    let of_hooks = of_hooks.map(|hook| hook.at);
    let of_messages = w.messages.iter().map(|message| message.2);
    let needed: Vec<Position> = of_processes.chain(of_hooks).chain(of_messages).collect();
    let snapshot = w.snapshot.as_mut().map(|snapshot| &mut snapshot.journal);
    for journal in [Some(&mut w.registry.journal), snapshot]
        .into_iter()
        .flatten()
    {
        let first = journal.iter().position(|entry| needed.contains(&entry.at));
        let keep = first.unwrap_or(journal.len().saturating_sub(1));
        journal.drain(..keep);
    }
}
