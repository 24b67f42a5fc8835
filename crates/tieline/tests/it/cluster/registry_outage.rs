//! The registry fails, and comes back with or without its data.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tieline::{
    Cluster, ClusterConfig, Config, Delivery, Duplicate, OnlineStatus, registry::Registry,
};
use tokio::time::{Instant, sleep};

use super::numbered_messages::timed;
use crate::kit::{
    DECIDED_WITHIN, Mood, Reader, Stopwatch, Store, TestNode, entries, eventually, run, test_config,
};

/// An upgrade waits 250 ms for the registry; the rest is for what this process computes.
const UPGRADE_WITHIN: Duration = Duration::from_millis(300);
/// Less than anything waits that waits for the registry.
const AT_ONCE: Duration = Duration::from_millis(200);

struct Setup {
    store: Arc<Store>,
    a: TestNode,
    b: TestNode,
    /// A node that refuses an id that is connected.
    rejecting: TestNode,
    at_a: Reader,
    at_b: Reader,
}

impl Setup {
    async fn start() -> Self {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let rejecting = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = TestNode::start(&registry).await;
        let b = TestNode::start(&registry).await;
        let rejecting = TestNode::start_with(&registry, rejecting, test_config()).await;
        for member in [&a, &b, &rejecting] {
            member.wait_for_links(2).await;
        }
        let setup = Self {
            at_a: a.reader("id=at-a&user=u&quiet").await,
            at_b: b.reader("id=at-b&user=u&quiet").await,
            store,
            a,
            b,
            rejecting,
        };
        assert!(setup.b.cluster.synced().await);
        assert!(setup.a.cluster.emit("at-b", "warm").await.is_delivered());
        setup
    }

    /// Checks what works without a registry, and how soon the rest is refused.
    async fn assert_works_without_registry(&self) {
        for id in ["at-a", "at-b"] {
            let (delivery, took) = timed(&self.a.cluster, id, "going on").await.unwrap();
            assert_eq!(delivery, Delivery::Delivered, "{id}");
            assert!(took < AT_ONCE, "{took:?}");
        }
        let (delivery, took) = timed(&self.a.cluster, "nobody knows", "x").await.unwrap();
        assert!(
            [Delivery::Unreachable, Delivery::Unknown].contains(&delivery),
            "{delivery}"
        );
        assert!(took <= DECIDED_WITHIN, "{took:?}");
        let begun = Stopwatch::start();
        let present = self.a.cluster.online(["at-a", "nobody knows"]).await;
        assert_eq!(present, [OnlineStatus::Online, OnlineStatus::Unknown]);
        assert!(begun.elapsed() <= DECIDED_WITHIN, "{:?}", begun.elapsed());
        let begun = Stopwatch::start();
        let summary = self.a.cluster.broadcast("to all").await;
        assert_eq!(summary.reached.delivered, 3, "{summary:?}");
        let summary = self.a.cluster.emit_user("u", "to the user").await;
        assert_eq!(summary.reached.delivered, 2, "{summary:?}");
        assert!(begun.elapsed() <= AT_ONCE, "{:?}", begun.elapsed());
    }

    /// New clients are accepted by a node on which they may displace others, and refused by the
    /// other.
    async fn assert_admits(&self, id: &str) -> Reader {
        let begun = Stopwatch::start();
        let client = self.a.reader(&format!("id={id}&quiet")).await;
        assert!(begun.elapsed() <= UPGRADE_WITHIN, "{:?}", begun.elapsed());
        assert_eq!(self.a.cluster.emit(id, "local").await, Delivery::Delivered);
        let begun = Stopwatch::start();
        let (_, answer) = self.rejecting.try_connect("id=rejecting").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(
            answer.body.contains("the registry does not respond"),
            "{answer:?}"
        );
        assert!(begun.elapsed() <= UPGRADE_WITHIN, "{:?}", begun.elapsed());
        client
    }
}

/// The registry fails for `time`; with `wipe` it comes back empty.
async fn outage(mood: Mood, time: Duration, wipe: bool) {
    let mut setup = Setup::start().await;
    let mut leaver = setup.b.reader("id=leaver&quiet").await;
    eventually(|| setup.b.cluster.entries() == 2).await;
    setup.store.set(mood);
    let begun = Instant::now();
    setup.assert_works_without_registry().await;
    let first = setup.assert_admits("first").await;
    leaver.send_close().await;
    eventually(|| !setup.b.has("leaver")).await;
    eventually(|| setup.a.cluster.readiness().is_err()).await;
    let second = setup.assert_admits("second").await;
    // Its old connection is on b, which the registry cannot report.
    let moved = setup.a.reader("id=at-b&user=u&quiet").await;
    sleep(time.saturating_sub(begun.elapsed())).await;
    if wipe {
        setup.store.wipe();
    }
    setup.store.set(Mood::Well);
    let back = Stopwatch::start();
    let a = setup.a.peer_address();
    let expected: BTreeMap<_, _> = ["at-a", "first", "second", "at-b"]
        .map(|id| (id.to_owned(), a.clone()))
        .into();
    while entries(&*setup.store).await != expected {
        sleep(Duration::from_millis(2)).await;
        assert!(
            back.elapsed() <= test_config().lease,
            "{:?}",
            entries(&*setup.store).await
        );
    }
    // The newer connection has the id, and the older one is closed.
    assert_eq!(setup.at_b.until_closed().await, Some(4409));
    while !setup.b.cluster.emit("at-b", "moved").await.is_delivered() {
        assert!(
            back.elapsed() <= test_config().lease,
            "{:?}",
            back.elapsed()
        );
        sleep(Duration::from_millis(2)).await;
    }
    moved.until("moved").await;
    for reader in [&setup.at_a, &first, &second, &moved] {
        assert_eq!(reader.code(), None);
    }
    eventually(|| setup.a.cluster.readiness().is_ok() && setup.rejecting.node.is_ready()).await;
    setup.at_a.say("still here").await;
    while setup.rejecting.try_connect("id=rejecting").await.1.status != 101 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn connections_survive_a_short_registry_outage() {
    let time = Duration::from_millis(500);
    run(async {
        tokio::join!(
            outage(Mood::Errs, time, false),
            outage(Mood::Hangs, time, false)
        );
    });
}

#[test]
fn connections_survive_an_outage_longer_than_the_lease() {
    let time = test_config().lease + Duration::from_secs(1);
    run(async {
        tokio::join!(
            outage(Mood::Errs, time, false),
            outage(Mood::Hangs, time, false)
        );
    });
}

#[test]
fn a_registry_that_comes_back_empty_is_refilled() {
    let time = Duration::from_millis(500);
    run(async {
        tokio::join!(
            outage(Mood::Errs, time, true),
            outage(Mood::Hangs, time, true)
        );
    });
}

#[test]
fn a_hanging_audit_does_not_delay_the_repair_of_lost_entries() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let busy = ClusterConfig {
            audit_interval: Duration::from_millis(100),
            ..test_config()
        };
        let a = TestNode::start_with(&registry, Config::default(), busy).await;
        let _client = a.reader("id=ann&quiet").await;
        store.set(Mood::Hangs);
        // Long enough for an audit to be in progress, and short enough for it to be answered.
        sleep(Duration::from_millis(800)).await;
        store.wipe();
        store.set(Mood::Well);
        let back = Stopwatch::start();
        while entries(&*registry).await.len() != 1 {
            sleep(Duration::from_millis(2)).await;
            assert!(back.elapsed() <= test_config().lease, "nothing yet");
        }
    });
}

#[test]
fn a_long_list_is_waited_for_and_delays_no_repair() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let busy = ClusterConfig {
            audit_interval: Duration::from_millis(100),
            registry_timeout: Duration::from_millis(300),
            ..test_config()
        };
        let a = TestNode::start_with(&registry, Config::default(), busy).await;
        let _client = a.reader("id=ann&quiet").await;
        eventually(|| a.cluster.entries() == 1).await;
        // Longer than another request may take, and than the repair below.
        store.slow_listing(Duration::from_millis(2500));
        let (begun, _) = store.listings();
        eventually(|| store.listings().0 > begun).await;
        let (_, ended) = store.listings();
        store.wipe();
        let wiped = Stopwatch::start();
        while entries(&*registry).await.len() != 1 {
            sleep(Duration::from_millis(2)).await;
            assert!(wiped.elapsed() <= test_config().lease, "nothing yet");
        }
        assert_eq!(store.listings().1, ended, "still listing");
        eventually(|| store.listings().1 > ended).await;
    });
}

#[test]
fn a_registry_that_is_emptied_unnoticed_is_refilled() {
    run(async {
        let setup = Setup::start().await;
        let before = entries(&*setup.store).await;
        assert_eq!(before.len(), 2);
        setup.store.wipe();
        let wiped = Stopwatch::start();
        let backend = Cluster::connect(setup.store.clone(), test_config())
            .await
            .unwrap();
        while entries(&*setup.store).await != before {
            // After a loss an entry may be missing for a while: nodes that had entries report no
            // client offline.
            let delivery = setup.a.cluster.emit("at-b", "cached").await;
            assert_eq!(delivery, Delivery::Delivered);
            assert!(
                wiped.elapsed() <= test_config().lease,
                "{:?}",
                entries(&*setup.store).await
            );
            sleep(Duration::from_millis(5)).await;
        }
        while !backend.emit("at-b", "found again").await.is_delivered() {
            sleep(Duration::from_millis(5)).await;
        }
        setup.at_b.until("found again").await;
        assert_eq!((setup.at_a.code(), setup.at_b.code()), (None, None));
    });
}
