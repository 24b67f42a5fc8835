//! `docs/metrics.md` describes the metrics that a server has, and no others.

use std::collections::BTreeSet;

use tieline_test_servers::{Authority, redis::Redis};

use super::{Node, Page};
use crate::kit::{Client, tieline};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

/// A metric: its name as series have it, its type, its unit and its labels.
type Metric = (String, String, String, BTreeSet<String>);

/// The metrics of a page, which must have a series of each.
fn exposed(page: &Page) -> BTreeSet<Metric> {
    let types = page
        .0
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let metric = |line: &str| {
        let (name, kind) = line.split_once(' ').unwrap();
        let (suffix, in_series) = match kind {
            "counter" => ("_total", "_total"),
            "info" => ("_info", "_info"),
            "histogram" => ("", "_count"),
            _ => ("", ""),
        };
        let unit = format!("# UNIT {name} ");
        let unit = page.0.lines().find_map(|line| line.strip_prefix(&unit));
        let series = format!("{name}{in_series}");
        let mut lines = page.0.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| line.split(['{', ' ']).next() == Some(&series));
        let labels = labels(line.unwrap_or_else(|| panic!("no series of {name}")));
        let unit = unit.unwrap_or_default().to_owned();
        (format!("{name}{suffix}"), kind.to_owned(), unit, labels)
    };
    types.map(metric).collect()
}

fn labels(series: &str) -> BTreeSet<String> {
    let Some((_, rest)) = series.split_once('{') else {
        return BTreeSet::new();
    };
    // No value here has a comma or an equals sign.
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let names = labels
        .split(',')
        .map(|label| label.split_once('=').unwrap().0);
    names.map(str::to_owned).collect()
}

/// The same of the rows of the documentation: `| name | type | unit | labels | sentence |`.
fn documented() -> BTreeSet<Metric> {
    let text = std::fs::read_to_string(PAGE).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let metric = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, unit, labels, sentence, _] = cells[..] else {
            panic!("{row}");
        };
        assert!(sentence.ends_with('.'), "{row}");
        let labels = labels.split(", ").map(|label| label.trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        let name = name.trim_matches('`').to_owned();
        (name, kind.to_owned(), unit.to_owned(), labels.collect())
    };
    rows.map(metric).collect()
}

/// Two nodes of a cluster, with a certificate, and an event handler that does not answer.
#[test]
fn the_documentation_describes_every_metric_and_no_other() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let folder = tempfile::tempdir().unwrap();
    let params = rcgen::CertificateParams::new(["node.test".to_owned()]).unwrap();
    let (chain, key) = Authority::new().sign(params);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (chain, key) = (file("cert.pem", &chain), file("key.pem", &key));
    let node = || {
        Node::start(tieline(&[
            "serve",
            "--listen",
            "http://127.0.0.1:0,https://127.0.0.1:0",
            "--tls-cert",
            &chain,
            "--tls-key",
            &key,
            "--admin-listen",
            "127.0.0.1:0",
            "--registry",
            &redis.url(),
            "--peers-listen",
            "127.0.0.1:0",
            "--event-handler",
            "http://127.0.0.1:1/",
            // Whoever connects is not refused for it.
            "--event-handler-system-events",
            "connected",
        ]))
    };
    let (node, _other) = (node(), node());
    let path = "/client/hubs/chat";
    let _client = Client::connect(&node.server, path, Client::JSON);
    node.server
        .refused_upgrade("/client/hubs/chat?access_token=x", "");
    node.server.get(0, "/api/hubs/chat/users/ada");
    let foreign = super::get(&node.admin, "/metrics", "Host: evil.example\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let page = node.page_with(|page| page.series("tieline_link_round_trip_seconds").count() == 1);
    let (exposed, documented) = (exposed(&page), documented());
    let missing: Vec<_> = exposed.difference(&documented).collect();
    let stale: Vec<_> = documented.difference(&exposed).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not in docs/metrics.md: {missing:#?}\nonly there: {stale:#?}"
    );
}
