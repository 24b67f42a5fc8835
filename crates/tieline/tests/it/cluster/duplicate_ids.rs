//! Two connections with one id, on two nodes.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tieline::{CloseReason, ClusterConfig, Config, Delivery, Duplicate, registry::Registry};
use tokio::time::Instant;

use crate::kit::{Member, Mode, Reader, eventually, memory, quick, run};

const ROUNDS: usize = 200;
/// Rounds at once.
const TOGETHER: usize = 20;

#[test]
fn of_two_that_come_at_once_one_survives() {
    run(async {
        let registry = memory();
        let nodes: [Member; 3] = Member::several(&registry).await;
        for first in (0..ROUNDS).step_by(TOGETHER) {
            let rounds = (first..first + TOGETHER).map(|round| rival(&registry, &nodes, round));
            join_all(rounds).await;
        }
    });
}

async fn rival(registry: &Arc<dyn Registry>, nodes: &[Member; 3], round: usize) {
    let id = format!("rival-{round}");
    let query = format!("id={id}&quiet");
    let [a, b, c] = nodes;
    let ((first, at_a), (second, at_b)) = tokio::join!(a.ask(&query), b.ask(&query));
    let answered = Instant::now();
    let statuses = [at_a.status, at_b.status];
    assert!(statuses.contains(&101), "round {round}: {at_a:?} {at_b:?}");
    assert!(
        statuses.iter().all(|status| [101, 503].contains(status)),
        "round {round}: {at_a:?} {at_b:?}"
    );
    eventually(|| a.has(&id) != b.has(&id)).await;
    let took = answered.elapsed();
    assert!(took < Duration::from_secs(1), "round {round}: {took:?}");
    let readers = [Reader::new(first), Reader::new(second)];
    let winner = usize::from(b.has(&id));
    assert_eq!(statuses[winner], 101, "round {round}");
    if statuses[1 - winner] == 101 {
        let code = readers[1 - winner].until_closed().await;
        assert_eq!(code, Some(CloseReason::REPLACED), "round {round}");
    }
    for member in [c, a, b] {
        let delivery = member.cluster.emit(&id, "the winner is").await;
        assert_eq!(delivery, Delivery::Delivered, "round {round}");
    }
    eventually(|| readers[winner].texts().len() == 3).await;
    let entry = registry.locate(&id, true).await.unwrap().unwrap();
    assert_eq!(*entry.address, nodes[winner].peer_address());
    assert_eq!(readers[winner].code(), None);
}

#[test]
fn a_lost_evict_is_made_up_for_by_the_count_of_entries() {
    run(async {
        let registry = memory();
        let seldom = || ClusterConfig {
            audit_interval: Duration::from_hours(1),
            ..quick()
        };
        let (old, way) = Member::behind_proxy(&registry, Config::default(), seldom()).await;
        let new = Member::start_with(&registry, Config::default(), seldom()).await;
        let other = Member::start_with(&registry, Config::default(), seldom()).await;
        new.linked(2).await;
        other.linked(2).await;
        let half_open = old.reader("id=ann&quiet").await;
        way.set(Mode::SilentThere);
        let newest = new.reader("id=ann&quiet").await;
        let moved = Instant::now();
        // Routing is right at once.
        for from in [&new, &other] {
            assert_eq!(from.cluster.emit("ann", "moved").await, Delivery::Delivered);
        }
        assert_eq!(half_open.until_closed().await, Some(CloseReason::REPLACED));
        // Two beats, after the one that is under way; and what a busy machine takes.
        let bound = quick().lease + Duration::from_millis(500);
        assert!(moved.elapsed() <= bound, "{:?}", moved.elapsed());
        eventually(|| !old.has("ann")).await;
        assert_eq!(
            old.cluster.emit("ann", "followed").await,
            Delivery::Delivered
        );
        newest.until("followed").await;
        assert_eq!((newest.texts().len(), newest.code()), (3, None));
    });
}

#[test]
fn where_the_first_keeps_its_id_the_second_is_refused_on_any_node() {
    run(async {
        let registry = memory();
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = Member::start_with(&registry, config.clone(), quick()).await;
        let b = Member::start_with(&registry, config, quick()).await;
        a.linked(1).await;
        let mut first = a.client("id=one").await;
        for _ in 0..20 {
            let (_, answer) = b.ask("id=one").await;
            assert_eq!(answer.status, 409, "{answer:?}");
            assert!(!b.has("one"));
            assert_eq!(b.cluster.emit("one", "unharmed").await, Delivery::Delivered);
            assert_eq!(first.text().await, "unharmed");
        }
        first.close(1000).await;
        let mut second = loop {
            match b.ask("id=one&quiet").await {
                (raw, answer) if answer.status == 101 => break raw,
                (_, answer) => assert_eq!(answer.status, 409),
            }
        };
        assert_eq!(a.cluster.emit("one", "let in").await, Delivery::Delivered);
        assert_eq!(second.text().await, "let in");
    });
}

#[test]
fn of_two_that_may_not_displace_each_other_one_is_let_in() {
    run(async {
        let registry = memory();
        let config = Config {
            duplicate: Duplicate::Reject,
            ..Config::default()
        };
        let a = Member::start_with(&registry, config.clone(), quick()).await;
        let b = Member::start_with(&registry, config, quick()).await;
        a.linked(1).await;
        for round in 0..100 {
            let query = format!("id={round}");
            let (at_a, at_b) = tokio::join!(a.ask(&query), b.ask(&query));
            let mut statuses = [at_a.1.status, at_b.1.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [101, 409], "round {round}");
        }
    });
}
