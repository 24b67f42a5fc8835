//! Results as a table, for a terminal.
//!
//! Owns columns and their alignment. Must not know where the text is written. Invariant: URLs are shown
//! without their secrets.

use std::fmt::Write as _;

use super::{labels, results::Results};
use crate::{
    compare::{Comparison, Pair, Ratios, Spread},
    format,
    outcome::{Faults, Latency, Outcome},
    plan::Scenario,
    registry::{ClaimResult, RegistryOutcome, RegistryPlan},
    url::{redact, redact_all},
};

pub(super) fn text(report: &Results) -> String {
    match report {
        Results::Measurement(outcome) => measurement(outcome),
        Results::Comparison(found) => comparison(found),
        Results::Registry(plan, outcome) => registry(plan, outcome),
    }
}

fn measurement(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut text = heading(labels::scenario(plan.scenario), &labels::parameters(plan));
    for url in &plan.urls {
        line(&mut text, "", &redact(url));
    }
    text.push('\n');
    let counted = labels::units(plan.scenario);
    let (arrived, elapsed) = (
        format::count(outcome.arrived),
        format::time(outcome.elapsed),
    );
    if plan.scenario != Scenario::Idle {
        let rate = labels::rate(outcome);
        let words = format!("{rate}/s   ({arrived} in {elapsed})");
        line(&mut text, counted, &words);
    }
    if let Some(rate) = labels::per_cpu_second(outcome) {
        line(
            &mut text,
            "per CPU",
            &format!("{rate} per second of the server's CPU time"),
        );
    }
    line(
        &mut text,
        labels::latency(plan.scenario),
        &percentiles(&outcome.latency),
    );
    if let Some(broadcast) = &outcome.broadcast {
        let arrived = format::count(broadcast.arrived);
        let rate = format::number(outcome.broadcasts_per_second().unwrap_or_default());
        let words = format!("{rate}/s   ({arrived} in {elapsed})");
        line(&mut text, "broadcasts", &words);
        line(&mut text, "latency", &percentiles(&broadcast.latency));
    }
    let opening = outcome.opening;
    let opened = format::number(format::float(opening.connections as u64));
    line(
        &mut text,
        "opening",
        &format!("{opened} in {}", format::time(opening.elapsed)),
    );
    text.push_str(&processes(outcome));
    text.push_str(&faults(&outcome.faults));
    text
}

fn comparison(comparison: &Comparison) -> String {
    let Some(plan) = comparison.plan() else {
        return String::new();
    };
    let what = format!("compare {}", labels::scenario(plan.scenario));
    let mut text = heading(&what, &labels::parameters(plan));
    line(&mut text, "baseline", &comparison.base());
    line(&mut text, "server", &redact_all(&plan.urls));
    text.push('\n');
    text.push_str(&columns(&pairs(&comparison.pairs)));
    text.push('\n');
    text.push_str(&columns(&ratios(&comparison.ratios(), plan.scenario)));
    let counting = comparison.valid_pairs().count();
    if counting < comparison.pairs.len() {
        let all = comparison.pairs.len();
        let _ = writeln!(
            text,
            "\n! {counting} of {all} pairs count; the others have faults:"
        );
        let faulty = comparison.pairs.iter().filter(|pair| pair.is_faulty());
        for outcome in faulty.flat_map(|pair| [&pair.base, &pair.server]) {
            if outcome.faults.any() {
                text.push_str(&faults(&outcome.faults));
            }
        }
    }
    text
}

/// Two rows per pair: baseline and server.
fn pairs(pairs: &[Pair]) -> Vec<Vec<String>> {
    let heads = [
        "pair",
        "",
        "per second",
        "p50",
        "p99",
        "p99.9",
        "per CPU second",
        "CPU each",
        "per connection",
        "ratio",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (number, pair) in (1..).zip(pairs) {
        let mark = if pair.is_faulty() { "!" } else { "" };
        rows.push(side(&format!("{number}{mark}"), "baseline", &pair.base, ""));
        let ratio = pair
            .ratios()
            .per_second
            .map_or_else(format::none, format::ratio);
        rows.push(side("", "server", &pair.server, &ratio));
    }
    rows
}

fn side(number: &str, who: &str, outcome: &Outcome, ratio: &str) -> Vec<String> {
    let latency = |percent| format::time(outcome.latency.percentile(percent));
    vec![
        number.to_owned(),
        who.to_owned(),
        labels::rate(outcome),
        latency(50.0),
        latency(99.0),
        latency(99.9),
        labels::per_cpu_second(outcome).unwrap_or_else(format::none),
        outcome
            .cpu_micros()
            .map_or_else(format::none, format::micros),
        outcome
            .resident_per_connection()
            .map_or_else(format::none, format::bytes),
        ratio.to_owned(),
    ]
}

fn ratios(ratios: &Ratios<Spread>, scenario: Scenario) -> Vec<Vec<String>> {
    let heads = ["server / baseline", "median", "min", "max"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (name, _, spread) in ratios.named(scenario) {
        let Some(Spread { median, min, max }) = spread else {
            continue;
        };
        let figures = [median, min, max].map(format::ratio);
        rows.push([&[name.to_owned()], &figures[..]].concat());
    }
    rows
}

fn registry(plan: &RegistryPlan, outcome: &RegistryOutcome) -> String {
    let parameters = [
        format::plural(plan.claims as u64, "claim"),
        format::plural(plan.nodes.into(), "node"),
        format!("{} in flight", outcome.in_flight),
        format!("batches of {}", outcome.batch),
    ];
    let mut text = heading("storm on a registry", &parameters);
    line(&mut text, "", &outcome.registry);
    for (what, claims) in [("fresh", &outcome.fresh), ("moves", &outcome.moves)] {
        text.push('\n');
        let (granted, elapsed) = (format::count(claims.granted), format::time(claims.elapsed));
        let rate = format::number(claims.per_second());
        line(
            &mut text,
            what,
            &format!("{rate} claims/s   ({granted} in {elapsed})"),
        );
        line(&mut text, "per batch", &percentiles(&claims.latency));
        failed(&mut text, claims);
    }
    text
}

fn failed(text: &mut String, claims: &ClaimResult) {
    if claims.failed > 0 {
        line(
            text,
            "faults",
            &format!(
                "{} were not granted as expected",
                format::count(claims.failed)
            ),
        );
    }
}

fn heading(what: &str, parameters: &[String]) -> String {
    format!("{what}: {}\n", parameters.join(", "))
}

fn line(text: &mut String, name: &str, words: &str) {
    // Further lines are indented below the first.
    let words = words.replace('\n', &format!("\n{:15}", ""));
    let _ = writeln!(text, "  {name:<12} {words}");
}

fn percentiles(latency: &Latency) -> String {
    if latency.0.is_empty() {
        return format::none();
    }
    let of = |percent, name| format!("{name} {}", format::time(latency.percentile(percent)));
    labels::PERCENTILES
        .map(|(percent, name)| of(percent, name))
        .join("   ")
}

fn processes(outcome: &Outcome) -> String {
    let rows = labels::processes(outcome);
    if rows.is_empty() {
        return String::new();
    }
    let cpu = format!("CPU per {}", labels::unit(outcome.plan.scenario));
    let heads = ["process", "per connection", &cpu, "resident", "busy"].map(str::to_owned);
    let rows = std::iter::once(heads).chain(rows).map(|row| row.to_vec());
    format!("\n{}", columns(&rows.collect::<Vec<_>>()))
}

fn faults(found: &Faults) -> String {
    let mut text = String::from("\n");
    line(&mut text, "faults", &labels::faults(found));
    found
        .examples
        .iter()
        .for_each(|example| line(&mut text, "", example));
    text
}

/// Aligns columns, the first to the left and the others to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, width))| match i {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        let cells = cells.collect::<Vec<_>>().join("   ");
        let _ = writeln!(text, "  {}", cells.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_measurement_is_a_short_table() {
        let mut outcome = sample::outcome();
        outcome.faults.ended = 1;
        outcome.faults.examples = vec!["the server closed with 1013".into()];
        let wanted = "\
echo: 101 connections, 1 in flight, 64 bytes, 5 s
               ws://127.0.0.1:9201/echo

  messages     120,000/s   (600,000 in 5.00 s)
  per CPU      125,000 per second of the server's CPU time
  round trip   p50 5.01 ms   p90 9.04 ms   p99 9.96 ms   p99.9 10.0 ms   p99.99 10.0 ms   max 10.0 ms
  opening      101 in 20.0 ms

  process            per connection   CPU per message   resident   busy
  yardstick (4242)          1,200 B           8.00 µs   4.88 MiB   96 %

  faults       1 connection ended early
               the server closed with 1013
";
        assert_eq!(measurement(&outcome), wanted);
    }

    #[test]
    fn a_comparison_ends_with_its_ratios() {
        let mut server = sample::outcome();
        server.arrived /= 2;
        let pair = Pair {
            base: sample::outcome(),
            server,
        };
        let text = comparison(&Comparison {
            base_is_floor: true,
            pairs: vec![pair],
        });
        let wanted = "  messages per second        0.50×   0.50×   0.50×\n";
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("the baseline server"), "{text}");
    }
}
