//! Streams of one process, strangers, and versions.

use std::time::Duration;

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code as Grpc;

use super::{
    scripted::{Raw, hello},
    support::{Node, Script, code, config, emit, eventually, open, open_with, run},
};
use crate::link::{
    LinkStatus, ProbeError, probe,
    proto::{self, OutcomeCode},
};

#[test]
fn a_newer_stream_ends_the_older_and_nothing_of_the_older_is_handled() {
    run(async {
        let node = Node::start().await;
        let ours = config();
        let mut older = Raw::greet(node.address(), &ours, 1).await.unwrap();
        older.post(emit("a", "1")).await;
        older.outcomes().await.unwrap();
        let mut newer = Raw::greet(node.address(), &ours, 2).await.unwrap();
        older.post(emit("a", "2")).await;
        assert_eq!(older.outcomes().await.unwrap_err().code(), Grpc::Aborted);
        newer.post(emit("a", "3")).await;
        newer.outcomes().await.unwrap();
        assert_eq!(node.script.emits(), ["1", "3"]);
        let stale = Raw::greet(node.address(), &ours, 1).await.err().unwrap();
        assert_eq!(stale.code(), Grpc::Aborted);
        assert_eq!(node.port.streams(), 1);
        drop((older, newer));
        eventually(|| node.port.streams() == 0).await;
    });
}

#[test]
fn streams_of_different_processes_do_not_meet() {
    run(async {
        let node = Node::start().await;
        let mut first = Raw::greet(node.address(), &config(), 2).await.unwrap();
        let mut second = Raw::greet(node.address(), &config(), 1).await.unwrap();
        for raw in [&mut first, &mut second] {
            raw.post(emit("a", "x")).await;
            raw.outcomes().await.unwrap();
        }
    });
}

#[test]
fn outcomes_are_run_length_and_what_cannot_be_read_is_invalid() {
    run(async {
        let node = Node::start().await;
        let mut raw = Raw::greet(node.address(), &config(), 1).await.unwrap();
        let requests = [Some(emit("a", "x")), None, Some(emit("gone", "x"))];
        let message = proto::RequestBatch {
            requests: requests.map(|kind| proto::PeerRequest { kind }).into(),
            ..proto::RequestBatch::default()
        };
        raw.sender.send(message).await.unwrap();
        let codes = [
            OutcomeCode::Delivered,
            OutcomeCode::Invalid,
            OutcomeCode::NotHere,
        ]
        .map(|code| code as u8);
        let run = proto::Outcomes {
            first: 0,
            codes: Bytes::copy_from_slice(&codes),
        };
        assert_eq!(raw.outcomes().await.unwrap().outcomes, [run]);
    });
}

#[test]
fn a_first_message_that_is_no_hello_is_refused() {
    run(async {
        let node = Node::start().await;
        let refused = Raw::open(node.address(), proto::RequestBatch::default())
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Grpc::InvalidArgument);
        let mut nobody = hello(&config(), 1);
        nobody.hello.as_mut().unwrap().process = Bytes::from_static(b"short");
        let refused = Raw::open(node.address(), nobody).await.err().unwrap();
        assert_eq!(refused.code(), Grpc::InvalidArgument);
    });
}

#[test]
fn a_peer_of_the_version_before_is_served() {
    run(async {
        for (theirs, ours) in [(1..=1, 1..=2), (1..=2, 1..=1)] {
            let mut speaks = config();
            speaks.speaks = theirs;
            let node = Node::with(speaks, Script::default()).await;
            node.script.interest.gained(7);
            let mut speaks = config();
            speaks.speaks = ours;
            let link = open_with(node.address(), speaks);
            assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
            eventually(|| !link.may_have(8)).await;
            assert!(link.may_have(7));
            assert_eq!(node.script.greeted.lock()[0].version, 1);
            assert!(
                node.script.interest.settled(Duration::from_secs(1)).await,
                "it is not waited for"
            );
        }
    });
}

#[test]
fn a_foreign_version_is_refused_with_both_ranges() {
    run(async {
        let mut theirs = config();
        theirs.speaks = 4..=5;
        let node = Node::with(theirs, Script::default()).await;
        let link = open(node.address());
        link.until(LinkStatus::Down).await;
        let refused = probe(&node.address().to_string(), &config())
            .await
            .unwrap_err();
        let ProbeError::Refused { why, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(why, "the peer speaks versions 1 to 2, this node 4 to 5");
        let status = Raw::greet(node.address(), &config(), 1)
            .await
            .err()
            .unwrap();
        assert_eq!(status.code(), Grpc::FailedPrecondition);
    });
}

#[test]
fn garbage_and_oversized_messages_leave_the_port_unharmed() {
    run(async {
        let mut small = config();
        small.queue_bytes = 64 << 10;
        let node = Node::with(small, Script::default()).await;
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        let mut garbage = TcpStream::connect(node.address()).await.unwrap();
        garbage.write_all(&[0xff; 4096]).await.unwrap();
        let mut oversized = Raw::greet(node.address(), &config(), 1).await.unwrap();
        oversized.post(emit("a", vec![b'x'; 128 << 10])).await;
        assert_eq!(
            oversized.outcomes().await.unwrap_err().code(),
            Grpc::OutOfRange
        );
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert_eq!(node.script.emits(), ["x"]);
    });
}
