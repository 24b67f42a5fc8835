//! Every operation of a hub.

use tieline::{Config, Connection, Delivery, Hub, Note, WriteOutcome};

use super::{Crowd, PLACES, marked};
use crate::kit::{
    Server, close_frame,
    dialects::{VERBOSE, dialects},
    eventually, run,
};

const TO_ADA: [&str; 9] = [
    "emit", "tracked", "many", "user", "group", "all", "handle", "matching", "asked",
];
const TO_BOB: [&str; 7] = [
    "user",
    "group",
    "all",
    "except user",
    "except group",
    "except all",
    "matching",
];
const TO_CAS: [&str; 2] = ["all", "except all"];

/// Sends in every way that there is, to the names that each namespace has.
async fn send_all(hub: &Hub, mark: &str) {
    let text = |what: &str| format!("{what} {mark}");
    assert_eq!(hub.emit("ada", text("emit")).await, Delivery::Delivered);
    let mut tracked = hub.emit_tracked("ada", text("tracked"));
    assert_eq!(tracked.written().await, WriteOutcome::Written);
    let many = hub.emit_many(["ada", "nobody"], text("many")).await;
    assert_eq!(many.delivered, 1);
    assert_eq!(many.missed, [("nobody".into(), Delivery::Offline)]);
    assert_eq!(hub.emit_user("u", text("user")).await.delivered, 2);
    assert_eq!(hub.emit_group("g", text("group")).await.delivered, 2);
    assert_eq!(hub.broadcast(text("all")).await.delivered, 3);
    let others = hub.except(["ada"]);
    let user = others.emit_user("u", text("except user")).await;
    assert_eq!(user.delivered, 1);
    let group = others.emit_group("g", text("except group")).await;
    assert_eq!(group.delivered, 1);
    assert_eq!(others.broadcast(text("except all")).await.delivered, 2);
    let ada = hub.connection("ada").unwrap();
    assert!(ada.emit(text("handle")).await.is_delivered());
    let matching = hub.matching("user u").broadcast(text("matching")).await;
    assert_eq!((matching.delivered, matching.filter_refused), (2, false));
    let asked = format!("emit:asked {mark}");
    assert_eq!(hub.ask("ada", asked.clone()).await.unwrap(), asked);
}

/// What is found by these names, and counted, is of this namespace.
async fn find_all(hub: &Hub, place: &str) {
    let own = if place.is_empty() { "default" } else { place };
    let all_here = |found: Vec<Connection>| {
        assert!(found.iter().all(|c| c.namespace() == place));
        found.len()
    };
    assert_eq!(all_here(hub.connections()), 3);
    assert_eq!(all_here(hub.user("u")), 2);
    assert_eq!(all_here(hub.members("g")), 2);
    assert_eq!(all_here(hub.connection("ada").into_iter().collect()), 1);
    let names = |names: Vec<std::sync::Arc<str>>| names.join(",");
    assert_eq!(names(hub.users()), "u,v");
    let mut groups = [own, "g"];
    groups.sort_unstable();
    assert_eq!(names(hub.groups()), groups.join(","));
    let lens = (hub.len(), hub.user_len("u"), hub.group_len("g"));
    assert_eq!(lens, (3, 2, 2));
    let counts = hub.counts();
    assert_eq!((counts.connections, counts.users, counts.groups), (3, 2, 2));
    assert!(hub.online("cas") && !hub.online("nobody") && !hub.is_empty());
    assert_eq!(hub.ask("ada", "where").await.unwrap(), place);
    for other in PLACES.iter().filter(|other| **other != place) {
        let other = if other.is_empty() { "default" } else { other };
        assert_eq!((hub.group_len(other), hub.members(other).len()), (0, 0));
    }
}

/// Joins and leaves by a handle, whose face shows names.
fn change_groups(hub: &Hub) {
    let cas = hub.connection("cas").unwrap();
    assert!(cas.join("hall").unwrap() && !cas.join("hall").unwrap());
    assert_eq!(hub.group_len("hall"), 1);
    assert_eq!(hub.members("hall").first(), Some(&cas));
    assert_eq!(cas.groups().join(","), "hall");
    assert_eq!((cas.id().as_str(), cas.user()), ("cas", Some("v")));
    assert!(cas.leave("hall") && !cas.leave("hall"));
    assert_eq!(hub.group_len("hall"), 0);
    // The hub of a connection is in its namespace.
    assert_eq!(cas.hub().len(), 3);
}

#[test]
fn no_operation_of_a_hub_leaves_its_namespace() {
    run(async {
        let server = Server::in_dialects(Config::default(), dialects().0).await;
        let mut crowds = Vec::new();
        for place in PLACES {
            crowds.push(Crowd::connect(place, server.address, server.address).await);
        }
        for place in PLACES {
            let hub = server.hub.namespace(place).unwrap();
            send_all(&hub, place).await;
            find_all(&hub, place).await;
            change_groups(&hub);
            for id in ["ada", "bob", "cas"] {
                hub.emit(id, "end").await;
            }
        }
        for (place, crowd) in PLACES.iter().zip(&mut crowds) {
            let [mut ada, bob, cas] = crowd.texts().await;
            let mut expected = marked(&TO_ADA, place);
            // The handle's emit comes before the filter.
            ada.sort();
            expected.sort();
            assert_eq!(ada, expected);
            assert_eq!(bob, marked(&TO_BOB, place));
            assert_eq!(cas, marked(&TO_CAS, place));
        }
        assert_eq!(server.hub.stats().connections, 9);
        let chat = server.hub.namespace("chat").unwrap();
        assert_eq!(chat.stats().connections, 9, "of the whole hub");
        // A handle leads to any namespace, the default one included.
        assert_eq!(chat.namespace("").unwrap().users(), server.hub.users());
        chat.connection("cas").unwrap().close(close_frame(4000));
        eventually(|| chat.len() == 2).await;
        chat.close();
        eventually(|| chat.is_empty()).await;
        assert!(chat.connections().is_empty());
        let game = server.hub.namespace("game").unwrap();
        assert_eq!((server.hub.len(), game.len()), (3, 3));
        assert!(server.hub.online("cas") && game.online("cas"));
    });
}

#[test]
fn a_crowd_in_a_namespace_is_reached_through_the_queues() {
    run(async {
        let server = Server::in_dialects(Config::default(), dialects().0).await;
        let (chat, game) = (
            server.hub.namespace("chat").unwrap(),
            server.hub.namespace("game").unwrap(),
        );
        let _default = server.crowd("c", 40, "user=u&groups=g").await;
        let _game = server.crowd("c", 3, "ns=game&user=u&groups=g").await;
        let mut crowd = server.crowd("c", 40, "ns=chat&user=u&groups=g").await;
        let out = chat.except(["c0", "c1"]);
        for round in ["first", "second"] {
            // Several at once, so that they wait for the workers.
            let sent = [
                (chat.broadcast(round), 40),
                (out.broadcast(round), 38),
                (chat.emit_user("u", round), 40),
                (out.emit_group("g", round), 38),
                (chat.matching("group g").broadcast(round), 40),
                (server.hub.broadcast("default"), 40),
                (game.broadcast("game"), 3),
            ];
            for (receipt, expected) in sent {
                assert_eq!(receipt.await.delivered, expected);
            }
        }
        // One who has been left out, and one who has not.
        for (client, copies) in [(0, 3), (39, 5)] {
            for round in ["first", "second"] {
                for _ in 0..copies {
                    assert_eq!(crowd[client].text().await, round);
                }
            }
        }
        drop(crowd);
        eventually(|| chat.is_empty()).await;
        assert_eq!(chat.broadcast("to nobody").await.delivered, 0);
        assert_eq!((server.hub.len(), game.len()), (40, 3));
    });
}

#[test]
fn a_note_says_by_its_name_from_where_it_comes() {
    run(async {
        let server = Server::in_dialects(Config::default(), dialects().0).await;
        let query = format!("ns=chat&id=ada&user=u&groups=g&dialect={VERBOSE}");
        let mut ada = server.client(&query).await;
        let chat = server.hub.namespace("chat").unwrap();
        chat.emit("ada", Note::text("hi"));
        chat.emit_user("u", Note::text("hi"));
        chat.emit_group("g", Note::text("hi"));
        chat.broadcast(Note::text("hi"));
        for origin in ["server", "user u", "group g", "everyone"] {
            assert_eq!(ada.text().await, format!("{origin}||text|hi"));
        }
    });
}
