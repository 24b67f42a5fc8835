//! Results as a self-contained page.
//!
//! Invariant: all text from flags and from servers goes through `markup::escape`.

use std::fmt::Write as _;

use super::{
    labels,
    latency_chart::{self, Series},
    markup::{Tile, escape, faults, lead, section, table, tiles, urls},
    ratio_plot,
    results::Results,
};
use crate::{
    compare::Comparison,
    format,
    outcome::{Latency, Outcome},
    plan::{Plan, Scenario},
    registry::{RegistryOutcome, RegistryPlan},
};

const STYLE: &str = include_str!("style.css");

pub(super) fn page(report: &Results) -> String {
    let (title, body) = match report {
        Results::Measurement(outcome) => (title("", &outcome.plan), measurement(outcome)),
        Results::Comparison(found) => comparison(found),
        Results::Registry(plan, outcome) => ("Storm on a registry".into(), registry(plan, outcome)),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"tieline bench\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn measurement(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut text = lead(&labels::parameters(plan));
    text.push_str(&urls(&plan.urls));
    text.push_str(&tiles(&figures(outcome)));
    let (name, mut rows) = match &outcome.broadcast {
        None => ("server", vec![("", &outcome.latency)]),
        Some(_) => ("direct", vec![("direct", &outcome.latency)]),
    };
    let mut series = vec![Series {
        name,
        class: "server",
        latency: &outcome.latency,
    }];
    if let Some(broadcast) = &outcome.broadcast {
        series.push(Series {
            name: "broadcast",
            class: "base",
            latency: &broadcast.latency,
        });
        rows.push(("broadcast", &broadcast.latency));
    }
    let chart = latency_chart::chart(&series);
    section(&mut text, &by_percentile(plan), "", &chart);
    text.push_str(&percentiles(&rows));
    let rows = labels::processes(outcome)
        .into_iter()
        .map(Vec::from)
        .collect();
    let heads = [
        "process",
        "memory per connection",
        &format!("CPU per {}", labels::unit(plan.scenario)),
        "resident",
        "busy",
    ];
    section(&mut text, "Processes", "", &table(&heads, rows));
    section(&mut text, "Load", "", &about(outcome));
    text.push_str(&faults(&outcome.faults));
    text
}

fn comparison(comparison: &Comparison) -> (String, String) {
    let Some(plan) = comparison.plan() else {
        return ("Nothing was compared".into(), String::new());
    };
    let mut text = lead(&labels::parameters(plan));
    let counting: Vec<_> = comparison.valid_pairs().collect();
    let all = comparison.pairs.len();
    let base = escape(&comparison.base());
    let _ = writeln!(
        text,
        "<p class=\"lead\">Against {base}, {} of {all} pairs count.</p>",
        counting.len()
    );
    text.push_str(&tiles(&medians(comparison, plan.scenario)));
    section(
        &mut text,
        "Server / baseline",
        "a dot for each pair, a line at the median",
        &ratio_plot::plot(comparison, plan.scenario),
    );
    let base = merged_latency(counting.iter().map(|pair| &pair.base));
    let server = merged_latency(counting.iter().map(|pair| &pair.server));
    let series = [
        Series {
            name: "server",
            class: "server",
            latency: &server,
        },
        Series {
            name: "baseline",
            class: "base",
            latency: &base,
        },
    ];
    section(
        &mut text,
        &by_percentile(plan),
        "all pairs that count",
        &latency_chart::chart(&series),
    );
    text.push_str(&percentiles(&[("server", &server), ("baseline", &base)]));
    section(&mut text, "Pairs", "", &pairs(comparison));
    let outcomes = comparison
        .pairs
        .iter()
        .flat_map(|pair| [&pair.base, &pair.server]);
    outcomes.for_each(|outcome| {
        if outcome.faults.any() {
            text.push_str(&faults(&outcome.faults));
        }
    });
    (title("Compare ", plan), text)
}

fn registry(plan: &RegistryPlan, outcome: &RegistryOutcome) -> String {
    let mut text = lead(&[
        format::plural(plan.claims as u64, "claim"),
        format::plural(plan.nodes.into(), "node"),
        format!(
            "{} batches of {} in flight",
            outcome.in_flight, outcome.batch
        ),
    ]);
    text.push_str(&urls(std::slice::from_ref(&outcome.registry)));
    let (fresh, moves) = (&outcome.fresh, &outcome.moves);
    let rate = |claims: &crate::registry::ClaimResult| {
        format!("{}/s", format::number(claims.per_second()))
    };
    text.push_str(&tiles(&[
        ("fresh claims".into(), rate(fresh), String::new()),
        ("moves".into(), rate(moves), String::new()),
        (
            "not granted".into(),
            format::count(fresh.failed + moves.failed),
            String::new(),
        ),
    ]));
    let series = [
        Series {
            name: "fresh",
            class: "server",
            latency: &fresh.latency,
        },
        Series {
            name: "moves",
            class: "base",
            latency: &moves.latency,
        },
    ];
    section(
        &mut text,
        "Latency of a batch by percentile",
        "",
        &latency_chart::chart(&series),
    );
    text.push_str(&percentiles(&[
        ("fresh", &fresh.latency),
        ("moves", &moves.latency),
    ]));
    text
}

fn title(before: &str, plan: &Plan) -> String {
    let scenario = labels::scenario(plan.scenario);
    if before.is_empty() {
        let (first, rest) = scenario.split_at(1);
        return format!("{}{rest}", first.to_uppercase());
    }
    format!("{before}{scenario}")
}

fn by_percentile(plan: &Plan) -> String {
    match labels::latency(plan.scenario) {
        "latency" => "Latency by percentile".into(),
        what => format!("Latency by percentile, {what}"),
    }
}

fn figures(outcome: &Outcome) -> Vec<Tile> {
    let latency = |percent| format::time(outcome.latency.percentile(percent));
    let counted = labels::units(outcome.plan.scenario);
    let rate = labels::rate(outcome);
    let in_all = format!(
        "{} in {}",
        format::count(outcome.arrived),
        format::time(outcome.elapsed)
    );
    let mut tiles = vec![
        (format!("{counted}/s"), rate, in_all),
        ("p50".into(), latency(50.0), String::new()),
        (
            "p99".into(),
            latency(99.0),
            format!("p99.9 {}", latency(99.9)),
        ),
    ];
    if let Some(rate) = outcome.broadcasts_per_second() {
        let arrived = outcome.broadcast.as_ref().map_or(0, |flow| flow.arrived);
        let in_all = format!("{} in all", format::count(arrived));
        tiles.push(("broadcasts/s".into(), format::number(rate), in_all));
    }
    if outcome.plan.scenario == Scenario::Idle {
        tiles.remove(0);
    }
    if let Some(micros) = outcome.cpu_micros() {
        tiles.push((
            format!("CPU per {}", labels::unit(outcome.plan.scenario)),
            format::micros(micros),
            labels::per_cpu_second(outcome).map_or_else(String::new, |rate| {
                format!("{rate} per second of the server's CPU time")
            }),
        ));
    }
    if let Some(bytes) = outcome.resident_per_connection() {
        tiles.push((
            "memory".into(),
            format::bytes(bytes),
            "per connection".into(),
        ));
    }
    tiles
}

fn medians(comparison: &Comparison, scenario: Scenario) -> Vec<Tile> {
    let named = comparison.ratios().named(scenario).into_iter();
    let measured = named.filter_map(|(name, _, spread)| Some((name, spread?)));
    let median = |(name, spread): (&str, crate::compare::Spread)| {
        (
            name.to_owned(),
            format::ratio(spread.median),
            "of the baseline".to_owned(),
        )
    };
    measured.map(median).collect()
}

/// The latencies of several runs together.
fn merged_latency<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Latency {
    let mut all = Latency::new();
    // Adding fails for different bounds only, and all histograms have the same.
    for outcome in outcomes {
        let _ = all.0.add(&outcome.latency.0);
    }
    all
}

fn percentiles(latencies: &[(&str, &Latency)]) -> String {
    let heads: Vec<_> = std::iter::once("")
        .chain(labels::PERCENTILES.map(|(_, name)| name))
        .collect();
    let row = |(name, latency): &(&str, &Latency)| {
        let times =
            labels::PERCENTILES.map(|(percent, _)| format::time(latency.percentile(percent)));
        [&[(*name).to_owned()], &times[..]].concat()
    };
    table(&heads, latencies.iter().map(row).collect())
}

fn pairs(comparison: &Comparison) -> String {
    let heads = [
        "pair",
        "",
        "per second",
        "p50",
        "p99",
        "p99.9",
        "per CPU second",
        "CPU each",
        "memory each",
    ];
    let mut rows = Vec::new();
    for (number, pair) in (1..).zip(&comparison.pairs) {
        let mark = if pair.is_faulty() { " (faults)" } else { "" };
        rows.push(run(format!("{number}{mark}"), "baseline", &pair.base));
        rows.push(run(String::new(), "server", &pair.server));
    }
    table(&heads, rows)
}

fn run(number: String, who: &str, outcome: &Outcome) -> Vec<String> {
    let latency = |percent| format::time(outcome.latency.percentile(percent));
    vec![
        number,
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
    ]
}

fn about(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut rows = vec![
        vec![
            "opening".into(),
            format!(
                "{} in {}",
                plan.connections,
                format::time(outcome.opening.elapsed)
            ),
        ],
        vec!["warm-up".into(), format::setting(plan.warm_up)],
        vec![
            "CPU of the load".into(),
            format!("{:.2} s", outcome.load_cpu),
        ],
    ];
    if labels::sends(plan.scenario) {
        rows.insert(0, vec!["message".into(), plan.send.clone()]);
    }
    table(&[], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare::Pair, sample};

    #[test]
    fn foreign_text_is_escaped() {
        let mut outcome = sample::outcome();
        let evil = "<script>alert('x')</script>\"&".to_owned();
        outcome.plan.urls = vec![evil.clone()];
        outcome.plan.send = evil.clone();
        outcome.processes[0].name = evil.clone();
        outcome.faults.examples = vec![evil];
        let page = page(&Results::Measurement(outcome.into()));
        assert!(!page.contains("<script"), "{page}");
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
        assert_eq!(page.matches(safe).count(), 4);
    }

    #[test]
    fn a_page_is_self_contained() {
        let pair = Pair {
            base: sample::outcome(),
            server: sample::outcome(),
        };
        let comparison = Comparison {
            base_is_floor: true,
            pairs: vec![pair],
        };
        let page = page(&Results::Comparison(comparison));
        for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("<title>Compare echo</title>"));
        assert!(page.contains("prefers-color-scheme: dark"));
    }
}
