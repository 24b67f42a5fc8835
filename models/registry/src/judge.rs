//! The next world, and what must hold in it.

use tieline_model_search::Model;

use crate::{
    action::Action,
    setup::Setup,
    world::{Emit, Id, Place, World},
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
        let covered = self.is_covered(&mut n);
        n.covered &= n.emit != Emit::Idle && covered;
        let mut steps = vec![];
        self.steps(&n, &mut steps);
        if n.bad.is_none() && steps.is_empty() {
            n.bad = (0..self.clients).find_map(|id| self.judge(&n, id));
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
    fn judge(&self, w: &World, id: Id) -> Option<&'static str> {
        let routable = self.pids().filter(|&p| !w.processes[p].conflict);
        let live = routable.filter_map(|p| Some((self.addr(p), w.processes[p].slots[id].conn?)));
        let live: Vec<_> = live.collect();
        let place = w.registry.place[id];
        let own = w.registry.own[id].map(|own| (own.addr, own.stamp));
        match live[..] {
            [] => {
                let left = own.is_some() || matches!(place, Some(Place::Node(_)));
                left.then_some("I2 an entry without a live connection")
            }
            [(addr, conn)] => {
                let here = place == Some(Place::Node(addr)) && own == Some((addr, conn.granted));
                (!here).then_some("I1 a live connection is not registered")
            }
            _ => Some("I1 two live connections remain"),
        }
    }
}
