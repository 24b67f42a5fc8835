//! Every operation of a cluster, from the node that has a client, from another one, and from a backend.

use tieline::{Cluster, Counted, Delivery, Listed, Membership, OnlineStatus, Summary};

use super::{Crowd, PLACES, marked};
use crate::kit::{
    TestNode, close_frame, deliver, dialects::dialects, eventually, memory_registry, run,
    test_config,
};

const TO_ADA: [&str; 8] = [
    "emit", "tracked", "many", "user", "group", "all", "matching", "asked",
];
const TO_BOB: [&str; 9] = [
    "emit",
    "many",
    "user",
    "group",
    "all",
    "except user",
    "except group",
    "except all",
    "matching",
];
const TO_CAS: [&str; 2] = ["all", "except all"];

/// Does it again as long as a busy machine left no time for it.
async fn insist<T>(attempt: impl AsyncFn() -> T, is_done: impl Fn(&T) -> bool) -> T {
    loop {
        let outcome = attempt().await;
        if is_done(&outcome) {
            return outcome;
        }
    }
}

async fn reach(send: impl AsyncFn() -> Summary, expected: u64) {
    let summary = insist(send, Summary::is_complete).await;
    assert_eq!(summary.reached.delivered, expected, "{summary:?}");
}

async fn send_all(cluster: &Cluster, mark: &str) {
    let text = |what: &str| format!("{what} {mark}");
    for id in ["ada", "bob"] {
        deliver(cluster, id, &text("emit")).await;
    }
    let tracked = async || cluster.emit_tracked("ada", text("tracked")).written().await;
    insist(tracked, |outcome| outcome.is_written()).await;
    let many = async || {
        let ids = ["ada", "bob", "nobody"];
        cluster.emit_many(ids, text("many")).await
    };
    let many = insist(many, |many| many.delivered == 2).await;
    assert_eq!(many.missed, [("nobody".into(), Delivery::Offline)]);
    reach(async || cluster.emit_user("u", text("user")).await, 2).await;
    reach(async || cluster.emit_group("g", text("group")).await, 2).await;
    reach(async || cluster.broadcast(text("all")).await, 3).await;
    let others = cluster.except(["ada"]);
    let user = async || others.emit_user("u", text("except user")).await;
    reach(user, 1).await;
    let group = async || others.emit_group("g", text("except group")).await;
    reach(group, 1).await;
    reach(async || others.broadcast(text("except all")).await, 2).await;
    let matching = cluster.matching("user u");
    // A backend cannot read the filter, and says so.
    let filtered = async || matching.broadcast(text("matching")).await;
    insist(filtered, |summary| summary.reached.delivered == 2).await;
    let asked = text("emit:asked");
    let ask = async || cluster.ask("ada", asked.clone()).await;
    assert!(insist(ask, Result::is_ok).await.is_ok());
}

fn names(listed: &Listed) -> String {
    let names: Vec<_> = listed.names.iter().map(|(name, _)| &**name).collect();
    names.join(",")
}

async fn list(page: impl AsyncFn() -> Listed) -> String {
    names(&insist(page, |listed| listed.missed.is_empty()).await)
}

async fn find_all(cluster: &Cluster, place: &str) {
    let own = if place.is_empty() { "default" } else { place };
    let status = async || cluster.online(["ada", "cas", "nobody"]).await;
    let known = |statuses: &Vec<_>| !statuses.contains(&OnlineStatus::Unknown);
    let (online, offline) = (OnlineStatus::Online, OnlineStatus::Offline);
    assert_eq!(insist(status, known).await, [online, online, offline]);
    let members = list(async || cluster.members("g", None, 9).await).await;
    assert_eq!(members, "ada,bob");
    let page = list(async || cluster.clients(Some("ada"), 9).await).await;
    assert_eq!(page, "bob,cas");
    // `u` is on both nodes.
    let users = list(async || cluster.users(None, 9).await).await;
    assert_eq!(users, "u,u,v");
    let mut groups = [own, "g", "g"];
    groups.sort_unstable();
    let listed = list(async || cluster.groups(None, 9).await).await;
    assert_eq!(listed, groups.join(","));
    let counts = async || cluster.counts().await;
    let counts = insist(counts, Counted::is_complete).await.total;
    assert_eq!((counts.connections, counts.users, counts.groups), (3, 3, 3));
    let len = async || cluster.group_len("g").await;
    assert_eq!(insist(len, Counted::is_complete).await.total, 2);
    let len = async || cluster.user_len("u").await;
    assert_eq!(insist(len, Counted::is_complete).await.total, 2);
    let ask = async || cluster.ask("cas", "where").await;
    assert_eq!(insist(ask, Result::is_ok).await.unwrap(), place);
    for other in PLACES.iter().filter(|other| **other != place) {
        let other = if other.is_empty() { "default" } else { other };
        assert_eq!(cluster.group_len(other).await.total, 0);
        assert_eq!(names(&cluster.members(other, None, 9).await), "");
    }
}

/// Adds clients of both nodes to a group, and removes them.
async fn change_groups(cluster: &Cluster, elsewhere: &[Cluster]) {
    let decided =
        |membership: &Membership| matches!(membership, Membership::Changed | Membership::Unchanged);
    for id in ["ada", "cas"] {
        insist(async || cluster.join_group(id, "hall").await, decided).await;
    }
    let hall = async || cluster.members("hall", None, 9).await;
    assert_eq!(list(hall).await, "ada,cas");
    for elsewhere in elsewhere {
        assert_eq!(names(&elsewhere.members("hall", None, 9).await), "");
        let left = elsewhere.leave_group("ada", "hall").await;
        assert_ne!(left, Membership::Changed);
    }
    assert_eq!(list(hall).await, "ada,cas");
    for id in ["ada", "cas"] {
        insist(async || cluster.leave_group(id, "hall").await, decided).await;
    }
    assert_eq!(list(hall).await, "");
}

fn in_each(cluster: &Cluster) -> Vec<Cluster> {
    let namespaces = PLACES.iter().map(|place| cluster.namespace(place));
    namespaces.map(Result::unwrap).collect()
}

#[test]
fn no_operation_of_a_cluster_leaves_its_namespace() {
    run(async {
        let registry = memory_registry();
        let node = async || {
            let config = tieline::Config::default();
            TestNode::in_dialects(&registry, config, test_config(), dialects().0).await
        };
        let (a, b) = (node().await, node().await);
        let backend = Cluster::connect(registry.clone(), test_config())
            .await
            .unwrap();
        for (cluster, peers) in [(&a.cluster, 1), (&b.cluster, 1), (&backend, 2)] {
            let up = || cluster.peers().iter().filter(|peer| peer.up).count();
            eventually(|| up() == peers).await;
        }
        let mut crowds = Vec::new();
        for place in PLACES {
            crowds.push(Crowd::connect(place, a.address, b.address).await);
        }
        for node in [&a, &b] {
            while !node.cluster.synced().await {}
        }
        let froms = [&a.cluster, &b.cluster, &backend];
        for (from, cluster) in froms.iter().enumerate() {
            let namespaces = in_each(cluster);
            for (place, cluster) in PLACES.iter().zip(&namespaces) {
                send_all(cluster, &format!("{place}{from}")).await;
                find_all(cluster, place).await;
            }
            for (n, cluster) in namespaces.iter().enumerate() {
                let mut others = namespaces.clone();
                others.remove(n);
                change_groups(cluster, &others).await;
            }
        }
        for cluster in in_each(&backend) {
            for id in ["ada", "bob", "cas"] {
                deliver(&cluster, id, "end").await;
            }
        }
        for (place, crowd) in PLACES.iter().zip(&mut crowds) {
            let got = crowd.texts().await;
            let all = |texts: &[&str]| -> Vec<String> {
                let from = |from| marked(texts, &format!("{place}{from}"));
                (0..3).flat_map(from).collect()
            };
            assert_eq!(got, [all(&TO_ADA), all(&TO_BOB), all(&TO_CAS)]);
        }
        for crowd in crowds.drain(..1) {
            close_one(&a.cluster, crowd).await;
        }
    });
}

/// Closes `cas` of the default namespace, from the other node.
async fn close_one(cluster: &Cluster, crowd: Crowd) {
    let close = async || cluster.close("cas", close_frame(4000)).await;
    insist(close, |closed| {
        matches!(closed, Delivery::Delivered | Delivery::Offline)
    })
    .await;
    assert_eq!(crowd.cas.closed().await, Some(4000));
    for namespace in ["chat", "game"] {
        let namespace = cluster.namespace(namespace).unwrap();
        let online = async || namespace.online(["cas"]).await;
        insist(online, |online| online == &[OnlineStatus::Online]).await;
    }
}

#[test]
fn a_single_node_has_namespaces_too() {
    run(async {
        let node = TestNode::single(tieline::Config::default()).await;
        let _ada = node.client("ns=chat&id=ada&groups=g&quiet").await;
        let chat = node.cluster.namespace("chat").unwrap();
        assert_eq!(chat.hub().len(), 1);
        assert_eq!(chat.emit("ada", "x").await, Delivery::Delivered);
        assert_eq!(chat.broadcast("x").await.reached.delivered, 1);
        assert_eq!(chat.counts().await.total.connections, 1);
        assert_eq!(names(&chat.members("g", None, 9).await), "ada");
        assert_eq!(chat.join_group("ada", "h").await, Membership::Changed);
        assert_eq!(chat.ask("ada", "where").await.unwrap(), "chat");
        assert_eq!(node.cluster.emit("ada", "x").await, Delivery::Offline);
        assert_eq!(node.cluster.broadcast("x").await.reached.delivered, 0);
        assert_eq!(node.cluster.hub().len(), 0);
        assert_eq!(node.cluster.stats().peers, []);
    });
}
