//! Pairs of runs, and which of them count.
//!
//! Owns the order of the runs, and the search for the rate of `--rate half`. Must not know how one run
//! is measured. Invariant: a pair with faults counts in no ratio.

use super::ratios::{Ratios, Spread};
use crate::{
    baseline::Baseline,
    outcome::Outcome,
    plan::{Pacing, Plan},
    progress_bar::ProgressBar,
    target::Target,
    trial, url,
};

/// Messages in flight per sender to find the maximum rate.
const FULL_SPEED: u32 = 16;

/// What to compare.
#[derive(Debug)]
pub(crate) struct ComparisonSpec {
    /// The load, in the server's message format.
    pub(crate) plan: Plan,
    pub(crate) server: Target,
    pub(crate) base: Baseline,
    /// Number of pairs of runs.
    pub(crate) runs: u32,
    /// Send at half of the maximum rate of the slower one.
    pub(crate) half_rate: bool,
}

/// The result of a comparison.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The baseline is the baseline server.
    pub(crate) base_is_floor: bool,
    pub(crate) pairs: Vec<Pair>,
}

/// One run of each.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) base: Outcome,
    pub(crate) server: Outcome,
}

/// Measures both, pair by pair. Fails if every pair has faults.
pub(crate) fn run(sides: &ComparisonSpec, quiet: bool) -> anyhow::Result<Comparison> {
    let mut server = (sides.server.clone(), sides.plan.clone());
    let mut base = sides.base.target_and_plan(&sides.plan);
    if sides.half_rate {
        let rate = highest_rate([&base, &server], quiet)? / 2.0;
        base.1.pace = Pacing::PerSecond(rate);
        server.1.pace = Pacing::PerSecond(rate);
    }
    let mut pairs = Vec::new();
    for number in 1..=sides.runs {
        let label = |who| format!("{number}/{} {who}", sides.runs);
        pairs.push(Pair {
            base: measure(&base, &label("baseline"), quiet)?,
            server: measure(&server, &label("server"), quiet)?,
        });
    }
    if pairs.iter().all(Pair::is_faulty) {
        let words = pairs.iter().flat_map(Pair::examples).next();
        let words = words.map_or_else(String::new, |words| format!(": {words}"));
        anyhow::bail!("every pair has faults, so there is nothing to compare{words}");
    }
    Ok(Comparison {
        base_is_floor: matches!(sides.base, Baseline::Floor { .. }),
        pairs,
    })
}

fn measure((target, plan): &(Target, Plan), label: &str, quiet: bool) -> anyhow::Result<Outcome> {
    trial::measure(target, plan, &ProgressBar::new(quiet, label))
}

/// The maximum rate of the slower one, in messages per second.
fn highest_rate(sides: [&(Target, Plan); 2], quiet: bool) -> anyhow::Result<f64> {
    let mut highest = f64::INFINITY;
    for ((target, plan), who) in sides.into_iter().zip(["baseline", "server"]) {
        let mut plan = plan.clone();
        plan.pace = Pacing::InFlight(FULL_SPEED);
        let label = format!("highest rate, {who}");
        let outcome = measure(&(target.clone(), plan), &label, quiet)?;
        highest = highest.min(outcome.sent_per_second());
    }
    anyhow::ensure!(
        highest > 0.0,
        "cannot find the rate for --rate half: no message arrived at full speed"
    );
    Ok(highest)
}

impl Comparison {
    /// The plan of the server.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.pairs.first().map(|pair| &pair.server.plan)
    }

    /// The baseline, as shown to the user.
    pub(crate) fn base(&self) -> String {
        match self.pairs.first() {
            Some(pair) if !self.base_is_floor => url::redact_all(&pair.base.plan.urls),
            _ => "the baseline server".into(),
        }
    }

    /// The ratios of the valid pairs.
    pub(crate) fn ratios(&self) -> Ratios<Spread> {
        Ratios::spread(self.valid_pairs().map(Pair::ratios))
    }

    /// The pairs without faults.
    pub(crate) fn valid_pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| !pair.is_faulty())
    }
}

impl Pair {
    /// Whether either run has faults.
    pub(crate) fn is_faulty(&self) -> bool {
        self.base.faults.any() || self.server.faults.any()
    }

    /// The server's figures divided by the baseline's.
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
    fn a_pair_with_faults_does_not_count() {
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
        assert_eq!(comparison.valid_pairs().count(), 1);
        let rate = comparison.ratios().per_second.unwrap();
        assert!((rate.min - 1.0).abs() < 1e-9);
    }
}
