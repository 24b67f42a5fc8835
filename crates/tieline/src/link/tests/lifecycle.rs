//! Silence, breaks, and the way back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    proxy::{Mode, Proxy},
    scripted::Puppet,
    support::{Node, Opened, code, config, emit, eventually, loopback, open, open_with, run},
};
use crate::link::{
    LinkStatus, NotSent, Outcome,
    proto::{self, OutcomeCode},
};

const UNREACHABLE: Outcome = Outcome::NotSent(NotSent::Unreachable);
/// A second, and what a loaded machine may add; the arithmetic itself is tested without a clock.
const A_SECOND: Duration = Duration::from_secs(2);

async fn proxied() -> (Node, Proxy, Opened) {
    let node = Node::start().await;
    let proxy = Proxy::start(node.address()).await;
    let link = open(proxy.address());
    link.until(LinkStatus::Up).await;
    (node, proxy, link)
}

#[test]
fn a_silent_peer_is_suspect_within_a_second_and_recovers_at_the_first_sign_of_life() {
    run(async {
        let (node, proxy, link) = proxied().await;
        proxy.set(Mode::SilentBack);
        let began = Instant::now();
        let outcome = link.send(emit("a", "1"));
        assert_eq!(outcome.await.unwrap(), Outcome::Unknown);
        assert!(began.elapsed() < A_SECOND, "{:?}", began.elapsed());
        link.until(LinkStatus::Suspect).await;
        assert!(began.elapsed() < A_SECOND, "{:?}", began.elapsed());
        assert_eq!(link.send(emit("a", "2")).try_recv(), Ok(UNREACHABLE));
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(link.ask(emit("a", "3")).await, code(OutcomeCode::Delivered));
        assert_eq!(
            node.script.emits(),
            ["1", "3"],
            "once, and what was refused never"
        );
        assert_eq!(
            node.script.greeted.lock().len(),
            1,
            "the stream is the same"
        );
    });
}

#[test]
fn a_link_that_takes_nothing_decides_its_posts_within_a_second() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Silent);
        let began = Instant::now();
        let mut outcomes = Vec::new();
        while began.elapsed() < Duration::from_millis(600) {
            let posted = Instant::now();
            outcomes.push((posted, link.send(emit("a", vec![b'x'; 100_000]))));
            sleep(Duration::from_millis(5)).await;
        }
        for (posted, outcome) in outcomes {
            let outcome = outcome.await.unwrap();
            assert!(
                matches!(outcome, Outcome::Unknown | Outcome::NotSent(_)),
                "{outcome:?}"
            );
            assert!(posted.elapsed() < A_SECOND + Duration::from_millis(600));
        }
    });
}

#[test]
fn an_idle_peer_that_dies_is_found() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Silent);
        let began = Instant::now();
        link.until(LinkStatus::Suspect).await;
        assert!(began.elapsed() < Duration::from_secs(4));
    });
}

#[test]
fn a_dead_stream_is_torn_down_and_what_it_held_comes_too_late() {
    run(async {
        let (node, proxy, link) = proxied().await;
        proxy.set(Mode::SilentThere);
        assert_eq!(link.ask(emit("a", "old")).await, Outcome::Unknown);
        link.until(LinkStatus::Down).await;
        // The bytes of the old stream arrive together with the new one's.
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.ask(emit("a", "new")).await,
            code(OutcomeCode::Delivered)
        );
        let received = node.script.emits();
        assert_eq!(received.last().unwrap(), "new", "{received:?}");
    });
}

#[test]
fn a_slow_network_is_no_silence() {
    run(async {
        let (_node, proxy, link) = proxied().await;
        proxy.set(Mode::Delay(Duration::from_millis(200)));
        for _ in 0..5 {
            assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        }
        assert!(link.is_up());
    });
}

#[test]
fn a_refused_connection_is_known_at_once_and_dialled_again() {
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
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
    });
}

#[test]
fn posts_wait_for_the_first_dial_and_no_longer_than_a_second() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));

        let mute = tokio::net::TcpListener::bind(loopback()).await.unwrap();
        let link = open(mute.local_addr().unwrap());
        let began = Instant::now();
        let early = link.send(emit("a", "x"));
        sleep(Duration::from_millis(250)).await;
        // Told before `send` returns.
        assert_eq!(link.send(emit("a", "x")).try_recv(), Ok(UNREACHABLE));
        assert!(
            began.elapsed() < Duration::from_millis(800),
            "later posts do not wait"
        );
        assert_eq!(early.await.unwrap(), UNREACHABLE);
        assert!(began.elapsed() < A_SECOND);
    });
}

#[test]
fn a_peer_that_does_not_read_costs_no_more_than_queue_and_window() {
    run(async {
        const POST: usize = 32 << 10;
        let puppet = Puppet::start(Vec::new()).await;
        let mut ours = config();
        ours.queue_bytes = 4 << 20;
        let link = open_with(puppet.address, ours);
        link.until(LinkStatus::Up).await;
        let began = Instant::now();
        let (mut outcomes, mut refused) = (Vec::new(), 0);
        // HTTP/2 takes what the window lets it; the rest of the time the queue stays full.
        while began.elapsed() < Duration::from_millis(500) {
            let mut outcome = link.send(emit("a", vec![b'x'; POST]));
            match outcome.try_recv() {
                Ok(Outcome::NotSent(NotSent::QueueFull)) => refused += 1,
                _ => outcomes.push(outcome),
            }
            tokio::task::yield_now().await;
        }
        let (mut sent, mut queued) = (0, 0);
        for outcome in outcomes {
            match outcome.await.unwrap() {
                Outcome::Unknown => sent += POST,
                Outcome::NotSent(NotSent::Unreachable) => queued += POST,
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
fn a_break_leaves_what_was_sent_unknown_and_what_waited_unsent() {
    run(async {
        let puppet = Puppet::start(Vec::new()).await;
        let proxy = Proxy::start(puppet.address).await;
        let link = open(proxy.address());
        link.until(LinkStatus::Up).await;
        let outcomes: Vec<_> = (0..60)
            .map(|_| link.send(emit("a", vec![b'x'; 100_000])))
            .collect();
        // All that HTTP/2 takes it takes within some milliseconds.
        sleep(Duration::from_millis(300)).await;
        proxy.cut();
        let mut completions = Vec::new();
        for outcome in outcomes {
            completions.push(outcome.await.unwrap());
        }
        let sent = completions
            .iter()
            .take_while(|outcome| **outcome == Outcome::Unknown)
            .count();
        assert!(sent > 0 && sent < 60, "{sent}");
        assert!(
            completions[sent..]
                .iter()
                .all(|outcome| *outcome == UNREACHABLE),
            "{completions:?}"
        );
    });
}

#[test]
fn a_peer_that_answers_what_it_was_not_sent_is_left() {
    run(async {
        let wrong = proto::ResponseBatch {
            outcomes: vec![proto::Outcomes {
                first: 7,
                codes: vec![0].into(),
            }],
            ..proto::ResponseBatch::default()
        };
        let puppet = Puppet::start(vec![wrong]).await;
        let link = open(puppet.address);
        link.until(LinkStatus::Down).await;
    });
}

#[test]
fn a_drained_port_answers_what_it_has_read_and_ends_its_streams() {
    run(async {
        let (node, _proxy, link) = proxied().await;
        let outcomes: Vec<_> = (0..50).map(|_| link.send(emit("a", "x"))).collect();
        for outcome in outcomes {
            assert_eq!(outcome.await.unwrap(), code(OutcomeCode::Delivered));
        }
        let began = Instant::now();
        node.port.shutdown(Duration::from_secs(5)).await;
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "the streams end by themselves"
        );
        link.until(LinkStatus::Down).await;
        eventually(|| node.port.streams() == 0).await;
    });
}
