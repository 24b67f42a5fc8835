//! Epochs of streams, strangers, and versions.

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code as Grpc;

use super::{
    scripted::{RawStream, hello},
    support::{Node, Script, code, config, emit, eventually, open, run},
};
use crate::link::{
    LinkStatus, ProbeError, greeting, probe,
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
fn a_first_message_alone_ends_no_stream() {
    run(async {
        let node = Node::start().await;
        let ours = config();
        let mut confirmed = RawStream::open(node.address(), &ours, 1).await.unwrap();
        // A newer stream whose caller does not confirm.
        let first = hello(&ours, 2);
        let mut silent = RawStream::open_with(node.address(), first).await.unwrap();
        silent.incoming.message().await.unwrap().unwrap();
        silent.send(emit("a", "no")).await;
        let ended = silent.outcomes().await.unwrap_err();
        assert_eq!(ended.code(), Grpc::InvalidArgument, "{ended}");
        confirmed.send(emit("a", "yes")).await;
        confirmed.outcomes().await.unwrap();
        assert_eq!(node.script.emits(), ["yes"]);
    });
}

#[test]
fn an_older_version_is_refused_with_a_reason_that_it_understands() {
    run(async {
        let node = Node::start().await;
        // As version 2 sent it: without a cluster.
        let mut old = hello(&config(), 1);
        let fields = old.hello.as_mut().unwrap();
        (fields.version, fields.min_version) = (2, 1);
        (fields.cluster, fields.nonce) = (String::new(), Bytes::new());
        let status = RawStream::open_with(node.address(), old).await.err();
        let status = status.unwrap();
        // What a node of version 2 logs is the message of this status.
        assert_eq!(status.code(), Grpc::FailedPrecondition);
        assert_eq!(
            status.message(),
            "the peer supports versions 1 to 2 of the link protocol, this node 3 to 5: run versions of \
             Tieline that have one in common"
        );
        assert_eq!(greeting::refusal(&status), proto::Refusal::Version);
    });
}

#[test]
fn an_unsupported_version_is_refused_with_both_ranges() {
    run(async {
        let mut theirs = config();
        theirs.versions = 6..=7;
        let node = Node::with(theirs, Script::default()).await;
        let link = open(node.address());
        link.until(LinkStatus::Down).await;
        let refused = probe(&node.address().to_string(), &config())
            .await
            .unwrap_err();
        let ProbeError::Refused { why, .. } = refused else {
            panic!("{refused:?}")
        };
        assert!(
            why.contains("versions 3 to 5") && why.contains("6 to 7"),
            "{why}"
        );
        let status = RawStream::open(node.address(), &config(), 1).await.err();
        assert_eq!(status.unwrap().code(), Grpc::FailedPrecondition);
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
