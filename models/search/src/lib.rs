//! The search that explores the models of Tieline's protocols, and the tables of experiments that it runs.
//!
//! Owns the graph of worlds, the shortest traces to violations, and the comparison with what is expected. Must
//! not know any protocol: a model implements [`Model`].
//!
//! A table has one experiment a line; empty lines and those that begin with `#` are skipped.

mod graph;

use std::{
    collections::BTreeSet,
    hash::Hash,
    io::{self, Write},
    time::Instant,
};

pub use self::graph::Graph;

/// One experiment with a model: what can happen, from which world, and what is expected.
pub trait Model: Sized {
    /// Everything that the protocol depends on.
    type World: Clone + Hash;
    /// One step of the world.
    type Action: Copy;

    /// Parses a line of a table.
    fn parse(line: &str) -> Self;

    /// The name of the experiment.
    fn name(&self) -> &str;

    /// The codes of the violations that must be found, in order.
    fn expected(&self) -> &[String];

    /// The first world.
    fn start(&self) -> Self::World;

    /// What can happen in a world.
    fn actions(&self, world: &Self::World) -> Vec<Self::Action>;

    /// The world after an action, judged.
    fn next(&self, world: &Self::World, action: Self::Action) -> Self::World;

    /// The invariant that a world breaks: its code, and what that means.
    fn violation(world: &Self::World) -> Option<&'static str>;

    /// An action in a trace.
    fn words(action: Self::Action) -> String;
}

/// Defines a struct of named values that a line of a table can set.
///
/// # Panics
/// `set` panics on a name that is none of `NAMES`.
#[macro_export]
macro_rules! named {
    ($(#[$doc:meta])* $type:ident: $of:ty { $($(#[$field:meta])* $name:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $type { $($(#[$field])* pub(crate) $name: $of),* }

        impl $type {
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

            fn set(&mut self, name: &str, to: $of) {
                match name {
                    $(stringify!($name) => self.$name = to,)*
                    _ => panic!("{name} is none of {:?}", Self::NAMES),
                }
            }
        }
    };
}

/// The experiments of a table whose names contain a text.
pub fn experiments<M: Model>(table: &str, filter: &str) -> Vec<M> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let models = lines.map(M::parse);
    models
        .filter(|model| model.name().contains(filter))
        .collect()
}

/// Explores each experiment, and prints what it finds. Whether that is what is expected.
pub fn explore<M: Model>(models: &[M], out: &mut impl Write) -> io::Result<bool> {
    let mut passed = !models.is_empty();
    let mut worlds = 0;
    for model in models {
        let start = Instant::now();
        let graph = Graph::explore(model);
        worlds += graph.worlds();
        let (count, steps) = (graph.worlds(), graph.steps());
        writeln!(
            out,
            "{}: {count} worlds, {steps} steps, {:.1?}",
            model.name(),
            start.elapsed()
        )?;
        let violations = violations(model, &graph);
        for (violation, trace) in &violations {
            writeln!(out, "   {violation}: {}", text::<M>(trace))?;
        }
        let found: BTreeSet<_> = violations.iter().map(|(name, _)| code(name)).collect();
        if !found.iter().eq(model.expected()) {
            writeln!(out, "   EXPECTED {:?}", model.expected())?;
            passed = false;
        }
    }
    writeln!(out, "{worlds} worlds in all")?;
    Ok(passed)
}

/// Each violation with a shortest trace.
pub fn violations<M: Model>(model: &M, graph: &Graph) -> Vec<(&'static str, Vec<M::Action>)> {
    let bad = graph.bad.iter();
    let mut violations: Vec<_> = bad
        .map(|&(bad, at)| (bad, graph.trace(model, at)))
        .collect();
    if let Some((from, _)) = graph.cycle() {
        violations.push(("I5 the protocol goes in circles", graph.trace(model, from)));
    }
    if graph.was_cut_off {
        violations.push(("?? the search was cut off", vec![]));
    }
    violations
}

/// The code of a violation: its first word.
pub fn code(violation: &str) -> String {
    let (code, _) = violation.split_once(' ').unwrap_or((violation, ""));
    code.to_owned()
}

/// A trace in words.
pub fn text<M: Model>(trace: &[M::Action]) -> String {
    let words: Vec<_> = trace.iter().map(|&action| M::words(action)).collect();
    words.join(", ")
}
