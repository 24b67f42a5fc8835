//! The registry and the links of the node. A node by itself has neither, and shows none.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tieline::{Cluster, ClusterStats, PeerStatus};

use super::page::{Metric, Page, Written};

pub(in crate::admin) struct ClusterCollector(pub(in crate::admin) Cluster);

impl Collector for ClusterCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.0.address().is_none() {
            return Ok(());
        }
        let (page, stats) = (&mut Page(encoder), self.0.stats());
        registry(page, &stats)?;
        links(page, &stats.peers, stats.links_ended)
    }
}

fn registry(page: &mut Page<'_>, stats: &ClusterStats) -> Written {
    const AVAILABLE: Metric = Metric::count(
        "tieline_registry_available",
        "Whether the registry answers; while it does not, no lookup starts",
    );
    const ENTRIES: Metric = Metric::count(
        "tieline_registry_entries",
        "Entries that this node believes to have in the registry",
    );
    const LOOKUPS: Metric = Metric::count(
        "tieline_lookups",
        "Requests to the registry for the node of a client",
    );
    const CLAIMS: Metric = Metric::count("tieline_claims", "Ids that were claimed, by verdict");
    const FAILED: Metric = Metric::count(
        "tieline_claim_requests_failed",
        "Requests to claim or release ids that were not answered; they are repeated",
    );
    const AUDITS: Metric = Metric::count(
        "tieline_registry_audits",
        "Times that this node began to compare its entries with those of the registry",
    );
    const SWEPT: Metric = Metric::count(
        "tieline_registry_entries_swept",
        "Entries without a client that these comparisons have found",
    );
    const MISSED: Metric = Metric::count(
        "tieline_nodes_missed",
        "Times that a message to many clients did not reach another node",
    );
    page.gauge(AVAILABLE, &u32::from(stats.registry_available))?;
    page.gauge(ENTRIES, &stats.entries)?;
    let answered = stats.lookups.saturating_sub(stats.lookups_failed);
    let lookups = [
        ([("result", "answered")], answered),
        ([("result", "failed")], stats.lookups_failed),
    ];
    page.counters(LOOKUPS, lookups)?;
    let claims = [
        ([("verdict", "granted")], stats.claims_granted),
        ([("verdict", "refused")], stats.claims_refused),
    ];
    page.counters(CLAIMS, claims)?;
    page.counter(FAILED, &stats.claim_requests_failed)?;
    page.counter(AUDITS, &stats.audits)?;
    page.counter(SWEPT, &stats.swept)?;
    page.counter(MISSED, &stats.nodes_missed)
}

fn links(page: &mut Page<'_>, peers: &[PeerStatus], ended: u64) -> Written {
    const UP: Metric = Metric::count(
        "tieline_link_up",
        "Whether messages are sent to another node now",
    );
    const ENDED: Metric = Metric::count(
        "tieline_links_ended",
        "Links to other nodes that were up and have ended",
    );
    const QUEUED: Metric = Metric::count(
        "tieline_link_queue_requests",
        "Requests that wait to be sent to another node",
    );
    const QUEUED_BYTES: Metric = Metric::bytes(
        "tieline_link_queue",
        "Bytes of requests that wait to be sent to another node",
    );
    const ROUND_TRIP: Metric = Metric::seconds(
        "tieline_link_round_trip",
        "How long another node took to answer the last ping",
    );
    let labels = |peer: &PeerStatus| [("peer", peer.address.to_string())];
    page.gauges(
        UP,
        peers.iter().map(|peer| (labels(peer), u32::from(peer.up))),
    )?;
    page.counter(ENDED, &ended)?;
    page.gauges(QUEUED, peers.iter().map(|peer| (labels(peer), peer.queued)))?;
    let bytes = peers.iter().map(|peer| (labels(peer), peer.queued_bytes));
    page.gauges(QUEUED_BYTES, bytes)?;
    let answered = peers.iter().filter_map(|peer| {
        let round_trip = peer.round_trip?;
        Some((labels(peer), round_trip.as_secs_f64()))
    });
    page.gauges(ROUND_TRIP, answered)
}

impl fmt::Debug for ClusterCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterCollector")
    }
}
