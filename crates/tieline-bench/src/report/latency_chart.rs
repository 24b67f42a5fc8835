//! Latency by percentile, as SVG.
//!
//! The horizontal axis is logarithmic in 1/(1-p), like in HDR plots, so that each further nine has the same
//! width. Labels are HTML over the SVG, which stretches, so that they keep their size on a phone.

use std::fmt::Write as _;

use super::labels;
use crate::{format, outcome::Latency};

/// The end of the axis: 99.99 %.
const NINES: f64 = 4.0;
/// Steps of the curve over the whole width.
const STEPS: u32 = 240;
/// The percentile at which curves begin: the minimum says little, and would take much height.
const BEGIN: f64 = 5.0;
/// Width and height of the drawing, in its units.
const SIDE: f64 = 1_000.0;

/// A curve.
pub(super) struct Series<'a> {
    pub(super) name: &'static str,
    /// The CSS class with its colour.
    pub(super) class: &'static str,
    pub(super) latency: &'a Latency,
}

/// The chart; empty if nothing was recorded.
pub(super) fn chart(series: &[Series<'_>]) -> String {
    let seen: Vec<_> = series.iter().filter(|s| !s.latency.0.is_empty()).collect();
    let Some(scale) = Scale::over(&seen) else {
        return String::new();
    };
    let mut text = legend(&seen);
    text.push_str("<div class=\"chart\">\n<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Latency by percentile\">\n");
    let marks = scale.marks();
    for micros in &marks {
        let y = scale.y(*micros);
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
    }
    for (percent, _) in percentiles() {
        let x = x(percent);
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"1000\"/>"
        );
    }
    seen.iter()
        .for_each(|series| text.push_str(&curve(series, &scale)));
    text.push_str("</svg>\n");
    for micros in &marks {
        let bottom = 100.0 - scale.y(*micros) / 10.0;
        let label = mark(*micros);
        let _ = writeln!(
            text,
            "<i class=\"y\" style=\"bottom:{bottom:.2}%\">{label}</i>"
        );
    }
    for (percent, _) in percentiles() {
        let left = x(percent) / 10.0;
        let _ = writeln!(
            text,
            "<i class=\"x\" style=\"left:{left:.2}%\">{percent}</i>"
        );
    }
    text.push_str("<i class=\"axis\">percentile</i>\n</div>\n");
    text
}

fn legend(series: &[&Series<'_>]) -> String {
    if series.len() < 2 {
        return String::new();
    }
    let mut text = String::from("<ul class=\"legend\">");
    for Series { name, class, .. } in series {
        let _ = write!(text, "<li class=\"{class}\"><span>{name}</span></li>");
    }
    text.push_str("</ul>\n");
    text
}

fn curve(series: &Series<'_>, scale: &Scale) -> String {
    let Series {
        name,
        class,
        latency,
    } = series;
    let reach = format::float(latency.0.len()).log10().clamp(0.31, NINES);
    let mut path = String::new();
    for step in 0..=STEPS {
        let nines = NINES * f64::from(step) / f64::from(STEPS);
        if nines > reach {
            break;
        }
        let percent = (100.0 * (1.0 - 10_f64.powf(-nines))).max(BEGIN);
        let letter = if step == 0 { 'M' } else { 'L' };
        let y = scale.y(micros(latency, percent));
        let _ = write!(path, "{letter}{:.1} {y:.1}", x(percent));
    }
    let mut text =
        format!("<g class=\"{class}\">\n<path d=\"{path}\"><title>{name}</title></path>\n");
    let shown = percentiles().filter(|(percent, _)| nines(*percent) <= reach + 0.01);
    for (percent, label) in shown {
        let (x, y) = (x(percent), scale.y(micros(latency, percent)));
        let time = format::time(latency.percentile(percent));
        let _ = writeln!(
            text,
            "<path class=\"point\" d=\"M{x:.1} {y:.1}h0\"><title>{name} {label}: {time}</title></path>"
        );
    }
    text.push_str("</g>\n");
    text
}

/// The percentiles that have a place on the axis.
fn percentiles() -> impl Iterator<Item = (f64, &'static str)> {
    labels::PERCENTILES
        .into_iter()
        .filter(|(percent, _)| *percent < 100.0)
}

fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn x(percent: f64) -> f64 {
    nines(percent) / NINES * SIDE
}

fn micros(latency: &Latency, percent: f64) -> f64 {
    latency.percentile(percent).as_secs_f64() * 1e6
}

/// The vertical axis, logarithmic in microseconds.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the shortest to the longest latency of all curves, with a margin.
    fn over(series: &[&Series<'_>]) -> Option<Self> {
        let lows = series.iter().map(|s| micros(s.latency, BEGIN));
        let highs = series.iter().map(|s| micros(s.latency, 99.99));
        let low = lows.reduce(f64::min)?.max(0.1);
        let high = highs.reduce(f64::max)?.max(low * 2.0);
        let margin = (high / low).powf(0.06);
        Some(Self {
            low: low / margin,
            high: high * margin,
        })
    }

    fn y(&self, micros: f64) -> f64 {
        let part = (micros.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        SIDE * (1.0 - part.clamp(0.0, 1.0))
    }

    /// Round times within the scale, more per decade if there are few decades.
    fn marks(&self) -> Vec<f64> {
        let steps: &[f64] = match (self.high / self.low).log10() {
            decades if decades < 0.7 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            decades if decades < 2.0 => &[1.0, 2.0, 5.0],
            decades if decades < 3.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let decades = (-1..=9).map(|decade| 10_f64.powi(decade));
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
        all.filter(|mark| (self.low..=self.high).contains(mark))
            .collect()
    }
}

/// A round time without trailing digits.
fn mark(micros: f64) -> String {
    let (figure, unit) = match micros {
        us if us < 0.999 => (us * 1e3, "ns"),
        us if us < 999.0 => (us, "µs"),
        us if us < 999_000.0 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", (figure * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn each_nine_has_the_same_width() {
        assert!((x(90.0) - 250.0).abs() < 1e-6 && (x(99.9) - 750.0).abs() < 1e-6);
        assert!((x(99.99) - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn marks_are_round_times_with_units() {
        let scale = Scale {
            low: 90.0,
            high: 11_000.0,
        };
        let marks = scale.marks().into_iter().map(mark);
        let wanted = ["100 µs", "300 µs", "1 ms", "3 ms", "10 ms"];
        assert_eq!(marks.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn an_empty_histogram_has_no_chart() {
        let (empty, full) = (Latency::new(), sample::outcome().latency);
        let series = |latency| Series {
            name: "server",
            class: "server",
            latency,
        };
        assert_eq!(chart(&[series(&empty)]), "");
        let drawn = chart(&[series(&full)]);
        assert!(
            drawn.contains("<title>server p99: 9.96 ms</title>"),
            "{drawn}"
        );
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }
}
