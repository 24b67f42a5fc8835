//! Names that begin with a NUL, and so look like keys: they reach nobody, from whichever namespace they are given.

#[cfg(feature = "cluster")]
use tieline::{AskError, Cluster, Membership, OnlineStatus};
use tieline::{Config, Delivery, Hub, JoinError, NameError, Reached, WriteOutcome};

use super::PLACES;
use crate::kit::{Client, Server, run};
#[cfg(feature = "cluster")]
use crate::kit::{TestNode, close_frame, deliver, memory_registry};

/// What the names of `ada` in `chat` look like inside, and others.
const IDS: [&str; 5] = ["\0chat\0ada", "\0\0ada", "\0ada", "\0chat\0", "\0"];
const USERS: [&str; 2] = ["\0chat\0u", "\0u"];
const GROUPS: [&str; 2] = ["\0chat\0g", "\0g"];

async fn connect_all(address: std::net::SocketAddr) -> Vec<Client> {
    let mut clients = Vec::new();
    for place in PLACES {
        let query = format!("ns={place}&id=ada&user=u&groups=g&quiet");
        clients.push(Client::connect(address, &query).await);
    }
    clients
}

async fn ask_a_hub_for_nobody(hub: &Hub) {
    for id in IDS {
        assert!(!hub.online(id) && hub.connection(id).is_none());
        assert_eq!(hub.emit(id, "no").await, Delivery::Offline);
        let written = hub.emit_tracked(id, "no").written().await;
        assert_eq!(written, WriteOutcome::NotDelivered(Delivery::Offline));
        let many = hub.emit_many([id], "no").await;
        assert_eq!(many.missed, [(id.into(), Delivery::Offline)]);
        assert!(hub.ask(id, "id").await.is_err());
        // Nobody is left out either.
        let all = hub.except([id]).broadcast("all").await;
        assert_eq!(all.delivered, 1);
    }
    for user in USERS {
        assert_eq!((hub.user(user).len(), hub.user_len(user)), (0, 0));
        assert_eq!(hub.emit_user(user, "no").await, Reached::default());
        let sent = hub.except(["bob"]).emit_user(user, "no").await;
        assert_eq!(sent, Reached::default());
    }
    let ada = hub.connection("ada").unwrap();
    for group in GROUPS {
        assert_eq!((hub.members(group).len(), hub.group_len(group)), (0, 0));
        assert_eq!(hub.emit_group(group, "no").await, Reached::default());
        let sent = hub.except(["bob"]).emit_group(group, "no").await;
        assert_eq!(sent, Reached::default());
        assert_eq!(ada.join(group), Err(JoinError::Name(NameError::Nul)));
        assert!(!ada.leave(group));
    }
}

async fn assert_only_all(client: &mut Client) {
    loop {
        match client.text().await.as_str() {
            "all" => {}
            "end" => return,
            text => panic!("{text}"),
        }
    }
}

#[test]
fn a_name_that_looks_like_a_key_is_nobodys_in_a_hub() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut clients = connect_all(server.address).await;
        for place in PLACES {
            let hub = server.hub.namespace(place).unwrap();
            ask_a_hub_for_nobody(&hub).await;
            hub.emit("ada", "end").await;
        }
        for client in &mut clients {
            assert_only_all(client).await;
        }
    });
}

#[cfg(feature = "cluster")]
async fn ask_a_cluster_for_nobody(cluster: &Cluster) {
    for id in IDS {
        assert_eq!(cluster.emit(id, "no").await, Delivery::Offline, "{id:?}");
        let written = cluster.emit_tracked(id, "no").written().await;
        assert_eq!(written, WriteOutcome::NotDelivered(Delivery::Offline));
        let many = cluster.emit_many([id], "no").await;
        assert_eq!(many.missed, [(id.into(), Delivery::Offline)]);
        let closed = cluster.close(id, close_frame(4000)).await;
        assert_eq!(closed, Delivery::Offline);
        assert_eq!(cluster.join_group(id, "h").await, Membership::Offline);
        assert_eq!(cluster.leave_group(id, "g").await, Membership::Offline);
        assert_eq!(cluster.online([id]).await, [OnlineStatus::Offline]);
        assert_eq!(cluster.ask(id, "id").await, Err(AskError::Offline));
    }
    for user in USERS {
        let sent = cluster.emit_user(user, "no").await.reached;
        assert_eq!(sent, Reached::default());
        let sent = cluster.except(["bob"]).emit_user(user, "no").await;
        assert_eq!(sent.reached, Reached::default());
        assert_eq!(cluster.user_len(user).await.total, 0);
    }
    for group in GROUPS {
        let sent = cluster.emit_group(group, "no").await.reached;
        assert_eq!(sent, Reached::default());
        let sent = cluster.except(["bob"]).emit_group(group, "no").await;
        assert_eq!(sent.reached, Reached::default());
        assert_eq!(cluster.group_len(group).await.total, 0);
        assert!(cluster.members(group, None, 10).await.names.is_empty());
        // Nothing joins it.
        let joined = cluster.join_group("ada", group).await;
        assert!(
            !matches!(joined, Membership::Changed | Membership::Unchanged),
            "{joined}"
        );
        let left = cluster.leave_group("ada", group).await;
        assert_ne!(left, Membership::Changed);
    }
    assert!(
        cluster
            .groups(None, 10)
            .await
            .names
            .iter()
            .all(|(name, _)| &**name == "g")
    );
}

#[cfg(feature = "cluster")]
#[test]
fn a_name_that_looks_like_a_key_is_nobodys_in_a_cluster() {
    run(async {
        let registry = memory_registry();
        let [a, b] = TestNode::start_linked(&registry).await;
        let single = TestNode::single(Config::default()).await;
        let mut clients = connect_all(a.address).await;
        clients.extend(connect_all(single.address).await);
        while !a.cluster.synced().await {}
        for cluster in [&a.cluster, &b.cluster, &single.cluster] {
            for place in PLACES {
                let cluster = cluster.namespace(place).unwrap();
                ask_a_cluster_for_nobody(&cluster).await;
            }
        }
        for place in PLACES {
            for node in [&a, &single] {
                let cluster = node.cluster.namespace(place).unwrap();
                deliver(&cluster, "ada", "end").await;
            }
        }
        for client in &mut clients {
            assert_only_all(client).await;
        }
    });
}
