//! The interest of a node, as its peers get to know it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    proxy::{Mode, Proxy},
    scripted::{RawStream, ScriptedPeer},
    support::{Node, Script, config, eventually, open, run},
};
use crate::link::{
    Interest, LinkStatus, hash,
    proto::{self, Scope},
};

#[test]
fn a_user_and_a_group_of_the_same_name_have_different_hashes() {
    assert_ne!(hash(Scope::User, "a"), hash(Scope::Group, "a"));
    assert_eq!(hash(Scope::User, "a"), hash(Scope::User, "a"));
}

#[test]
fn a_link_gets_the_snapshot_and_then_changes() {
    run(async {
        let node = Node::start().await;
        let interest = &node.script.interest;
        interest.gained(1);
        let link = open(node.address());
        eventually(|| !link.may_have(99)).await;
        assert!(link.may_have(1));
        interest.gained(2);
        interest.gained(2);
        interest.lost(1);
        assert!(interest.synced(Duration::from_secs(5)).await);
        assert!(link.may_have(2) && !link.may_have(1));
        interest.lost(2);
        assert!(interest.synced(Duration::from_secs(5)).await);
        assert!(link.may_have(2), "one of two shards still has it");
        interest.lost(2);
        assert!(interest.synced(Duration::from_secs(5)).await);
        assert!(!link.may_have(2));
    });
}

#[test]
fn until_the_snapshot_is_complete_the_peer_may_have_anything() {
    run(async {
        let part = proto::ResponseBatch {
            interest: Some(proto::Interest {
                gained: vec![1],
                ..proto::Interest::default()
            }),
            ..proto::ResponseBatch::default()
        };
        let peer = ScriptedPeer::start(vec![part]).await;
        let link = open(peer.address);
        link.until(LinkStatus::Up).await;
        assert!(link.may_have(99));
    });
}

#[test]
fn a_large_snapshot_arrives_whole() {
    run(async {
        let node = Node::start().await;
        (0..50_000).for_each(|hash| node.script.interest.gained(hash));
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        eventually(|| !link.may_have(50_000)).await;
        assert!((0..50_000).all(|hash| link.may_have(hash)));
    });
}

#[test]
fn after_a_break_the_peer_may_have_anything_until_the_next_snapshot() {
    run(async {
        let node = Node::start().await;
        let proxy = Proxy::start(node.address()).await;
        let link = open(proxy.address());
        eventually(|| !link.may_have(7)).await;
        proxy.set(Mode::Silent);
        proxy.cut();
        link.until(LinkStatus::Down).await;
        assert!(link.may_have(7));
        proxy.set(Mode::Pass);
        eventually(|| !link.may_have(7)).await;
    });
}

#[test]
fn settling_waits_for_live_streams_only_and_no_longer_than_its_limit() {
    run(async {
        let node = Node::start().await;
        let interest = &node.script.interest;
        interest.gained(1);
        assert!(interest.synced(Duration::from_secs(5)).await);
        // These peers never acknowledge.
        let stream = RawStream::open(node.address(), &config(), 1).await.unwrap();
        let ends = async { drop(stream) };
        let (synced, ()) = tokio::join!(interest.synced(Duration::from_secs(5)), ends);
        assert!(synced, "its end ends the wait");
        let _stream = RawStream::open(node.address(), &config(), 2).await.unwrap();
        assert!(!interest.synced(Duration::from_millis(50)).await);
    });
}

#[test]
fn a_peer_that_hangs_is_waited_for_once_and_again_when_it_has_caught_up() {
    const LIMIT: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_mins(1);
    run(async {
        let interest = Arc::new(Interest::default());
        let hangs = Arc::clone(&interest).subscribe();
        let answers = Arc::clone(&interest).subscribe();
        let cx = std::task::Context::from_waker(std::task::Waker::noop());
        let first = hangs.poll_message(&cx).unwrap().version;
        answers.acknowledge(answers.poll_message(&cx).unwrap().version);
        interest.gained(1);
        answers.acknowledge(answers.poll_message(&cx).unwrap().version);
        // Whoever else waits has no more to wait for.
        let waits = [interest.synced(LIMIT), interest.synced(LONG)];
        assert_eq!(join_all(waits).await, [false, false]);
        for hash in 2..20 {
            interest.gained(hash);
            let version = answers.poll_message(&cx).unwrap().version;
            let acknowledges = async { answers.acknowledge(version) };
            // The other one is waited for.
            let (synced, ()) = tokio::join!(interest.synced(LONG), acknowledges);
            assert!(!synced);
        }
        // It has read more than it answers.
        let last = hangs.poll_message(&cx).unwrap().version;
        hangs.acknowledge(first);
        assert!(!interest.synced(LONG).await);
        hangs.acknowledge(last);
        assert!(interest.synced(LONG).await);
        interest.gained(20);
        answers.acknowledge(answers.poll_message(&cx).unwrap().version);
        let version = hangs.poll_message(&cx).unwrap().version;
        let acknowledges = async { hangs.acknowledge(version) };
        let (synced, ()) = tokio::join!(interest.synced(LONG), acknowledges);
        assert!(synced, "it is waited for again");
    });
}

#[test]
fn a_hash_that_is_gained_and_lost_again_is_not_sent() {
    run(async {
        let script = Script::default();
        let interest = Arc::clone(&script.interest);
        let subscription = Arc::clone(&interest).subscribe();
        let cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(subscription.poll_message(&cx).unwrap().complete);
        for hash in 0..1_000 {
            interest.gained(hash);
            interest.lost(hash);
        }
        interest.gained(5);
        let change = subscription.poll_message(&cx).unwrap();
        assert_eq!((change.gained, change.lost), (vec![5], vec![]));
        assert!(subscription.poll_message(&cx).is_none());
    });
}

#[test]
fn losing_a_hash_that_was_not_gained_changes_nothing() {
    let interest = Interest::default();
    interest.lost(1);
    interest.gained(1);
    interest.lost(1);
}
