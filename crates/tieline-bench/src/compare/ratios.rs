//! Ratios of two measurements, and their spread over many.
//!
//! Owns which figures are compared, and in which of them more is better. Must not know which pairs
//! count. Invariant: a figure that is zero or was not measured has no ratio.

use serde::Serialize;

use crate::{outcome::Outcome, plan::Scenario};

/// One value for each compared figure; `None` if it was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Ratios<T> {
    pub(crate) per_second: Option<T>,
    pub(crate) broadcasts_per_second: Option<T>,
    pub(crate) p50: Option<T>,
    pub(crate) p99: Option<T>,
    pub(crate) p99_9: Option<T>,
    pub(crate) broadcast_p50: Option<T>,
    pub(crate) broadcast_p99: Option<T>,
    pub(crate) per_cpu_second: Option<T>,
    pub(crate) cpu_per_message: Option<T>,
    pub(crate) resident_per_connection: Option<T>,
}

/// Median, minimum and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Ratios<f64> {
    /// The server's figures divided by the baseline's.
    pub(super) fn of(server: &Outcome, base: &Outcome) -> Self {
        let latency = |percent: f64| {
            let of = |outcome: &Outcome| outcome.latency.percentile(percent).as_secs_f64();
            quotient(Some(of(server)), Some(of(base)))
        };
        let broadcast = |percent: f64| {
            let of = |outcome: &Outcome| {
                let flow = outcome.broadcast.as_ref()?;
                Some(flow.latency.percentile(percent).as_secs_f64())
            };
            quotient(of(server), of(base))
        };
        Self {
            per_second: quotient(Some(server.per_second()), Some(base.per_second())),
            broadcasts_per_second: quotient(
                server.broadcasts_per_second(),
                base.broadcasts_per_second(),
            ),
            p50: latency(50.0),
            p99: latency(99.0),
            p99_9: latency(99.9),
            broadcast_p50: broadcast(50.0),
            broadcast_p99: broadcast(99.0),
            per_cpu_second: quotient(server.per_cpu_second(), base.per_cpu_second()),
            cpu_per_message: quotient(server.cpu_micros(), base.cpu_micros()),
            resident_per_connection: quotient(
                server.resident_per_connection(),
                base.resident_per_connection(),
            ),
        }
    }
}

impl Ratios<Spread> {
    /// The spread of each ratio.
    pub(super) fn spread(all: impl Iterator<Item = Ratios<f64>>) -> Self {
        let all: Vec<_> = all.collect();
        let of = |figure: fn(&Ratios<f64>) -> Option<f64>| {
            Spread::of(all.iter().filter_map(figure).collect())
        };
        Self {
            per_second: of(|ratios| ratios.per_second),
            broadcasts_per_second: of(|ratios| ratios.broadcasts_per_second),
            p50: of(|ratios| ratios.p50),
            p99: of(|ratios| ratios.p99),
            p99_9: of(|ratios| ratios.p99_9),
            broadcast_p50: of(|ratios| ratios.broadcast_p50),
            broadcast_p99: of(|ratios| ratios.broadcast_p99),
            per_cpu_second: of(|ratios| ratios.per_cpu_second),
            cpu_per_message: of(|ratios| ratios.cpu_per_message),
            resident_per_connection: of(|ratios| ratios.resident_per_connection),
        }
    }
}

impl<T: Copy> Ratios<T> {
    /// Each with its label, and whether more is better.
    pub(crate) fn named(&self, scenario: Scenario) -> [(&'static str, bool, Option<T>); 10] {
        let (rate, per_cpu, cpu) = match scenario {
            Scenario::Echo
            | Scenario::Broadcast
            | Scenario::Direct
            | Scenario::Rooms
            | Scenario::Mixed => (
                "messages per second",
                "messages per CPU second",
                "CPU per message",
            ),
            Scenario::Rest => (
                "requests per second",
                "requests per CPU second",
                "CPU per request",
            ),
            Scenario::Idle | Scenario::Storm | Scenario::Churn => (
                "connections per second",
                "connections per CPU second",
                "CPU per connection",
            ),
        };
        [
            (rate, true, self.per_second),
            ("broadcasts per second", true, self.broadcasts_per_second),
            ("latency p50", false, self.p50),
            ("latency p99", false, self.p99),
            ("latency p99.9", false, self.p99_9),
            ("broadcast latency p50", false, self.broadcast_p50),
            ("broadcast latency p99", false, self.broadcast_p99),
            (per_cpu, true, self.per_cpu_second),
            (cpu, false, self.cpu_per_message),
            ("memory per connection", false, self.resident_per_connection),
        ]
    }
}

impl Spread {
    /// `None` without figures. The median of an even number is the mean of the two middle ones.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Self { median, min, max })
    }
}

fn quotient(of: Option<f64>, by: Option<f64>) -> Option<f64> {
    let (of, by) = (of?, by?);
    (of > 0.0 && by > 0.0).then(|| of / by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |figures: &[f64]| Spread::of(figures.to_vec());
        let wanted = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(spread(&[3.0, 1.0, 2.0]), wanted(2.0, 1.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), wanted(2.5, 1.0, 4.0));
        assert_eq!(spread(&[7.0]), wanted(7.0, 7.0, 7.0));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_ratio_is_the_server_divided_by_the_baseline() {
        let (mut server, mut base) = (sample::outcome(), sample::outcome());
        server.arrived /= 2;
        base.processes[0].resident_open = base.processes[0].resident_first + 300 * 100;
        let ratios = Ratios::of(&server, &base);
        let near = |ratio: Option<f64>, wanted: f64| (ratio.unwrap() - wanted).abs() < 1e-6;
        assert!(
            near(ratios.per_second, 0.5)
                && near(ratios.per_cpu_second, 0.5)
                && near(ratios.cpu_per_message, 2.0)
        );
        assert!(near(ratios.p99, 1.0) && near(ratios.resident_per_connection, 4.0));
    }

    #[test]
    fn what_was_not_measured_has_no_ratio() {
        let (server, mut base) = (sample::outcome(), sample::outcome());
        base.processes.clear();
        base.arrived = 0;
        let ratios = Ratios::of(&server, &base);
        assert_eq!((ratios.per_second, ratios.cpu_per_message), (None, None));
    }
}
