//! Epochs of streams, strangers, and versions.

use std::time::Duration;

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code as Grpc;

use super::{
    scripted::{RawStream, hello},
    support::{Node, Script, code, config, emit, eventually, open, open_with, run},
};
use crate::link::{
    LinkStatus, ProbeError, probe,
    proto::{self, OutcomeCode},
};

#[test]
fn a_newer_stream_ends_the_older_one_and_no_later_request_of_it_is_handled() {
    run(async {
        let node = Node::start().await;
        let ours = config();
        let mut older = RawStream::open(node.address(), &ours, 1).await.unwrap();
        older.send(emit("a", "1")).await;
        older.outcomes().await.unwrap();
        let mut newer = RawStream::open(node.address(), &ours, 2).await.unwrap();
        older.send(emit("a", "2")).await;
        assert_eq!(older.outcomes().await.unwrap_err().code(), Grpc::Aborted);
        newer.send(emit("a", "3")).await;
        newer.outcomes().await.unwrap();
        assert_eq!(node.script.emits(), ["1", "3"]);
        let stale = RawStream::open(node.address(), &ours, 1)
            .await
            .err()
            .unwrap();
        assert_eq!(stale.code(), Grpc::Aborted);
        assert_eq!(node.server.streams(), 1);
        drop((older, newer));
        eventually(|| node.server.streams() == 0).await;
    });
}

#[test]
fn streams_of_different_processes_are_independent() {
    run(async {
        let node = Node::start().await;
        let mut first = RawStream::open(node.address(), &config(), 2).await.unwrap();
        let mut second = RawStream::open(node.address(), &config(), 1).await.unwrap();
        for stream in [&mut first, &mut second] {
            stream.send(emit("a", "x")).await;
            stream.outcomes().await.unwrap();
        }
    });
}

#[test]
fn outcomes_are_run_length_and_an_unreadable_request_is_invalid() {
    run(async {
        let node = Node::start().await;
        let mut stream = RawStream::open(node.address(), &config(), 1).await.unwrap();
        let requests = [Some(emit("a", "x")), None, Some(emit("gone", "x"))];
        let message = proto::RequestBatch {
            requests: requests.map(|kind| proto::PeerRequest { kind }).into(),
            ..proto::RequestBatch::default()
        };
        stream.sender.send(message).await.unwrap();
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
        assert_eq!(stream.outcomes().await.unwrap().outcomes, [run]);
    });
}

#[test]
fn a_first_message_other_than_a_hello_is_refused() {
    run(async {
        let node = Node::start().await;
        let refused = RawStream::open_with(node.address(), proto::RequestBatch::default())
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Grpc::InvalidArgument);
        let mut invalid = hello(&config(), 1);
        invalid.hello.as_mut().unwrap().process = Bytes::from_static(b"short");
        let refused = RawStream::open_with(node.address(), invalid)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Grpc::InvalidArgument);
    });
}

#[test]
fn a_peer_with_the_previous_version_is_supported() {
    run(async {
        for (their_versions, our_versions) in [(1..=1, 1..=2), (1..=2, 1..=1)] {
            let mut theirs = config();
            theirs.versions = their_versions;
            let node = Node::with(theirs, Script::default()).await;
            node.script.interest.gained(7);
            let mut ours = config();
            ours.versions = our_versions;
            let link = open_with(node.address(), ours);
            assert_eq!(
                link.request(emit("a", "x")).await,
                code(OutcomeCode::Delivered)
            );
            eventually(|| !link.may_have(8)).await;
            assert!(link.may_have(7));
            assert_eq!(node.script.opened.lock()[0].version, 1);
            assert!(
                node.script.interest.synced(Duration::from_secs(1)).await,
                "a peer of version 1 is not waited for"
            );
        }
    });
}

#[test]
fn an_unsupported_version_is_refused_with_both_ranges() {
    run(async {
        let mut theirs = config();
        theirs.versions = 4..=5;
        let node = Node::with(theirs, Script::default()).await;
        let link = open(node.address());
        link.until(LinkStatus::Down).await;
        let refused = probe(&node.address().to_string(), &config())
            .await
            .unwrap_err();
        let ProbeError::Refused { why, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(why, "the peer supports versions 1 to 2, this node 4 to 5");
        let status = RawStream::open(node.address(), &config(), 1)
            .await
            .err()
            .unwrap();
        assert_eq!(status.code(), Grpc::FailedPrecondition);
    });
}

#[test]
fn garbage_and_oversized_messages_do_not_affect_other_streams() {
    run(async {
        let mut small = config();
        small.queue_bytes = 64 << 10;
        let node = Node::with(small, Script::default()).await;
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        let mut garbage = TcpStream::connect(node.address()).await.unwrap();
        garbage.write_all(&[0xff; 4096]).await.unwrap();
        let mut oversized = RawStream::open(node.address(), &config(), 1).await.unwrap();
        oversized.send(emit("a", vec![b'x'; 128 << 10])).await;
        assert_eq!(
            oversized.outcomes().await.unwrap_err().code(),
            Grpc::OutOfRange
        );
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert_eq!(node.script.emits(), ["x"]);
    });
}
