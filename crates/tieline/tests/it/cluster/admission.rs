//! What is sent to a client while its claim is not decided.

use std::{sync::Arc, time::Duration};

use tieline::{
    CloseCode, CloseFrame, CloseReason, ClusterConfig, Config, Delivery, Duplicate, Membership,
    OnlineStatus, Receipt, registry::Registry,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::kit::{Hold, HttpResponse, Raw, Reader, Store, TestNode, eventually, run};

/// Long enough for a receipt that need not wait.
const MOMENT: Duration = Duration::from_millis(40);

/// How long a message may have waited when it is let go: a machine that takes longer tries again.
const MAX_WAIT: Duration = Duration::from_millis(600);

/// An upgrade in progress.
pub(super) type Attempt = JoinHandle<(Raw, HttpResponse)>;

/// Three linked nodes whose claims can be held.
pub(super) struct Setup {
    pub(super) store: Arc<Store>,
    a: TestNode,
    pub(super) b: TestNode,
    pub(super) c: TestNode,
}

fn rejecting() -> Config {
    Config {
        duplicate: Duplicate::Reject,
        ..Config::default()
    }
}

impl Setup {
    /// Nodes whose upgrades wait for the registry as long as a test takes.
    pub(super) async fn start(config: Config) -> Self {
        Self::start_with(config, Duration::from_mins(1)).await
    }

    pub(super) async fn start_with(config: Config, claim_timeout: Duration) -> Self {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let cluster = || ClusterConfig {
            claim_timeout,
            registry_timeout: Duration::from_mins(1),
            audit_interval: Duration::from_hours(1),
            ..ClusterConfig::default()
        };
        let start = || TestNode::start_with(&registry, config.clone(), cluster());
        let (a, b, c) = (start().await, start().await, start().await);
        for node in [&a, &b, &c] {
            node.wait_for_links(2).await;
        }
        Self { store, a, b, c }
    }

    /// Begins an upgrade at `b`, whose claim is held.
    pub(super) async fn attempt(&self, hold: Hold, query: &str) -> Attempt {
        self.store.hold(hold, &self.b.peer_address());
        let (address, target) = (self.b.address, format!("/?{query}"));
        let attempt = tokio::spawn(async move { Raw::open(address, &target, "").await });
        eventually(|| self.store.held_claims() > 0).await;
        attempt
    }

    /// Lets the claims of `b` pass, and awaits the answer to the upgrade.
    pub(super) async fn release(&self, attempt: Attempt) -> (Raw, HttpResponse) {
        self.store.release();
        attempt.await.unwrap()
    }
}

/// Checks that a receipt is not decided yet.
async fn assert_waits(receipt: &mut Receipt) {
    let outcome = timeout(MOMENT, receipt).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn messages_wait_for_the_claim_and_keep_their_order() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        for hold in [Hold::Claims, Hold::Verdicts] {
            while !wait_in_order(&setup, hold).await {}
        }
    });
}

/// False if the machine was too slow.
async fn wait_in_order(setup: &Setup, hold: Hold) -> bool {
    const MESSAGES: usize = 10;
    let attempt = setup.attempt(hold, "id=ann&first=welcome&quiet").await;
    // Once the claim is carried out, other nodes find the client here.
    let from: &[&TestNode] = match hold {
        Hold::Claims => &[&setup.b],
        Hold::Verdicts => &[&setup.a, &setup.b],
    };
    let begun = Instant::now();
    let mut receipts = Vec::new();
    for n in 0..MESSAGES {
        for node in from {
            receipts.push(node.cluster.emit("ann", n.to_string()));
        }
    }
    let local = setup.b.node.hub().emit("ann", "from the hub");
    assert_waits(&mut receipts[0]).await;
    let (mut client, answer) = setup.release(attempt).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    if begun.elapsed() > MAX_WAIT {
        return false;
    }
    for receipt in receipts {
        assert_eq!(receipt.await, Delivery::Delivered);
    }
    assert_eq!(local.await, Delivery::Delivered);
    assert!(setup.b.cluster.emit("ann", "last").await.is_delivered());
    assert_eq!(client.text().await, "welcome");
    let mut numbers = Vec::new();
    loop {
        match client.text().await.as_str() {
            "last" => break,
            text => numbers.extend(text.parse::<usize>()),
        }
    }
    for n in 0..MESSAGES {
        let times = numbers.iter().filter(|number| **number == n).count();
        assert_eq!(times, from.len(), "{numbers:?}");
    }
    assert!(from.len() > 1 || numbers.is_sorted(), "{numbers:?}");
    client.send_close(1000).await;
    assert_eq!(client.closed().await, 1000);
    eventually(|| setup.b.node.hub().is_empty()).await;
    true
}

#[test]
fn with_reject_a_refused_attempt_takes_nothing_from_the_live_client() {
    run(async {
        let setup = Setup::start(rejecting()).await;
        let live = setup.a.reader("id=one&user=u&groups=g&quiet").await;
        assert!(setup.a.cluster.synced().await);
        let everyone = [&setup.a, &setup.b, &setup.c];
        let mut sent = 0;
        for round in 0..5 {
            let attempt = setup.attempt(Hold::Claims, "id=one&user=u&groups=g").await;
            for node in everyone {
                let delivery = node.cluster.emit("one", sent.to_string()).await;
                assert_eq!(delivery, Delivery::Delivered, "round {round}");
                let group = node.cluster.emit_group("g", (sent + 1).to_string()).await;
                let user = node.cluster.emit_user("u", (sent + 2).to_string()).await;
                let all = node.cluster.broadcast((sent + 3).to_string()).await;
                for summary in [group, user, all] {
                    assert_eq!(summary.reached.delivered, 1, "round {round}: {summary:?}");
                }
                sent += 4;
            }
            let (_, answer) = setup.release(attempt).await;
            assert_eq!(answer.status, 409, "{answer:?}");
        }
        eventually(|| live.numbers().len() == sent).await;
        assert_eq!(live.numbers(), (0..sent).collect::<Vec<_>>());
    });
}

#[test]
fn what_waits_goes_to_the_newer_connection_elsewhere() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        for round in 0.. {
            let id = format!("moving-{round}");
            let query = format!("id={id}&quiet");
            let begun = Instant::now();
            let attempt = setup.attempt(Hold::Claims, &query).await;
            let before: Vec<_> = (0..5)
                .map(|n| setup.b.cluster.emit(&id, n.to_string()))
                .collect();
            tokio::time::sleep(Duration::from_millis(5)).await;
            let newer = setup.c.reader(&query).await;
            let after: Vec<_> = (5..10)
                .map(|n| setup.b.cluster.emit(&id, n.to_string()))
                .collect();
            let (_, answer) = setup.release(attempt).await;
            assert_eq!(answer.status, 503, "{answer:?}");
            if begun.elapsed() > MAX_WAIT {
                continue;
            }
            for receipt in before.into_iter().chain(after) {
                assert_eq!(receipt.await, Delivery::Delivered);
            }
            eventually(|| newer.count() == 10).await;
            assert_eq!(newer.numbers(), (0..10).collect::<Vec<_>>());
            return;
        }
    });
}

#[test]
fn what_waits_for_a_client_that_leaves_is_not_delivered() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        for round in 0.. {
            let query = format!("id=gone-{round}&quiet");
            let begun = Instant::now();
            let attempt = setup.attempt(Hold::Verdicts, &query).await;
            let id = format!("gone-{round}");
            let receipts = [&setup.b, &setup.a].map(|node| node.cluster.emit(&id, "lost"));
            let local = setup.b.node.hub().emit(&id, "lost");
            // Until the message of the other node has arrived.
            tokio::time::sleep(MOMENT).await;
            attempt.abort();
            drop(attempt.await);
            let [here, there] = receipts;
            let (here, there, local) = (here.await, there.await, local.await);
            setup.store.release();
            assert_eq!(local, Delivery::Offline);
            if begun.elapsed() > MAX_WAIT {
                continue;
            }
            assert_eq!([here, there], [Delivery::Offline; 2]);
            return;
        }
    });
}

#[test]
fn the_older_connection_keeps_the_id_until_the_newer_one_is_admitted() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        let query = "id=ann&user=u&groups=g&quiet";
        let older = setup.b.reader(query).await;
        assert!(setup.b.cluster.synced().await);
        let attempt = setup.attempt(Hold::Claims, query).await;
        let mut sent = Vec::new();
        for node in [&setup.a, &setup.b] {
            for kind in ["id", "user", "group", "all"] {
                let text = format!("{kind} from {}", node.peer_address());
                sent.push(text.clone());
                let delivered = match kind {
                    "id" => u64::from(node.cluster.emit("ann", text).await.is_delivered()),
                    "user" => node.cluster.emit_user("u", text).await.reached.delivered,
                    "group" => node.cluster.emit_group("g", text).await.reached.delivered,
                    _ => node.cluster.broadcast(text).await.reached.delivered,
                };
                assert_eq!(delivered, 1, "{kind}");
            }
        }
        let (client, answer) = setup.release(attempt).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        let newer = Reader::new(client);
        assert_eq!(older.until_closed().await, Some(CloseReason::REPLACED));
        assert_eq!(older.texts(), sent);
        assert!(newer.texts().is_empty());
        assert!(
            setup
                .a
                .cluster
                .emit("ann", "to the newer")
                .await
                .is_delivered()
        );
        newer.until("to the newer").await;
        assert_eq!(setup.b.node.hub().members("g").len(), 1);
    });
}

#[test]
fn a_connection_belongs_nowhere_before_its_admission() {
    run(async {
        let setup = Setup::start(rejecting()).await;
        let query = "id=ann&user=u&groups=g&quiet";
        let attempt = setup.attempt(Hold::Verdicts, query).await;
        let hub = setup.b.node.hub();
        assert!(!hub.online("ann") && hub.connection("ann").is_none());
        assert!(hub.connections().is_empty() && hub.users().is_empty());
        assert!(hub.user("u").is_empty() && hub.members("g").is_empty());
        assert_eq!((hub.len(), hub.is_empty()), (0, true));
        for node in [&setup.a, &setup.b] {
            let online = node.cluster.online(["ann"]).await;
            assert_ne!(online, [OnlineStatus::Online]);
            assert!(node.cluster.members("g", None, 10).await.names.is_empty());
            for summary in [
                node.cluster.emit_user("u", "early").await,
                node.cluster.emit_group("g", "early").await,
                node.cluster.broadcast("early").await,
            ] {
                assert_eq!(summary.reached.delivered, 0, "{summary:?}");
            }
        }
        let (mut client, answer) = setup.release(attempt).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(hub.len(), 1);
        // The other nodes knew that it would come.
        let summary = setup.a.cluster.emit_group("g", "now").await;
        assert_eq!(summary.reached.delivered, 1);
        assert_eq!(client.text().await, "now");
    });
}

#[test]
fn joins_and_closes_wait_in_order_with_messages() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        while !joins_and_closes_wait(&setup).await {}
    });
}

/// False if the machine was too slow.
async fn joins_and_closes_wait(setup: &Setup) -> bool {
    let begun = Instant::now();
    let attempt = setup.attempt(Hold::Claims, "id=ann&quiet").await;
    let cluster = setup.b.cluster.clone();
    let first = cluster.emit("ann", "first");
    let join = {
        let cluster = cluster.clone();
        tokio::spawn(async move { cluster.join_group("ann", "g").await })
    };
    tokio::task::yield_now().await;
    let second = cluster.emit("ann", "second");
    let frame = CloseFrame::new(CloseCode::new(4000).unwrap(), "enough");
    let close = cluster.close("ann", frame);
    let third = cluster.emit("ann", "third");
    let (mut client, answer) = setup.release(attempt).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    if begun.elapsed() > MAX_WAIT {
        return false;
    }
    assert_eq!(first.await, Delivery::Delivered);
    assert_eq!(join.await.unwrap(), Membership::Changed);
    assert_eq!(second.await, Delivery::Delivered);
    assert_eq!(close.await, Delivery::Delivered);
    assert_eq!(third.await, Delivery::Offline);
    let (texts, code) = client.texts_until_closed().await;
    assert_eq!((texts, code), (vec!["first".into(), "second".into()], 4000));
    true
}

#[test]
fn what_waits_is_bounded() {
    run(async {
        let config = Config {
            outbox_frames: 64,
            ..Config::default()
        };
        let setup = Setup::start(config).await;
        let attempt = setup.attempt(Hold::Claims, "id=ann&quiet").await;
        let hub = setup.b.node.hub();
        let receipts: Vec<_> = (0..100).map(|n| hub.emit("ann", n.to_string())).collect();
        let (client, answer) = setup.release(attempt).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        let mut delivered = 0;
        for receipt in receipts {
            match receipt.await {
                Delivery::Delivered => delivered += 1,
                delivery => assert_eq!(delivery, Delivery::QueueFull),
            }
        }
        assert_eq!(delivered, 32);
        let reader = Reader::new(client);
        eventually(|| reader.count() == delivered).await;
        assert_eq!(reader.numbers(), (0..delivered).collect::<Vec<_>>());
    });
}

#[test]
fn a_drain_refuses_who_waits_for_a_claim() {
    run(async {
        let setup = Setup::start(rejecting()).await;
        let attempt = setup.attempt(Hold::Claims, "id=ann&quiet").await;
        let receipt = setup.b.cluster.emit("ann", "too late");
        let drain = {
            let node = setup.b.node.clone();
            tokio::spawn(async move { node.drain().await })
        };
        eventually(|| !setup.b.node.is_ready()).await;
        let (_, answer) = setup.release(attempt).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(!receipt.await.is_delivered());
        let drained = drain.await.unwrap();
        assert_eq!((drained.closed, drained.remaining), (0, 0));
    });
}
