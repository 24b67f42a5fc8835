//! The way between two nodes swallows what is sent, in one direction or both, and comes back to life.

use std::time::Duration;

use tieline::{Config, Delivery};
use tokio::time::sleep;

use super::{
    link_faults::Between,
    numbered_messages::{DECIDED, Numbers, timed},
};
use crate::kit::{Mode, eventually, quick, run};

/// Both ways between two nodes go silent for so long.
async fn silent_for(mode: Mode, time: Duration) {
    let world = Between::start(Config::default(), quick()).await;
    let there = Numbers::start(&world.a.cluster, "at-b");
    let back = Numbers::start(&world.b.cluster, "at-a");
    eventually(|| world.at_b.numbers().len() > 50 && world.at_a.numbers().len() > 50).await;
    world.to_b.set(mode);
    world.to_a.set(mode);
    let begun = tokio::time::Instant::now();
    let (delivery, took) = timed(&world.a.cluster, "at-b", "into the void")
        .await
        .unwrap();
    assert_eq!(delivery, Delivery::Unknown);
    assert!(took <= DECIDED, "{took:?}");
    // A peer that has been silent for a second is not sent to.
    eventually(|| world.a.cluster.peers().iter().any(|peer| !peer.up)).await;
    let suspected = begun.elapsed();
    assert!(suspected <= Duration::from_millis(1400), "{suspected:?}");
    let (delivery, took) = timed(&world.a.cluster, "at-b", "not sent").await.unwrap();
    assert_eq!(delivery, Delivery::Unreachable);
    assert!(took <= Duration::from_millis(300), "{took:?}");
    world.broadcast_misses_b().await;
    world.others_go_on().await;
    sleep(time.saturating_sub(begun.elapsed())).await;
    world.to_b.set(Mode::Pass);
    world.to_a.set(Mode::Pass);
    world.heals().await;
    let there = there.judge(&world.at_b).await;
    let back = back.judge(&world.at_a).await;
    for kinds in [there, back] {
        assert!(
            kinds[1].1 > 0 && kinds[2].1 > 0,
            "unreachable and unknown: {kinds:?}"
        );
    }
}

#[test]
fn silence_is_noticed_and_ends_in_order() {
    run(async {
        let short = Duration::from_millis(1800);
        tokio::join!(
            silent_for(Mode::SilentThere, short),
            silent_for(Mode::SilentBack, short),
            silent_for(Mode::Silent, Duration::from_secs(3)),
        );
    });
}

#[test]
fn connections_that_were_given_up_do_no_harm_when_they_come_back_to_life() {
    run(async {
        let long = Duration::from_millis(7500);
        tokio::join!(
            silent_for(Mode::SilentThere, long),
            silent_for(Mode::SilentBack, long),
            silent_for(Mode::Silent, long),
        );
    });
}
