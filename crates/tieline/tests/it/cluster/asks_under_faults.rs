//! Requests while links break, clients move, callbacks take their time, and nodes end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tieline::{AskError, Config, Delivery, registry::Registry};
use tokio::task::JoinSet;

use super::{admission::Setup, asks::ask};
use crate::kit::{
    Hold, Mode, Stopwatch, Store, TestNode, deliver, eventually, memory_registry, run, run_threads,
    test_config,
};

#[test]
fn where_the_registry_does_not_know_nobody_is_asked() {
    run(async {
        let store = Store::slow(Duration::ZERO);
        let registry: Arc<dyn Registry> = store.clone();
        let [a, b]: [TestNode; 2] = TestNode::start_linked(&registry).await;
        store.wipe();
        // Until every node has claimed its ids again.
        assert_eq!(a.cluster.emit("nobody", "x").await, Delivery::Unknown);
        let asked = a.cluster.ask("nobody", "id").await;
        assert_eq!(asked, Err(AskError::Unreachable));
        drop(b);
    });
}

#[test]
fn a_link_that_breaks_fails_what_its_peer_was_about_to_answer() {
    run(async {
        let registry = memory_registry();
        let (a, proxy) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let _ann = a.client("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        let cluster = b.cluster.clone();
        let waiting = tokio::spawn(async move {
            let ask = cluster.ask("ann", "wait").timeout(Duration::from_mins(1));
            ask.await
        });
        eventually(|| a.node.handler().asked.load(Ordering::Acquire) == 1).await;
        proxy.set(Mode::Refuse);
        proxy.cut();
        assert_eq!(waiting.await.unwrap(), Err(AskError::Unknown));
        let watch = Stopwatch::start_threads();
        let refused = b.cluster.ask("ann", "id").await;
        assert_eq!(refused, Err(AskError::Unreachable));
        assert!(watch.elapsed() < Duration::from_millis(2050));
        let named = b.cluster.ask_all("up?").await;
        let missed = named
            .iter()
            .find(|reply| reply.node.as_deref() == Some(&*a.peer_address()));
        assert_eq!(missed.unwrap().reply, Err(AskError::Unreachable));
        proxy.set(Mode::Pass);
        eventually(|| b.cluster.peers()[0].up).await;
        assert_eq!(ask(&b.cluster, "ann", "id").await.unwrap(), "ann");
    });
}

#[test]
fn the_answer_of_a_peer_that_was_silent_for_a_while_still_comes() {
    run(async {
        let registry = memory_registry();
        let (a, proxy) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let _ann = a.client("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        proxy.set(Mode::SilentBack);
        let ask = b.cluster.ask("ann", "id").timeout(Duration::from_mins(1));
        let node = b.cluster.ask_node(&a.peer_address(), "up?");
        let silence = async {
            // Longer than a link waits for an outcome, shorter than it lives without any.
            tokio::time::sleep(Duration::from_millis(1300)).await;
            proxy.set(Mode::Pass);
        };
        let (reply, node, ()) = tokio::join!(ask.into_future(), node.into_future(), silence);
        assert_eq!(
            (reply.unwrap(), node.unwrap()),
            ("ann".into(), "up?".into())
        );
    });
}

#[test]
fn callbacks_that_take_their_time_hold_up_nothing_else() {
    run(async {
        const ASKS: usize = 4_500;
        let registry = memory_registry();
        let config = Config {
            max_requests: ASKS,
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config, test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let _ann = a.client("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        let mut waiting = JoinSet::new();
        for _ in 0..ASKS {
            let ask = b.cluster.ask("ann", "wait").timeout(Duration::from_mins(1));
            waiting.spawn(ask.into_future());
        }
        let asked = || a.node.handler().asked.load(Ordering::Acquire);
        // A busy machine may have given up some.
        eventually(|| asked() >= ASKS / 2).await;
        assert_eq!(b.cluster.emit("ann", "through").await, Delivery::Delivered);
        a.node.handler().gate.add_permits(ASKS);
        let mut answered = 0;
        while let Some(answer) = waiting.join_next().await {
            answered += usize::from(answer.unwrap().is_ok());
        }
        assert_eq!(answered, asked());
    });
}

#[test]
fn a_callback_may_take_longer_than_a_link_waits_for_an_outcome() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let _ann = a.client("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        let waiting = b.cluster.ask("ann", "wait").timeout(Duration::from_mins(1));
        let node = b.cluster.ask_node(&a.peer_address(), "wait");
        let release = async {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            a.node.handler().gate.add_permits(2);
        };
        let (reply, node, ()) = tokio::join!(waiting.into_future(), node.into_future(), release);
        assert_eq!(
            (reply.unwrap(), node.unwrap()),
            ("wait".into(), "wait".into())
        );
    });
}

#[test]
fn a_client_that_moves_is_asked_once_wherever_it_is() {
    run_threads(2, async {
        let registry = memory_registry();
        let [a, b, c] = TestNode::start_linked(&registry).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (cluster, stopped) = (c.cluster.clone(), Arc::clone(&stop));
        let asking = tokio::spawn(async move {
            let mut counts = Counts::default();
            while !stopped.load(Ordering::Acquire) {
                let mut asks = JoinSet::new();
                for n in 0..4 {
                    asks.spawn(cluster.ask("mover", n.to_string()).into_future());
                }
                while let Some(answer) = asks.join_next().await {
                    counts.count(&answer.unwrap());
                }
            }
            counts
        });
        let (mut movers, mut counts) = (Vec::new(), Counts::default());
        for round in 0..20 {
            let node = if round % 2 == 0 { &a } else { &b };
            movers.push(node.reader("id=mover&quiet").await);
            let answer = c.cluster.ask("mover", "id").await;
            counts.count(&answer);
            // The newest connection answers.
            let own = node.node.hub().ask("mover", "id").await;
            counts.count(&own);
            assert_eq!(own.unwrap(), "mover");
        }
        stop.store(true, Ordering::Release);
        let others = asking.await.unwrap();
        assert!(others.replies > 0);
        let (replies, unclear) = (
            counts.replies + others.replies,
            counts.unclear + others.unclear,
        );
        let asked = |node: &TestNode| node.node.handler().asked.load(Ordering::Acquire);
        let asked = asked(&a) + asked(&b);
        assert!(
            (replies..=replies + unclear).contains(&asked),
            "{asked} {replies} {unclear}"
        );
    });
}

/// What became of asks.
#[derive(Default)]
struct Counts {
    replies: usize,
    /// A callback may have run, or not.
    unclear: usize,
}

impl Counts {
    fn count(&mut self, answer: &Result<Bytes, AskError>) {
        match answer {
            Ok(_) => self.replies += 1,
            Err(error) => self.unclear += usize::from(error.may_have_run()),
        }
    }
}

#[test]
fn a_request_waits_for_the_claim_of_its_client() {
    run(async {
        let setup = Setup::start_with(Config::default(), Duration::from_mins(1)).await;
        let attempt = setup.attempt(Hold::Verdicts, "id=ann&quiet").await;
        let hub = setup.b.node.hub().clone();
        let local = tokio::spawn(async move { hub.ask("ann", "id").await });
        let cluster = setup.c.cluster.clone();
        let remote = tokio::spawn(async move { ask(&cluster, "ann", "id").await });
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert!(!local.is_finished() && !remote.is_finished());
        setup.store.release();
        let (_ann, answer) = attempt.await.unwrap();
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(local.await.unwrap().unwrap(), "ann");
        assert_eq!(remote.await.unwrap().unwrap(), "ann");
    });
}

#[test]
fn a_drain_waits_for_what_is_being_answered() {
    run(async {
        let registry: Arc<dyn Registry> = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let ann = a.reader("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        let cluster = b.cluster.clone();
        let waiting = tokio::spawn(async move { ask(&cluster, "ann", "wait").await });
        let probe = a.node.handler().clone();
        eventually(|| probe.asked.load(Ordering::Acquire) == 1).await;
        let node = a.node.clone();
        let drain = tokio::spawn(async move { node.drain().await });
        eventually(|| a.node.hub().connection("ann").is_none()).await;
        drop(ann);
        assert!(!drain.is_finished());
        probe.gate.add_permits(1);
        assert_eq!(waiting.await.unwrap().unwrap(), "wait");
        assert_eq!(drain.await.unwrap().remaining, 0);
    });
}
