//! Requests about namespaces, and peers that know none.

use tokio::sync::oneshot;

use super::support::{
    Node, OutcomeSender, Script, TestLink, config, emit, everyone, open, query, run,
};
use crate::link::{
    LinkStatus, NamespacedRef, NotSent, Outcome, RequestKind,
    proto::{OutcomeCode, QueryKind},
};

const DELIVERED: OutcomeCode = OutcomeCode::Delivered;
const NONE_THERE: Outcome = Outcome::NotSent(NotSent::NoNamespaces);

/// Sends a request about a namespace, and returns its future outcome.
fn send_in(link: &TestLink, namespace: &str, request: &RequestKind) -> oneshot::Receiver<Outcome> {
    let (completion, outcome): (OutcomeSender, _) = oneshot::channel();
    let request = NamespacedRef { namespace, request };
    link.link.send(&request, completion);
    outcome
}

/// A node of a version before namespaces.
async fn older() -> Node {
    let mut older = config();
    older.versions = 3..=4;
    Node::with(older, Script::default()).await
}

#[test]
fn an_older_peer_is_sent_nothing_about_a_namespace() {
    run(async {
        let node = older().await;
        let link = open(node.address());
        // Before its version is known: what waits meanwhile is told apart.
        let early = [
            send_in(&link, "chat", &emit("a", "no")),
            send_in(&link, "", &emit("a", "first")),
            send_in(&link, "chat", &query(QueryKind::Clients, &[])),
            send_in(&link, "", &emit("a", "second")),
        ];
        link.until(LinkStatus::Up).await;
        let [first, second] = [DELIVERED, DELIVERED].map(Outcome::Code);
        let mut outcomes = Vec::new();
        for outcome in early {
            outcomes.push(outcome.await.unwrap());
        }
        assert_eq!(outcomes, [NONE_THERE, first, NONE_THERE, second]);
        // And after.
        for request in [emit("a", "no"), everyone()] {
            let outcome = send_in(&link, "chat", &request).await.unwrap();
            assert_eq!(outcome, NONE_THERE);
        }
        let last = send_in(&link, "", &emit("a", "last")).await.unwrap();
        assert_eq!(last, Outcome::Code(DELIVERED));
        assert_eq!(node.script.emits(), ["first", "second", "last"]);
        assert_eq!(node.script.requests.lock().len(), 3);
    });
}

#[test]
fn a_peer_gets_the_namespace_with_each_request() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        for namespace in ["chat", "", "game"] {
            let sent = send_in(&link, namespace, &emit("a", namespace.to_owned()));
            assert_eq!(sent.await.unwrap(), Outcome::Code(DELIVERED));
        }
        let namespaces = node.script.namespaces.lock().clone();
        assert_eq!(namespaces, ["chat", "", "game"]);
    });
}
