//! The outcome of each kind of request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tieline_test_servers::Stopwatch;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    scripted::RawStream,
    support::{
        Node, Script, code, config, emit, eventually, everyone, open, open_with, query,
        reached_three, run,
    },
};
use crate::{
    link::{
        LinkStatus, Outcome, ProbeResult, RequestKind, probe,
        proto::{self, OutcomeCode},
    },
    written::Tracker,
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

#[test]
fn a_peer_of_an_older_version_takes_no_message_to_many_ids() {
    run(async {
        let mut theirs = config();
        theirs.versions = 3..=3;
        let older = Node::with(theirs, Script::default()).await;
        let link = open(older.address());
        assert!(!link.takes_many(10));
        link.until(LinkStatus::Up).await;
        assert!(!link.takes_many(10));
        let newer = Node::start().await;
        let link = open(newer.address());
        link.until(LinkStatus::Up).await;
        assert!(link.takes_many(10));
        assert!(!link.takes_many(config().queue_bytes));
        let many = RequestKind::EmitMany(proto::EmitMany {
            ids: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
            message: Some(proto::Emit::default()),
        });
        let delivered = [OutcomeCode::Delivered as u8; 2];
        let codes = Outcome::Codes(Bytes::copy_from_slice(&delivered));
        assert_eq!(link.request(many).await, codes);
    });
}

/// On one thread, so that a link is not up before this waits for it.
#[tokio::test]
async fn only_a_peer_that_knows_reports_is_asked_for_them() {
    let mut theirs = config();
    theirs.versions = 3..=4;
    let older = Node::with(theirs, Script::default()).await;
    let newer = Node::start().await;
    for (node, reports) in [(older, false), (newer, true)] {
        let link = open(node.address());
        let tracker = Arc::new(Tracker::new().0);
        assert!(link.expect_report(&tracker) > 0, "it may know them");
        let up = timeout(Duration::from_secs(30), link.until(LinkStatus::Up));
        up.await.expect("the link goes up");
        let expected = if reports { 2 } else { 1 };
        assert_eq!(Arc::strong_count(&tracker), expected);
        assert_eq!(link.expect_report(&tracker) > 0, reports);
    }
}

#[test]
fn an_ask_has_an_answer_that_stands_for_its_outcome() {
    run(async {
        let node = Node::start().await;
        let theirs = config();
        let link = open_with(node.address(), theirs.clone());
        let (number, answer) = theirs.answers.expect();
        let ask = RequestKind::Ask(proto::Ask {
            id: Bytes::from_static(b"a"),
            data: Bytes::from_static(b"how are you?"),
            number,
            timeout: 1000,
        });
        assert_eq!(link.request(ask).await, code(OutcomeCode::Delivered));
        assert_eq!(answer.await.unwrap(), "how are you?");
    });
}

#[test]
fn a_request_that_a_node_does_not_know_is_invalid_and_the_stream_goes_on() {
    run(async {
        let node = Node::start().await;
        let config = config();
        let mut stream = RawStream::open(node.address(), &config, 1).await.unwrap();
        let unknown = proto::RequestBatch {
            requests: vec![proto::PeerRequest::default()],
            ..proto::RequestBatch::default()
        };
        stream.sender.send(unknown).await.unwrap();
        stream.send(emit("a", "x")).await;
        let mut codes = Vec::new();
        while codes.len() < 2 {
            let message = stream.incoming.message().await.unwrap().unwrap();
            codes.extend(message.outcomes.iter().flat_map(|run| run.codes.to_vec()));
        }
        let expected = [OutcomeCode::Invalid, OutcomeCode::Delivered];
        assert_eq!(codes, expected.map(|code| code as u8));
    });
}
