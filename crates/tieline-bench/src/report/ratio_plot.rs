//! The ratios of all pairs, a dot for each, as SVG.
//!
//! Owns the common scale and the markup. Must not decide which pairs count. All of its text comes from
//! this program, so nothing needs to be escaped.

use std::fmt::Write as _;

use crate::{
    compare::{Comparison, Spread},
    format,
    plan::Scenario,
};

/// The labels of a long scale.
const MARKS: [f64; 11] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0];
/// The labels of a short scale.
const NEAR_MARKS: [f64; 8] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0];

/// A row for each compared figure.
pub(super) fn plot(comparison: &Comparison, scenario: Scenario) -> String {
    let spreads = comparison.ratios().named(scenario);
    let ratios: Vec<_> = comparison
        .valid_pairs()
        .map(|pair| pair.ratios().named(scenario))
        .collect();
    let scale = Scale::over(spreads.iter().filter_map(|(_, _, spread)| *spread));
    let mut text = String::from("<div class=\"strips\">\n");
    for (i, (name, more, spread)) in spreads.into_iter().enumerate() {
        let Some(spread) = spread else {
            continue;
        };
        let dots: Vec<_> = ratios.iter().filter_map(|named| named[i].2).collect();
        let hint = if more {
            "more is better"
        } else {
            "less is better"
        };
        let median = format::ratio(spread.median);
        let _ = writeln!(text, "<div class=\"name\" title=\"{hint}\">{name}</div>");
        text.push_str(&row(name, &dots, spread, &scale));
        let range = format!(
            "{} – {}",
            format::ratio(spread.min),
            format::ratio(spread.max)
        );
        let _ = writeln!(
            text,
            "<div class=\"figure\">{median} <small>({range})</small></div>"
        );
    }
    text.push_str(&scale.labels());
    text.push_str("</div>\n");
    text
}

fn row(name: &str, dots: &[f64], spread: Spread, scale: &Scale) -> String {
    let mut text = format!(
        "<div class=\"strip\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name}\">\n\
         <line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"5\" y2=\"5\"/>\n"
    );
    let one = scale.x(1.0);
    let _ = writeln!(
        text,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"0\" y2=\"10\"/>"
    );
    for ratio in dots {
        let (x, words) = (scale.x(*ratio), format::ratio(*ratio));
        let _ = writeln!(
            text,
            "<path class=\"point\" d=\"M{x:.1} 5h0\"><title>{words}</title></path>"
        );
    }
    let (x, words) = (scale.x(spread.median), format::ratio(spread.median));
    let _ = writeln!(
        text,
        "<line class=\"median\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"1.5\" y2=\"8.5\"><title>median {words}</title></line>"
    );
    text.push_str("</svg></div>\n");
    text
}

/// The common axis of all rows. Logarithmic, so that half and double are equally far from one.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn over(spreads: impl Iterator<Item = Spread>) -> Self {
        let (low, high) = spreads.fold((0.8_f64, 1.25_f64), |(low, high), spread| {
            (low.min(spread.min), high.max(spread.max))
        });
        Self {
            low: low / 1.1,
            high: high * 1.1,
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        1_000.0 * (ratio / self.low).ln() / (self.high / self.low).ln()
    }

    fn labels(&self) -> String {
        let mut text = String::from("<div class=\"scale\">");
        let marks = match self.high / self.low {
            wide if wide > 5.0 => &MARKS[..],
            _ => &NEAR_MARKS,
        };
        let marks = marks
            .iter()
            .filter(|mark| (self.low..=self.high).contains(*mark));
        for mark in marks {
            let left = self.x(*mark) / 10.0;
            let _ = write!(text, "<i style=\"left:{left:.2}%\">{mark}×</i>");
        }
        text.push_str("</div>\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare::Pair, sample};

    #[test]
    fn half_and_double_are_equally_far_from_one() {
        let scale = Scale {
            low: 0.1,
            high: 10.0,
        };
        let (half, one, double) = (scale.x(0.5), scale.x(1.0), scale.x(2.0));
        assert!((one - 500.0).abs() < 1e-6 && (one - half - (double - one)).abs() < 1e-6);
    }

    #[test]
    fn each_pair_is_a_dot_and_the_median_a_line() {
        let pair = || Pair {
            base: sample::outcome(),
            server: sample::outcome(),
        };
        let comparison = Comparison {
            base_is_floor: true,
            pairs: vec![pair(), pair()],
        };
        let drawn = plot(&comparison, Scenario::Echo);
        assert_eq!(drawn.matches("class=\"median\"").count(), 7);
        assert_eq!(drawn.matches("class=\"point\"").count(), 14);
    }
}
