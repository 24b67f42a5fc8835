//! Which two sides belong together.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::task::TaskTracker;
use tonic::Code as Grpc;
use uuid::Uuid;

use super::{
    scripted::{RawStream, ScriptedPeer, hello},
    support::{Node, OutcomeSender, Script, code, config, emit, eventually, open_with, run},
};
use crate::link::{
    Link, LinkConfig, LinkStatus, PeerSecurity, greeting,
    proto::{self, Confirmation, Hello, OutcomeCode, Refusal},
};

fn with_secret(secret: &str) -> LinkConfig {
    let security = PeerSecurity {
        secret: Some(secret.into()),
        ..PeerSecurity::default()
    };
    LinkConfig::new(Uuid::now_v7(), "ws", &security).unwrap()
}

/// A node that advertises an address.
async fn node_at(address: &str) -> Node {
    let mut theirs = config();
    theirs.address = Some(address.into());
    Node::with(theirs, Script::default()).await
}

/// A link that expects a process.
fn expecting(
    node: &Node,
    ours: LinkConfig,
    process: Uuid,
) -> (Link<OutcomeSender>, Arc<LinkConfig>) {
    let ours = Arc::new(ours);
    let address = node.address().to_string().into();
    let link = Link::start(
        address,
        Some(process),
        Arc::clone(&ours),
        &TaskTracker::new(),
    );
    (link, ours)
}

async fn until(link: &Link<OutcomeSender>, status: LinkStatus) {
    link.watch().wait_for(|now| *now == status).await.unwrap();
}

#[test]
fn another_cluster_is_refused_by_both_sides() {
    run(async {
        let node = Node::start().await;
        let mut theirs = config();
        theirs.cluster = "ws-staging".into();
        let link = open_with(node.address(), theirs.clone());
        link.until(LinkStatus::Down).await;
        let first = hello(&theirs, 1);
        let refused = RawStream::open_with(node.address(), first).await.err();
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Grpc::FailedPrecondition);
        assert_eq!(greeting::refusal(&refused), Refusal::Cluster);
        let why = refused.message();
        assert!(
            why.contains("\"ws\"") && why.contains("\"ws-staging\""),
            "{why}"
        );
        // A node that does not look at the cluster itself.
        let peer = ScriptedPeer::with_hello(theirs.hello(1), Vec::new()).await;
        open_with(peer.address, config())
            .until(LinkStatus::Down)
            .await;
        assert!(node.script.opened.lock().is_empty());
    });
}

#[test]
fn a_strangers_name_does_not_fill_the_log() {
    let stranger = Hello {
        cluster: "ü".repeat(1 << 20),
        ..config().hello(1)
    };
    let ours = config();
    let inbound = greeting::answer(&ours, &stranger).unwrap_err();
    let outbound = greeting::check_answer(&ours, "a:1", &ours.hello(1), &stranger).unwrap_err();
    for refused in [inbound, outbound] {
        assert_eq!(refused.refusal(), Refusal::Cluster);
        let why = refused.to_string();
        assert!(why.len() < 1024, "{} bytes", why.len());
    }
}

#[test]
fn only_the_expected_process_is_linked_to() {
    run(async {
        let node = Node::start().await;
        let (link, ours) = expecting(&node, config(), Uuid::now_v7());
        // The list of nodes has to be read again.
        ours.list_is_stale.notified().await;
        assert!(!link.is_up() && node.script.opened.lock().is_empty());
        link.expect(node.process);
        until(&link, LinkStatus::Up).await;
        eventually(|| !node.script.opened.lock().is_empty()).await;
        assert!(node.script.opened.lock()[0].knows_this_process);
    });
}

#[test]
fn a_link_that_reached_another_process_than_is_expected_since_is_ended() {
    run(async {
        let node = Node::start().await;
        let link = open_with(node.address(), config());
        link.until(LinkStatus::Up).await;
        link.expect(Uuid::now_v7());
        link.until(LinkStatus::Down).await;
        link.expect(node.process);
        link.until(LinkStatus::Up).await;
    });
}

#[test]
fn a_process_that_reaches_itself_knows_it() {
    run(async {
        let mut both = config();
        both.address = Some("node.test:9300".into());
        let node = Node::with(both.clone(), Script::default()).await;
        let link = open_with(node.address(), both);
        eventually(|| link.is_alias()).await;
        assert!(!link.is_up() && node.script.opened.lock().is_empty());
    });
}

#[test]
fn another_spelling_of_an_address_is_no_peer_of_its_own() {
    run(async {
        let node = node_at("node.test:9300").await;
        // Without an expectation, and with that of the process that had the other spelling before.
        let unaware = open_with(node.address(), config());
        let (outdated, _) = expecting(&node, config(), Uuid::now_v7());
        eventually(|| unaware.is_alias() && outdated.is_alias()).await;
        assert!(node.script.opened.lock().is_empty());
        let node = Node::start().await;
        let link = open_with(node.address(), config());
        link.until(LinkStatus::Up).await;
        assert!(!link.is_alias());
    });
}

#[test]
fn the_secret_is_proven_by_both_sides_and_never_sent() {
    run(async {
        let node = Node::with(with_secret("open-sesame"), Script::default()).await;
        let right = with_secret("open-sesame");
        let ours = hello(&right, 1);
        let mut stream = RawStream::open_with(node.address(), ours.clone())
            .await
            .unwrap();
        let theirs = stream.incoming.message().await.unwrap().unwrap();
        let theirs = theirs.hello.unwrap();
        for sent in [ours.hello.as_ref().unwrap(), &theirs] {
            assert!(!format!("{sent:?}").contains("sesame"));
        }
        // Neither the node's proof nor one from another greeting is this side's.
        let (_, other) =
            greeting::check_answer(&right, "", ours.hello.as_ref().unwrap(), &theirs).unwrap();
        for wrong in [theirs.proof.clone(), Bytes::new(), other.proof] {
            let mut stream = RawStream::open_with(node.address(), hello(&right, 1))
                .await
                .unwrap();
            stream.incoming.message().await.unwrap().unwrap();
            let confirmation = proto::RequestBatch {
                confirmation: Some(Confirmation {
                    proof: wrong,
                    ..Confirmation::default()
                }),
                ..proto::RequestBatch::default()
            };
            stream.sender.send(confirmation).await.unwrap();
            let refused = stream.outcomes().await.unwrap_err();
            assert_eq!(refused.code(), Grpc::Unauthenticated, "{refused}");
        }
        assert!(node.script.opened.lock().is_empty());
        let link = open_with(node.address(), right);
        let outcome = link.request(emit("a", "x")).await;
        assert_eq!(outcome, code(OutcomeCode::Delivered));
    });
}

#[test]
fn a_node_that_cannot_prove_the_secret_is_not_linked_to() {
    run(async {
        for theirs in [config(), with_secret("another")] {
            let node = Node::with(theirs, Script::default()).await;
            let link = open_with(node.address(), with_secret("open-sesame"));
            link.until(LinkStatus::Down).await;
            assert!(node.script.opened.lock().is_empty());
        }
    });
}
