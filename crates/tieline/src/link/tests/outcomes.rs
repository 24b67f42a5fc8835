//! The outcome of each kind of post.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Semaphore, time::Instant};

use super::support::{Node, Script, ask, code, config, emit, everyone, open, run, three};
use crate::link::{
    LinkStatus, Outcome, Probed, RequestKind, probe,
    proto::{self, OutcomeCode},
};

#[test]
fn each_kind_of_post_has_its_outcome() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert_eq!(
            link.ask(emit("gone", "x")).await,
            code(OutcomeCode::NotHere)
        );
        assert_eq!(
            link.ask(emit("full", "x")).await,
            code(OutcomeCode::Refused)
        );
        assert_eq!(link.ask(everyone()).await, Outcome::Reached(three()));
        let membership = RequestKind::Membership(proto::Membership::default());
        assert_eq!(link.ask(membership).await, code(OutcomeCode::Unchanged));
        let evict = RequestKind::Evict(proto::Evict::default());
        assert_eq!(link.ask(evict).await, code(OutcomeCode::Delivered));
        let close = RequestKind::Close(proto::Close::default());
        assert_eq!(link.ask(close).await, code(OutcomeCode::Delivered));
        let listing = Outcome::Listing {
            names: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
            more: true,
        };
        assert_eq!(
            link.ask(ask(proto::QueryKind::Online, &["a", "b"])).await,
            listing
        );
        assert_eq!(link.process(), Some(node.process));
        assert!(link.is_up() && !link.is_foreign());
    });
}

#[test]
fn a_slow_answer_holds_back_neither_others_nor_a_marker() {
    run(async {
        let script = Script {
            many: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        let slow = link.send(everyone());
        let empty = Outcome::Listing {
            names: Vec::new(),
            more: false,
        };
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert_eq!(link.ask(ask(proto::QueryKind::Nothing, &[])).await, empty);
        node.script.many.as_ref().unwrap().add_permits(1);
        assert_eq!(slow.await.unwrap(), Outcome::Reached(three()));
    });
}

#[test]
fn an_answer_beyond_a_second_is_unknown_and_no_silence() {
    run(async {
        let script = Script {
            many: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        assert_eq!(link.ask(everyone()).await, Outcome::Unknown);
        assert!(link.is_up());
        // The late answer is nobody's.
        node.script.many.as_ref().unwrap().add_permits(1);
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert!(link.is_up());
    });
}

#[test]
fn the_receiver_learns_who_has_opened_a_stream() {
    run(async {
        let node = Node::start().await;
        let mut ours = config();
        ours.address = Some("10.0.0.1:7000".into());
        let process = ours.process;
        let link = super::support::open_with(node.address(), ours);
        link.until(LinkStatus::Up).await;
        let greeted = node.script.greeted.lock().clone();
        assert_eq!(greeted.len(), 1);
        assert_eq!(greeted[0].process, process);
        assert_eq!(greeted[0].address.as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(greeted[0].version, proto::VERSION);
    });
}

#[test]
fn a_probe_finds_the_process_and_disturbs_no_stream() {
    run(async {
        let node = Node::start().await;
        let ours = Arc::new(config());
        let link = super::support::open_with(node.address(), (*ours).clone());
        link.until(LinkStatus::Up).await;
        let address = node.address().to_string();
        let probed = probe(&address, &ours).await.unwrap();
        assert_eq!(probed, Probed::Node(node.process));
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert_eq!(node.script.greeted.lock().len(), 1);
        node.port.shutdown(std::time::Duration::from_secs(1)).await;
        probe(&address, &ours).await.unwrap_err();
    });
}

#[test]
fn an_answer_that_comes_later_leaves_when_it_is_decided() {
    run(async {
        let script = Script {
            many: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        for _ in 0..5 {
            // Nothing but the answer itself is about to wake the stream.
            assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
            let later = link.send(everyone());
            tokio::time::sleep(Duration::from_millis(5)).await;
            node.script.many.as_ref().unwrap().add_permits(1);
            let decided = Instant::now();
            assert_eq!(later.await.unwrap(), Outcome::Reached(three()));
            let took = decided.elapsed();
            assert!(took < Duration::from_millis(150), "{took:?}");
        }
    });
}
