//! A server and a base, measured in turn.
//!
//! Both run on the same machine in the same minutes, each started afresh, so that what the ratio tells
//! is the server and not the weather. Must not know flags or reports.

use super::ratios::{Ratios, Spread};
use crate::{
    baseline::Baseline,
    outcome::Outcome,
    plan::{Pace, Plan},
    progress_bar::Bar,
    target::Target,
    trial, url,
};

/// Messages under way while the highest rate is sought.
const PUSH: u32 = 16;

/// What is compared.
#[derive(Debug)]
pub(crate) struct ComparisonSpec {
    /// The load, in the words of the server.
    pub(crate) plan: Plan,
    pub(crate) server: Target,
    pub(crate) base: Baseline,
    /// Pairs of runs.
    pub(crate) runs: u32,
    /// The load is half of the highest rate that the slower reaches.
    pub(crate) half_rate: bool,
}

/// What a comparison found.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The base is the bare server.
    pub(crate) base_is_floor: bool,
    pub(crate) pairs: Vec<Pair>,
}

/// A run of each.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) base: Outcome,
    pub(crate) server: Outcome,
}

/// Measures both, pair by pair. Fails where something went wrong in each pair.
pub(crate) fn run(sides: &ComparisonSpec, quiet: bool) -> anyhow::Result<Comparison> {
    let mut server = (sides.server.clone(), sides.plan.clone());
    let mut base = sides.base.against(&sides.plan);
    if sides.half_rate {
        let rate = highest_rate([&base, &server], quiet)? / 2.0;
        base.1.pace = Pace::PerSecond(rate);
        server.1.pace = Pace::PerSecond(rate);
    }
    let mut pairs = Vec::new();
    for number in 1..=sides.runs {
        let label = |who| format!("{number}/{} {who}", sides.runs);
        pairs.push(Pair {
            base: measure(&base, &label("base"), quiet)?,
            server: measure(&server, &label("server"), quiet)?,
        });
    }
    if pairs.iter().all(Pair::is_faulty) {
        let words = pairs.iter().flat_map(Pair::examples).next();
        let words = words.map_or_else(String::new, |words| format!(": {words}"));
        anyhow::bail!("something went wrong in each pair, so that nothing is compared{words}");
    }
    Ok(Comparison {
        base_is_floor: matches!(sides.base, Baseline::Floor { .. }),
        pairs,
    })
}

fn measure((target, plan): &(Target, Plan), label: &str, quiet: bool) -> anyhow::Result<Outcome> {
    trial::measure(target, plan, &Bar::new(quiet, label))
}

/// Messages a second that the slower of both reaches.
fn highest_rate(sides: [&(Target, Plan); 2], quiet: bool) -> anyhow::Result<f64> {
    let mut highest = f64::INFINITY;
    for ((target, plan), who) in sides.into_iter().zip(["base", "server"]) {
        let mut plan = plan.clone();
        plan.pace = Pace::InFlight(PUSH);
        let label = format!("highest rate, {who}");
        let outcome = measure(&(target.clone(), plan), &label, quiet)?;
        highest = highest.min(outcome.sent_per_second());
    }
    anyhow::ensure!(
        highest > 0.0,
        "--rate half cannot be told: no message arrived at full speed"
    );
    Ok(highest)
}

impl Comparison {
    /// The load, as the server got it.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.pairs.first().map(|pair| &pair.server.plan)
    }

    /// Who the base is, in words.
    pub(crate) fn base(&self) -> String {
        match self.pairs.first() {
            Some(pair) if !self.base_is_floor => url::shown(&pair.base.plan.urls),
            _ => "the bare server".into(),
        }
    }

    /// The ratios of the pairs that count.
    pub(crate) fn ratios(&self) -> Ratios<Spread> {
        Ratios::spread(self.counting().map(Pair::ratios))
    }

    /// Pairs in which nothing went wrong.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| !pair.is_faulty())
    }
}

impl Pair {
    /// Whether anything went wrong in either.
    pub(crate) fn is_faulty(&self) -> bool {
        self.base.faults.any() || self.server.faults.any()
    }

    /// The server's figures divided by those of the base.
    pub(crate) fn ratios(&self) -> Ratios<f64> {
        Ratios::of(&self.server, &self.base)
    }

    fn examples(&self) -> impl Iterator<Item = &String> {
        [&self.base, &self.server]
            .into_iter()
            .flat_map(|outcome| &outcome.faults.examples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_pair_in_which_something_went_wrong_does_not_count() {
        let pair = || Pair {
            base: sample::outcome(),
            server: sample::outcome(),
        };
        let mut faulty = pair();
        faulty.server.arrived = 1;
        faulty.server.faults.lost = 1;
        let comparison = Comparison {
            base_is_floor: true,
            pairs: vec![pair(), faulty],
        };
        assert_eq!(comparison.counting().count(), 1);
        let rate = comparison.ratios().per_second.unwrap();
        assert!((rate.min - 1.0).abs() < 1e-9);
    }
}
