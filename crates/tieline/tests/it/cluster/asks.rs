//! Requests to the handler of the node that has a client, and to nodes.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use tieline::{AskError, Cluster, ClusterConfig, Config, Hub, Node, NodeReply};

use crate::kit::{
    GIVEN_UP_AFTER, LegacyNode, Probe, Stopwatch, TestNode, deliver, eventually, linked_backend,
    memory_registry, run, test_config,
};

/// Short, for requests that nobody answers.
const MOMENT: Duration = Duration::from_millis(100);

/// Asks about a connected client; again only if a busy machine left no time for it.
pub(super) async fn ask(
    cluster: &Cluster,
    id: &str,
    request: impl Into<Bytes>,
) -> Result<Bytes, AskError> {
    let request = request.into();
    loop {
        let watch = Stopwatch::start_threads();
        match cluster.ask(id, request.clone()).await {
            Err(AskError::Unreachable | AskError::QueueFull | AskError::TimedOut)
                if watch.has_lost(GIVEN_UP_AFTER) => {}
            answer => return answer,
        }
    }
}

#[test]
fn a_request_reaches_the_handler_of_the_clients_node_and_the_reply_comes_back() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let backend = linked_backend(registry, 2).await;
        let _ann = a.client("id=ann&quiet").await;
        for cluster in [&a.cluster, &b.cluster, &backend] {
            assert_eq!(ask(cluster, "ann", "id").await.unwrap(), "ann");
            // Now by the cached route.
            assert_eq!(ask(cluster, "ann", "hello").await.unwrap(), "hello");
            assert_eq!(ask(cluster, "ann", "").await.unwrap(), "");
        }
        assert_eq!(a.node.hub().ask("ann", "id").await.unwrap(), "ann");
        let elsewhere = b.node.hub().ask("ann", "id").await;
        assert_eq!(elsewhere, Err(AskError::Offline));
        assert_eq!(a.node.handler().asked.load(Ordering::Acquire), 10);
        assert_eq!(b.node.handler().asked.load(Ordering::Acquire), 0);
    });
}

#[test]
fn whoever_asks_learns_why_there_is_no_reply() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let single = TestNode::single(Config::default()).await;
        let _ann = a.client("id=ann&quiet").await;
        let _sole = single.client("id=ann&quiet").await;
        for cluster in [&a.cluster, &b.cluster, &single.cluster] {
            let why = async |request: &'static str| ask(cluster, "ann", request).await.unwrap_err();
            assert_eq!(why("refuse").await, AskError::Refused("not today".into()));
            assert_eq!(why("fail").await, AskError::Failed("no disk".into()));
            assert_eq!(why("none").await, AskError::Unsupported);
            let panicked = AskError::Failed("the handler panicked".into());
            assert_eq!(why("panic").await, panicked);
            let garbage = ask(cluster, "ann", &[0xff][..]).await.unwrap_err();
            assert!(matches!(garbage, AskError::Failed(_)), "{garbage:?}");
            let hangs = cluster.ask("ann", "hang").timeout(MOMENT).await;
            assert_eq!(hangs, Err(AskError::TimedOut));
            assert_eq!(cluster.ask("bob", "id").await, Err(AskError::Offline));
            assert_eq!(cluster.ask("", "id").await, Err(AskError::Offline));
            // It still answers.
            assert_eq!(ask(cluster, "ann", "id").await.unwrap(), "ann");
        }
    });
}

#[test]
fn what_is_too_large_for_the_link_fails_alone() {
    run(async {
        let registry = memory_registry();
        let config = ClusterConfig {
            link_queue_bytes: 2 << 20,
            ..test_config()
        };
        let a = TestNode::start(&registry).await;
        let b = TestNode::start_with(&registry, Config::default(), config).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let (_ann, _ben) = (
            a.client("id=ann&quiet").await,
            b.client("id=ben&quiet").await,
        );
        deliver(&b.cluster, "ann", "known").await;
        let large = vec![b'x'; 3 << 20];
        // Too large for the own queue, for that of the peer, and on the way back.
        assert_eq!(
            b.cluster.ask("ann", large.clone()).await,
            Err(AskError::TooLarge)
        );
        assert_eq!(ask(&a.cluster, "ben", large).await, Err(AskError::TooLarge));
        let reply = format!("bytes:{}", 3 << 20);
        assert_eq!(ask(&b.cluster, "ann", reply).await, Err(AskError::TooLarge));
        // Several that fit no message together.
        let fits = || ask(&b.cluster, "ann", format!("bytes:{}", 2_000_000));
        let replies = tokio::join!(fits(), fits(), fits(), ask(&b.cluster, "ann", "id"));
        for reply in [replies.0, replies.1, replies.2] {
            assert_eq!(reply.unwrap().len(), 2_000_000);
        }
        assert_eq!(replies.3.unwrap(), "ann");
        assert!(b.cluster.peers()[0].up);
    });
}

#[test]
fn as_many_requests_run_at_once_as_the_limit_allows() {
    run(async {
        let registry = memory_registry();
        let config = Config {
            max_requests: 2,
            ..Config::default()
        };
        let a = TestNode::start_with(&registry, config, test_config()).await;
        let b = TestNode::start(&registry).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        let _ann = a.client("id=ann&quiet").await;
        deliver(&b.cluster, "ann", "known").await;
        let probe = a.node.handler();
        let waiting = ["ann", "ann"].map(|id| {
            let cluster = b.cluster.clone();
            tokio::spawn(async move { ask(&cluster, id, "wait").await })
        });
        eventually(|| probe.asked.load(Ordering::Acquire) == 2).await;
        assert_eq!(ask(&b.cluster, "ann", "id").await, Err(AskError::Busy));
        assert_eq!(ask(&a.cluster, "ann", "id").await, Err(AskError::Busy));
        assert_eq!(a.node.hub().ask("ann", "id").await, Err(AskError::Busy));
        let node = b.cluster.ask_node(&a.peer_address(), "up").await;
        assert_eq!(node, Err(AskError::Busy));
        probe.gate.add_permits(2);
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap(), "wait");
        }
        assert_eq!(ask(&b.cluster, "ann", "id").await.unwrap(), "ann");
    });
}

#[test]
fn what_a_callback_sends_is_behind_what_was_sent_before_the_ask() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let mut ann = a.client("id=ann&quiet").await;
        // The first of them waits for the route to be looked up, and the rest behind it.
        for round in 0..20 {
            let before = b.cluster.emit("ann", format!("{round} before"));
            let reply = b.cluster.ask("ann", format!("emit:{round} asked")).await;
            if !before.await.is_delivered() || reply.is_err() {
                continue;
            }
            while ann.text().await != format!("{round} before") {}
            assert_eq!(ann.text().await, format!("{round} asked"));
        }
    });
}

#[test]
fn nodes_answer_operators() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let backend = linked_backend(registry, 2).await;
        let (first, second) = (a.peer_address(), b.peer_address());
        for cluster in [&a.cluster, &b.cluster, &backend] {
            assert_eq!(cluster.ask_node(&first, "up?").await.unwrap(), "up?");
            let replies = cluster.ask_all("up?").await;
            let nodes: Vec<_> = replies.iter().map(|r| r.node.as_deref().unwrap()).collect();
            let mut expected = [&*first, &*second];
            expected.sort_unstable();
            assert_eq!(nodes, expected);
            let is_up = |reply: &NodeReply| reply.reply.as_deref() == Ok(b"up?");
            assert!(replies.iter().all(is_up), "{replies:?}");
        }
        let nobody = a.cluster.ask_node("127.0.0.1:1", "up?").await;
        assert_eq!(nobody, Err(AskError::Offline));
        let panicked = a.cluster.ask_node(&second, "panic").await;
        assert_eq!(
            panicked,
            Err(AskError::Failed("the handler panicked".into()))
        );
        let hangs = a.cluster.ask_all("hang").timeout(MOMENT).await;
        let timed_out = |reply: &NodeReply| reply.reply == Err(AskError::TimedOut);
        assert!(hangs.iter().all(timed_out), "{hangs:?}");
        let single = Cluster::single_node(Hub::new(Config::default()).unwrap());
        let replies = single.ask_all("up?").await;
        assert_eq!(replies[0].node, None);
        // Nobody serves its hub.
        assert_eq!(replies[0].reply, Err(AskError::Unsupported));
    });
}

#[test]
fn a_node_of_go_websocket_answers_no_requests() {
    run(async {
        let registry = memory_registry();
        let ours = TestNode::start(&registry).await;
        let go = LegacyNode::start(&registry).await;
        go.connect("gil").await;
        deliver(&ours.cluster, "gil", "known").await;
        assert_eq!(
            ask(&ours.cluster, "gil", "id").await,
            Err(AskError::Unsupported)
        );
        let node = ours.cluster.ask_node(&go.address(), "up?").await;
        assert_eq!(node, Err(AskError::Unsupported));
        deliver(&ours.cluster, "gil", "still there").await;
    });
}

#[test]
fn nodes_that_share_a_hub_answer_for_their_own_connections() {
    run(async {
        let node = TestNode::single(Config::default()).await;
        let hub = node.node.hub().clone();
        let other = Probe::new();
        // Made later: it has none of the connections.
        let _other = Node::new(hub.clone(), other.clone());
        let _ann = node.client("id=ann&quiet").await;
        assert_eq!(hub.ask("ann", "id").await.unwrap(), "ann");
        assert_eq!(other.asked.load(Ordering::Acquire), 0);
        assert_eq!(
            node.cluster.ask_all("up?").await[0].reply.as_deref(),
            Ok(&b"up?"[..])
        );
        assert_eq!(other.asked.load(Ordering::Acquire), 0);
    });
}
