//! Many requests: order, bounds, and that none is sent twice.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tieline_test_servers::Stopwatch;
use tokio_util::task::TaskTracker;

use super::{
    proxy::Proxy,
    scripted::ScriptedPeer,
    support::{Node, code, config, emit, eventually, open, run},
};
use crate::link::{Completion, Link, LinkStatus, NotSent, Outcome, proto::OutcomeCode};

/// Records the order of outcomes.
struct Recorded(u64, Arc<Mutex<Vec<(u64, Outcome)>>>);

impl Completion for Recorded {
    fn complete(self, outcome: Outcome) {
        self.1.lock().push((self.0, outcome));
    }
}

#[test]
fn requests_and_outcomes_keep_their_order() {
    run(async {
        const REQUESTS: u64 = 50_000;
        let node = Node::start().await;
        let tasks = TaskTracker::new();
        let address = node.address().to_string().into();
        let link = Link::start(address, None, Arc::new(config()), &tasks);
        let completions = Arc::new(Mutex::new(Vec::new()));
        for i in 0..REQUESTS {
            while i - completions.lock().len() as u64 >= 20_000 {
                tokio::task::yield_now().await;
            }
            link.send(
                &emit("a", i.to_be_bytes().to_vec()),
                Recorded(i, Arc::clone(&completions)),
            );
        }
        eventually(|| completions.lock().len() as u64 == REQUESTS).await;
        let in_order = (0..REQUESTS).map(|i| (i, code(OutcomeCode::Delivered)));
        assert!(completions.lock().iter().cloned().eq(in_order));
        let expected = (0..REQUESTS).map(|i| Bytes::from(i.to_be_bytes().to_vec()));
        assert!(node.script.emits().into_iter().eq(expected));
        link.end();
        tasks.close();
        tasks.wait().await;
    });
}

#[test]
fn a_link_that_is_cut_repeatedly_sends_nothing_twice() {
    run(async {
        let node = Node::start().await;
        let proxy = Proxy::start(node.address()).await;
        let link = open(proxy.address());
        let (mut delivered, mut unknown, mut unsent) =
            (HashSet::new(), HashSet::new(), HashSet::new());
        let mut number = 0_u32;
        let mut next = || {
            number += 1;
            (number, link.send(emit("a", number.to_be_bytes().to_vec())))
        };
        for _ in 0..5 {
            link.until(LinkStatus::Up).await;
            let mut outcomes = Vec::new();
            // The requests after this are cut somewhere in the middle.
            let before = node.script.emits().len();
            outcomes.push(next());
            eventually(|| node.script.emits().len() > before).await;
            for i in 0..400 {
                outcomes.push(next());
                if i == 300 {
                    proxy.cut();
                }
                tokio::task::yield_now().await;
            }
            for (number, outcome) in outcomes {
                match outcome.await.unwrap() {
                    Outcome::Code(OutcomeCode::Delivered) => delivered.insert(number),
                    Outcome::Unknown => unknown.insert(number),
                    Outcome::NotSent(NotSent::Unreachable) => unsent.insert(number),
                    other => panic!("{other:?}"),
                };
            }
        }
        assert!(!delivered.is_empty() && !unknown.is_empty());
        let received = node.script.emits();
        let numbers: Vec<u32> = received
            .iter()
            .map(|b| u32::from_be_bytes((**b).try_into().unwrap()))
            .collect();
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "in order, and none twice"
        );
        let received: HashSet<u32> = numbers.into_iter().collect();
        assert!(delivered.is_subset(&received) && received.is_disjoint(&unsent));
    });
}

#[test]
fn a_request_larger_than_the_queue_is_refused_and_the_largest_is_delivered() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        let full = vec![b'x'; config().queue_bytes];
        assert_eq!(
            link.request(emit("a", full)).await,
            code(OutcomeCode::Delivered)
        );
        let beyond = vec![b'x'; config().queue_bytes + 4096];
        assert_eq!(
            link.request(emit("a", beyond)).await,
            Outcome::NotSent(NotSent::TooLarge)
        );
        assert!(link.is_up());
    });
}

#[test]
fn a_request_too_large_for_the_peer_is_refused_alone() {
    run(async {
        let mut theirs = config();
        theirs.queue_bytes = 64 << 10;
        let node = Node::with(theirs, super::support::Script::default()).await;
        let link = open(node.address());
        let beyond = link.send(emit("a", vec![b'x'; 128 << 10]));
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(beyond.await.unwrap(), Outcome::NotSent(NotSent::TooLarge));
    });
}

#[test]
fn a_peer_that_accepts_no_request_at_all_has_each_refused_at_once() {
    run(async {
        let mut hello = config().hello(1);
        hello.max_message_size = 100;
        let peer = ScriptedPeer::with_hello(hello, Vec::new()).await;
        let link = open(peer.address);
        link.until(LinkStatus::Up).await;
        let began = Stopwatch::start_threads();
        let outcome = link.request(emit("a", "x")).await;
        assert_eq!(outcome, Outcome::NotSent(NotSent::TooLarge));
        assert!(began.elapsed() < Duration::from_millis(500));
        assert!(link.is_up());
    });
}

#[test]
fn ending_a_link_decides_everything_and_leaves_no_task() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        let outcomes: Vec<_> = (0..100).map(|_| link.send(emit("a", "x"))).collect();
        link.end();
        for outcome in outcomes {
            outcome.await.unwrap();
        }
        link.tasks.close();
        link.tasks.wait().await;
        assert_eq!(
            link.request(emit("a", "x")).await,
            Outcome::NotSent(NotSent::Unreachable)
        );
        eventually(|| node.server.streams() == 0).await;
        node.server.shutdown(Duration::from_secs(1)).await;
    });
}
