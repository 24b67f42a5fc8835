//! The link between two nodes goes silent, in one direction or both, and recovers.

use std::time::Duration;

use tieline::{Config, Delivery};
use tokio::time::{Instant, sleep};

use super::{
    link_faults::ProxiedNodes,
    numbered_messages::{NumberedMessages, timed},
};
use crate::kit::{DECIDED_WITHIN, Mode, Stopwatch, eventually, run, test_config};

/// Both links between two nodes go silent for `time`.
async fn silence_links(mode: Mode, time: Duration) {
    let nodes = ProxiedNodes::start(Config::default(), test_config()).await;
    let there = NumberedMessages::start(&nodes.a.cluster, "at-b");
    let back = NumberedMessages::start(&nodes.b.cluster, "at-a");
    eventually(|| nodes.at_b.numbers().len() > 50 && nodes.at_a.numbers().len() > 50).await;
    nodes.to_b.set(mode);
    nodes.to_a.set(mode);
    let (begun, watch) = (Instant::now(), Stopwatch::start());
    let (delivery, took) = timed(&nodes.a.cluster, "at-b", "into the void")
        .await
        .unwrap();
    assert_eq!(delivery, Delivery::Unknown);
    assert!(took <= DECIDED_WITHIN, "{took:?}");
    // Nothing is sent to a peer that has been silent for a second.
    eventually(|| nodes.a.cluster.peers().iter().any(|peer| !peer.up)).await;
    let suspected = watch.elapsed();
    assert!(suspected <= Duration::from_millis(1400), "{suspected:?}");
    let (delivery, took) = timed(&nodes.a.cluster, "at-b", "not sent").await.unwrap();
    assert_eq!(delivery, Delivery::Unreachable);
    assert!(took <= Duration::from_millis(300), "{took:?}");
    nodes.assert_broadcast_misses_b().await;
    nodes.assert_others_work().await;
    sleep(time.saturating_sub(begun.elapsed())).await;
    nodes.to_b.set(Mode::Pass);
    nodes.to_a.set(Mode::Pass);
    nodes.wait_until_healed().await;
    let there = there.verify(&nodes.at_b).await;
    let back = back.verify(&nodes.at_a).await;
    for kinds in [there, back] {
        assert!(
            kinds[1].1 > 0 && kinds[2].1 > 0,
            "unreachable and unknown: {kinds:?}"
        );
    }
}

#[test]
fn a_silent_link_is_detected_and_recovers() {
    run(async {
        let short = Duration::from_millis(1800);
        tokio::join!(
            silence_links(Mode::SilentThere, short),
            silence_links(Mode::SilentBack, short),
            silence_links(Mode::Silent, Duration::from_secs(3)),
        );
    });
}

#[test]
fn abandoned_connections_that_recover_deliver_nothing_twice() {
    run(async {
        let long = Duration::from_millis(7500);
        tokio::join!(
            silence_links(Mode::SilentThere, long),
            silence_links(Mode::SilentBack, long),
            silence_links(Mode::Silent, long),
        );
    });
}
