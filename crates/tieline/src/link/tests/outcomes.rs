//! The outcome of each kind of request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_test_servers::Stopwatch;
use tokio::sync::Semaphore;

use super::support::{
    Node, Script, code, config, emit, eventually, everyone, open, query, reached_three, run,
};
use crate::link::{
    LinkStatus, Outcome, ProbeResult, RequestKind, probe,
    proto::{self, OutcomeCode},
};

#[test]
fn each_kind_of_request_has_its_outcome() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(
            link.request(emit("gone", "x")).await,
            code(OutcomeCode::NotHere)
        );
        assert_eq!(
            link.request(emit("full", "x")).await,
            code(OutcomeCode::Refused)
        );
        assert_eq!(
            link.request(everyone()).await,
            Outcome::Reached(reached_three())
        );
        let membership = RequestKind::Membership(proto::Membership::default());
        assert_eq!(link.request(membership).await, code(OutcomeCode::Unchanged));
        let evict = RequestKind::Evict(proto::Evict::default());
        assert_eq!(link.request(evict).await, code(OutcomeCode::Delivered));
        let close = RequestKind::Close(proto::Close::default());
        assert_eq!(link.request(close).await, code(OutcomeCode::Delivered));
        let listing = Outcome::Listing {
            names: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
            more: true,
        };
        assert_eq!(
            link.request(query(proto::QueryKind::Online, &["a", "b"]))
                .await,
            listing
        );
        assert_eq!(
            link.request(query(proto::QueryKind::Unspecified, &["a"]))
                .await,
            code(OutcomeCode::Invalid)
        );
        assert_eq!(link.process(), Some(node.process));
        assert!(link.is_up() && !link.is_unary_only());
    });
}

#[test]
fn a_slow_response_delays_no_others() {
    run(async {
        let script = Script {
            multicast_permits: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        let slow = link.send(everyone());
        let empty = Outcome::Listing {
            names: Vec::new(),
            more: true,
        };
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(
            link.request(query(proto::QueryKind::Online, &[])).await,
            empty
        );
        node.script
            .multicast_permits
            .as_ref()
            .unwrap()
            .add_permits(1);
        assert_eq!(slow.await.unwrap(), Outcome::Reached(reached_three()));
    });
}

#[test]
fn a_response_after_a_second_is_unknown_but_not_silence() {
    run(async {
        let script = Script {
            multicast_permits: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        assert_eq!(link.request(everyone()).await, Outcome::Unknown);
        assert!(link.is_up());
        // The late response is ignored.
        node.script
            .multicast_permits
            .as_ref()
            .unwrap()
            .add_permits(1);
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert!(link.is_up());
    });
}

#[test]
fn the_receiver_is_notified_who_opened_a_stream() {
    run(async {
        let node = Node::start().await;
        let mut ours = config();
        ours.address = Some("10.0.0.1:7000".into());
        let process = ours.process;
        let link = super::support::open_with(node.address(), ours);
        link.until(LinkStatus::Up).await;
        eventually(|| !node.script.opened.lock().is_empty()).await;
        let opened = node.script.opened.lock().clone();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].process, process);
        assert_eq!(opened[0].address.as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(opened[0].version, proto::VERSION);
    });
}

#[test]
fn a_probe_returns_the_process_and_leaves_streams_alone() {
    run(async {
        let node = Node::start().await;
        let ours = Arc::new(config());
        let link = super::support::open_with(node.address(), (*ours).clone());
        link.until(LinkStatus::Up).await;
        let address = node.address().to_string();
        let probed = probe(&address, &ours).await.unwrap();
        assert_eq!(probed, ProbeResult::Node(node.process));
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(node.script.opened.lock().len(), 1);
        node.server
            .shutdown(std::time::Duration::from_secs(1))
            .await;
        probe(&address, &ours).await.unwrap_err();
    });
}

#[test]
fn a_later_response_is_sent_as_soon_as_it_is_ready() {
    run(async {
        let script = Script {
            multicast_permits: Some(Semaphore::new(0)),
            ..Script::default()
        };
        let node = Node::with(config(), script).await;
        let link = open(node.address());
        for _ in 0..5 {
            // Nothing but the response itself wakes the stream.
            assert_eq!(
                link.request(emit("a", "x")).await,
                code(OutcomeCode::Delivered)
            );
            let later = link.send(everyone());
            tokio::time::sleep(Duration::from_millis(5)).await;
            node.script
                .multicast_permits
                .as_ref()
                .unwrap()
                .add_permits(1);
            let decided = Stopwatch::start_threads();
            assert_eq!(later.await.unwrap(), Outcome::Reached(reached_three()));
            let took = decided.elapsed();
            assert!(took < Duration::from_millis(150), "{took:?}");
        }
    });
}
