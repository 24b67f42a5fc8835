//! Silence, broken connections, and recovery.

use std::time::Duration;

use tieline_test_servers::Stopwatch;
use tokio::time::{Instant, sleep};

use super::{
    proxy::{Mode, Proxy},
    scripted::ScriptedPeer,
    support::{Node, TestLink, code, config, emit, eventually, loopback, open, open_with, run},
};
use crate::link::{
    LinkStatus, NotSent, Outcome,
    proto::{self, OutcomeCode},
};

const UNREACHABLE: Outcome = Outcome::NotSent(NotSent::Unreachable);
/// A second, the interval at which times are checked, and what this process computes. The exact times are
/// tested without a clock.
const ABOUT_A_SECOND: Duration = Duration::from_millis(1100);

async fn proxied() -> (Node, Proxy, TestLink) {
    let node = Node::start().await;
    let proxy = Proxy::start(node.address()).await;
    let link = open(proxy.address());
    link.until(LinkStatus::Up).await;
    // Until its greeting is complete, the node closes a silent connection.
    eventually(|| !node.script.opened.lock().is_empty()).await;
    (node, proxy, link)
}

#[test]
fn a_silent_peer_is_suspect_within_a_second_and_recovers_at_the_first_sign_of_life() {
    run(async {
        let (node, proxy, link) = proxied().await;
        proxy.set(Mode::SilentBack);
        let began = Stopwatch::start_threads();
        let outcome = link.send(emit("a", "1"));
        assert_eq!(outcome.await.unwrap(), Outcome::Unknown);
        assert!(began.elapsed() < ABOUT_A_SECOND, "{:?}", began.elapsed());
        link.until(LinkStatus::Suspect).await;
        assert!(began.elapsed() < ABOUT_A_SECOND, "{:?}", began.elapsed());
        assert_eq!(link.send(emit("a", "2")).try_recv(), Ok(UNREACHABLE));
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.request(emit("a", "3")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(
            node.script.emits(),
            ["1", "3"],
            "once, and never the refused one"
        );
        assert_eq!(node.script.opened.lock().len(), 1, "the stream is the same");
    });
}

#[test]
fn a_link_to_a_silent_peer_decides_its_requests_within_a_second() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Silent);
        let began = Instant::now();
        let mut outcomes = Vec::new();
        while began.elapsed() < Duration::from_millis(600) {
            let sent_at = Stopwatch::start_threads();
            let outcome = link.send(emit("a", vec![b'x'; 100_000]));
            // Awaited in its own task, so that the time does not depend on other outcomes.
            outcomes.push(tokio::spawn(
                async move { (outcome.await, sent_at.elapsed()) },
            ));
            sleep(Duration::from_millis(5)).await;
        }
        for outcome in outcomes {
            let (outcome, took) = outcome.await.unwrap();
            let outcome = outcome.unwrap();
            assert!(
                matches!(outcome, Outcome::Unknown | Outcome::NotSent(_)),
                "{outcome:?}"
            );
            assert!(took < ABOUT_A_SECOND, "{took:?}");
        }
    });
}

#[test]
fn the_death_of_an_idle_peer_is_detected() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Silent);
        let began = Stopwatch::start_threads();
        link.until(LinkStatus::Suspect).await;
        // Pinged after 2 s.
        let detected = Duration::from_secs(2) + ABOUT_A_SECOND;
        assert!(began.elapsed() < detected, "{:?}", began.elapsed());
    });
}

#[test]
fn a_dead_stream_is_aborted_and_its_requests_come_too_late() {
    run(async {
        let (node, proxy, link) = proxied().await;
        proxy.set(Mode::SilentThere);
        assert_eq!(link.request(emit("a", "old")).await, Outcome::Unknown);
        link.until(LinkStatus::Down).await;
        // The bytes of the old stream arrive together with the new one's.
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.request(emit("a", "new")).await,
            code(OutcomeCode::Delivered)
        );
        let received = node.script.emits();
        assert_eq!(received.last().unwrap(), "new", "{received:?}");
    });
}

#[test]
fn a_slow_network_is_not_silence() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Delay(Duration::from_millis(200)));
        for _ in 0..5 {
            assert_eq!(
                link.request(emit("a", "x")).await,
                code(OutcomeCode::Delivered)
            );
        }
        assert!(link.is_up());
    });
}

#[test]
fn a_refused_connection_is_reported_at_once_and_retried() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Refuse);
        // The listener is gone once a connection is refused.
        while tokio::net::TcpStream::connect(proxy.address())
            .await
            .is_ok()
        {
            sleep(Duration::from_millis(2)).await;
        }
        proxy.cut();
        link.until(LinkStatus::Down).await;
        assert_eq!(link.send(emit("a", "x")).try_recv(), Ok(UNREACHABLE));
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
    });
}

#[test]
fn requests_wait_for_the_first_dial_and_no_longer_than_a_second() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );

        let mute = tokio::net::TcpListener::bind(loopback()).await.unwrap();
        let link = open(mute.local_addr().unwrap());
        let began = Stopwatch::start_threads();
        let early = link.send(emit("a", "x"));
        sleep(Duration::from_millis(250)).await;
        // Decided before `send` returns, once the dial has lasted for 200 ms.
        while link.send(emit("a", "x")).try_recv() != Ok(UNREACHABLE) {
            sleep(Duration::from_millis(10)).await;
        }
        assert!(
            began.elapsed() < Duration::from_millis(800),
            "later requests do not wait"
        );
        assert_eq!(early.await.unwrap(), UNREACHABLE);
        assert!(began.elapsed() < ABOUT_A_SECOND);
    });
}

#[test]
fn a_peer_that_does_not_read_costs_at_most_a_queue_and_a_window() {
    run(async {
        const REQUEST: usize = 32 << 10;
        let peer = ScriptedPeer::start(Vec::new()).await;
        let mut ours = config();
        ours.queue_bytes = 4 << 20;
        let link = open_with(peer.address, ours);
        link.until(LinkStatus::Up).await;
        let began = Instant::now();
        let (mut outcomes, mut refused) = (Vec::new(), 0);
        // Once HTTP/2 has filled its window, the queue stays full.
        while began.elapsed() < Duration::from_millis(500) {
            let mut outcome = link.send(emit("a", vec![b'x'; REQUEST]));
            match outcome.try_recv() {
                Ok(Outcome::NotSent(NotSent::QueueFull)) => refused += 1,
                _ => outcomes.push(outcome),
            }
            tokio::task::yield_now().await;
        }
        let (mut sent, mut queued) = (0, 0);
        for outcome in outcomes {
            match outcome.await.unwrap() {
                Outcome::Unknown => sent += REQUEST,
                // Silent, or slow: that is open if this machine was too busy to look.
                Outcome::NotSent(_) => queued += REQUEST,
                other => panic!("{other:?}"),
            }
        }
        assert!(refused > 0);
        assert!(
            queued > (3 << 20) && queued <= 4 << 20,
            "{queued} bytes queued"
        );
        assert!(sent > 0 && sent <= 3 << 20, "{sent} bytes handed to HTTP/2");
    });
}

#[test]
fn after_a_break_sent_requests_are_unknown_and_waiting_ones_not_sent() {
    run(async {
        let peer = ScriptedPeer::start(Vec::new()).await;
        let proxy = Proxy::start(peer.address).await;
        let link = open(proxy.address());
        link.until(LinkStatus::Up).await;
        let outcomes: Vec<_> = (0..60)
            .map(|_| link.send(emit("a", vec![b'x'; 100_000])))
            .collect();
        // HTTP/2 takes what it can within a few milliseconds.
        sleep(Duration::from_millis(300)).await;
        proxy.cut();
        let mut decided = Vec::new();
        for outcome in outcomes {
            decided.push(outcome.await.unwrap());
        }
        let sent = decided
            .iter()
            .take_while(|outcome| **outcome == Outcome::Unknown)
            .count();
        assert!(sent > 0 && sent < 60, "{sent}");
        assert!(
            decided[sent..]
                .iter()
                .all(|outcome| *outcome == UNREACHABLE),
            "{decided:?}"
        );
    });
}

#[test]
fn a_peer_that_answers_a_request_it_was_not_sent_is_dropped() {
    run(async {
        let wrong = proto::ResponseBatch {
            outcomes: vec![proto::Outcomes {
                first: 7,
                codes: vec![0].into(),
            }],
            ..proto::ResponseBatch::default()
        };
        let peer = ScriptedPeer::start(vec![wrong]).await;
        let link = open(peer.address);
        link.until(LinkStatus::Down).await;
    });
}

#[test]
fn a_server_that_shuts_down_answers_what_it_has_read_and_ends_its_streams() {
    run(async {
        let (node, _proxy, link) = proxied().await;
        let outcomes: Vec<_> = (0..50).map(|_| link.send(emit("a", "x"))).collect();
        for outcome in outcomes {
            assert_eq!(outcome.await.unwrap(), code(OutcomeCode::Delivered));
        }
        let began = Stopwatch::start_threads();
        node.server.shutdown(Duration::from_secs(5)).await;
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "the streams end by themselves"
        );
        link.until(LinkStatus::Down).await;
        eventually(|| node.server.streams() == 0).await;
    });
}
