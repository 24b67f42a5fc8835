//! The search over all worlds that can be reached, breadth first.
//!
//! Owns the graph. A world itself is kept only until its successors are known; after that, it is a fingerprint
//! of 64 bits. So a shortest trace to any world can be played again.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::Model;

/// Worlds in one search; they take some 3 GB.
const LIMIT: usize = 29_000_000;

/// The reachable worlds, numbered in the order in which they were found.
#[derive(Default)]
pub struct Graph {
    index: HashMap<u64, u32>,
    /// How each was reached first, so on a shortest path: from where, by which action there.
    parent: Vec<(u32, u16)>,
    /// The successors of world `i` are `edges[bounds[i]..bounds[i + 1]]`.
    bounds: Vec<usize>,
    edges: Vec<u32>,
    /// The first world of each violation.
    pub bad: Vec<(&'static str, u32)>,
    /// Whether the search ended before it was complete.
    pub was_cut_off: bool,
}

impl Graph {
    /// Finds all worlds that can be reached, unless there are too many.
    pub fn explore<M: Model>(model: &M) -> Self {
        let mut graph = Self::default();
        let mut queue = VecDeque::new();
        graph.visit::<M>(model.start(), (0, 0), &mut queue);
        while let Some(world) = queue.pop_front() {
            let at = number(graph.bounds.len());
            graph.bounds.push(graph.edges.len());
            graph.was_cut_off |= graph.worlds() > LIMIT;
            let actions = if graph.was_cut_off {
                vec![]
            } else {
                model.actions(&world)
            };
            for (choice, action) in (0..).zip(actions) {
                let next = model.next(&world, action);
                let next = graph.visit::<M>(next, (at, choice), &mut queue);
                graph.edges.push(next);
            }
        }
        graph.bounds.push(graph.edges.len());
        graph
    }

    /// How many worlds were found.
    pub fn worlds(&self) -> usize {
        self.parent.len()
    }

    /// How many steps lead from one of them to another.
    pub fn steps(&self) -> usize {
        self.edges.len()
    }

    fn visit<M: Model>(
        &mut self,
        world: M::World,
        parent: (u32, u16),
        queue: &mut VecDeque<M::World>,
    ) -> u32 {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        let new = number(self.parent.len());
        let at = *self.index.entry(hasher.finish()).or_insert(new);
        if at == new {
            self.parent.push(parent);
            if let Some(bad) = M::violation(&world)
                && self.bad.iter().all(|&(known, _)| known != bad)
            {
                self.bad.push((bad, at));
            }
            queue.push_back(world);
        }
        at
    }

    /// A shortest sequence of actions that leads to a world.
    pub fn trace<M: Model>(&self, model: &M, mut at: u32) -> Vec<M::Action> {
        let mut choices = vec![];
        while at != 0 {
            let (from, choice) = self.parent[at as usize];
            choices.push(choice);
            at = from;
        }
        let mut world = model.start();
        let play = |choice: u16| {
            let action = model.actions(&world)[usize::from(choice)];
            world = model.next(&world, action);
            action
        };
        choices.into_iter().rev().map(play).collect()
    }

    /// The last step of a cycle. Faults are finite, so only the protocol itself can go in circles (I5).
    pub fn cycle(&self) -> Option<(u32, u32)> {
        let mut open = vec![false; self.worlds()];
        let mut next = vec![0; self.worlds()];
        let mut stack = vec![0_u32];
        while let Some(&at) = stack.last() {
            let from = at as usize;
            let edges = &self.edges[self.bounds[from]..self.bounds[from + 1]];
            let to = edges.get(next[from]).copied();
            open[from] = to.is_some();
            next[from] += 1;
            match to {
                None => _ = stack.pop(),
                Some(to) if open[to as usize] => return Some((at, to)),
                Some(to) if next[to as usize] == 0 => stack.push(to),
                Some(_) => {}
            }
        }
        None
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("the limit is far below")
}
