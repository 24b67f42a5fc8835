//! Clients of Web PubSub as members of presence channels, on two nodes.

use std::{collections::BTreeSet, time::Instant};

use serde_json::{Value, json};

use super::{Nodes, Pusher, Shared, presence::CHANNEL, shared, shared_with};
use crate::{
    kit::{Client, DEADLINE},
    pusher_http::request::Request,
    rest::JsonClient,
};

const JOIN: &str = "joinLeaveGroup.presence-lobby";

fn added(user: &str) -> String {
    told("member_added", &json!({"user_id": user}))
}

fn removed(user: &str) -> String {
    told("member_removed", &json!({"user_id": user}))
}

fn told(event: &str, data: &Value) -> String {
    json!({
        "event": format!("pusher_internal:{event}"),
        "channel": CHANNEL,
        "data": data.to_string(),
    })
    .to_string()
}

impl Pusher {
    #[track_caller]
    fn is_told(&mut self, expected: &str) {
        let told: Value = serde_json::from_str(&self.next()).unwrap();
        assert_eq!(told.to_string(), expected);
    }
}

impl JsonClient {
    fn leave(&mut self, group: &str) {
        let asked = json!({"type": "leaveGroup", "group": group});
        assert_eq!(self.ask(asked), None);
    }
}

impl Shared {
    fn call(&self, method: &str, path: &str) {
        let response = self.nodes.call(method, path);
        assert!(response.status < 300, "{method} {path}: {response:?}");
    }

    /// Who is a member, as backends are told.
    fn members(&self) -> BTreeSet<String> {
        let path = format!("/apps/3/channels/{CHANNEL}/users");
        let response = Request::get(&path, "").send(self.nodes.second_address());
        let users: Value = serde_json::from_str(response.json()).unwrap();
        let users = users["users"].as_array().unwrap().iter();
        users
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    fn has_members(&self, expected: &BTreeSet<String>, why: &str) {
        let begin = Instant::now();
        loop {
            let members = self.members();
            if members == *expected {
                return;
            }
            let late = begin.elapsed() > DEADLINE;
            assert!(!late, "{why}: {members:?} instead of {expected:?}");
        }
    }
}

#[test]
fn a_client_of_web_pub_sub_is_a_member_while_it_is_in_the_group() {
    let shared = shared();
    let mut grace = shared.pusher();
    grace.enter(r#"{"user_id":"grace"}"#);
    let group = format!("/groups/{CHANNEL}");
    let user_in_group = format!("/users/ada{group}");
    let mut ada = shared.web_pub_sub(&[JOIN]);
    let connection = format!("{group}/connections/{}", ada.id);
    // By itself.
    assert_eq!(ada.join(CHANNEL), None);
    assert_eq!(ada.join(CHANNEL), None);
    grace.is_told(&added("ada"));
    let all = ["ada", "grace"].map(str::to_owned).into();
    shared.has_members(&all, "both are listed");
    ada.leave(CHANNEL);
    grace.is_told(&removed("ada"));
    // By a backend.
    for (join, leave) in [
        (&connection, &connection),
        (&user_in_group, &user_in_group),
        (&connection, &"/users/ada/groups".to_owned()),
        (&user_in_group, &format!("/connections/{}/groups", ada.id)),
    ] {
        shared.call("PUT", join);
        grace.is_told(&added("ada"));
        shared.call("DELETE", leave);
        grace.is_told(&removed("ada"));
    }
    // Of two connections, the last one counts, however each ends.
    shared.call("PUT", &connection);
    grace.is_told(&added("ada"));
    let token = json!({"sub": "ada", "webpubsub.group": CHANNEL});
    let second = shared.nodes.client(token);
    shared.call("DELETE", &format!("/connections/{}", ada.id));
    grace.lives();
    drop(second);
    grace.is_told(&removed("ada"));
    // Nobody is no member.
    let anonymous = json!({"webpubsub.group": [CHANNEL, "presence-other"]});
    let _anonymous = shared.nodes.client(anonymous);
    let mut joan = shared.pusher();
    let members = joan.enter(r#"{"user_id":"joan"}"#);
    assert_eq!(members["ids"], json!(["grace", "joan"]));
    grace.is_told(&added("joan"));
    grace.lives();
}

#[test]
fn an_event_has_a_user_only_if_that_is_a_member() {
    let shared = shared();
    // On both nodes: the sender's node says it.
    let mut grace = [shared.nodes.second_address(), shared.nodes.first_address()].map(|address| {
        let mut client = Pusher::connect(address);
        client.enter(r#"{"user_id":"grace"}"#);
        client
    });
    let sends = format!("sendToGroup.{CHANNEL}");
    let mut ada = shared.web_pub_sub(&[JOIN, &sends]);
    let mut reader = shared.web_pub_sub(&["joinLeaveGroup.presence-lobby"]);
    let mut expect = |frame: &Value| {
        for client in &mut grace {
            client.is_told(&frame.to_string());
        }
    };
    assert_eq!(reader.join(CHANNEL), None);
    expect(&serde_json::from_str(&added("ada")).unwrap());
    // That another connection of the user is a member makes this one none.
    for is_member in [false, true, false] {
        if is_member {
            assert_eq!(ada.join(CHANNEL), None);
        }
        for metadata in [
            json!({"event": "greeting"}),
            json!({"event": "greeting", "a": "b"}),
        ] {
            let message = json!({
                "type": "sendToGroup", "group": CHANNEL, "noEcho": true,
                "dataType": "text", "data": "hi", "metadata": metadata,
            });
            assert_eq!(ada.ask(message), None);
            let mut event = json!({"event": "greeting", "channel": CHANNEL, "data": "hi"});
            if is_member {
                event["user_id"] = json!("ada");
            }
            expect(&event);
            let read = reader.next();
            let seen = (&read["fromUserId"], &read["metadata"]);
            assert_eq!(seen, (&json!("ada"), &metadata), "{read}");
        }
        if is_member {
            ada.leave(CHANNEL);
        }
    }
}

#[test]
fn what_the_app_says_of_a_user_stays() {
    let shared = shared();
    let mut grace = shared.pusher();
    grace.enter(r#"{"user_id":"grace"}"#);
    let mut ada = shared.pusher();
    ada.enter(r#"{"user_id":"ada","user_info":1}"#);
    let with_info = json!({"user_id": "ada", "user_info": 1});
    grace.is_told(&told("member_added", &with_info));
    let mut other = shared.web_pub_sub(&[JOIN]);
    assert_eq!(other.join(CHANNEL), None);
    let first = shared.nodes.first_address();
    let [mut here, mut there] = [shared.nodes.second_address(), first].map(Pusher::connect);
    let hash = json!({"grace": null, "ada": 1, "joan": null});
    for (client, is_second) in [(&mut here, false), (&mut there, true)] {
        let members = client.enter(r#"{"user_id":"joan"}"#);
        assert_eq!(members["hash"], hash, "{is_second}");
    }
    grace.is_told(&added("joan"));
    // Who came first said nothing. It is known to those who come later.
    drop(ada);
    other.leave(CHANNEL);
    grace.is_told(&removed("ada"));
    assert_eq!(other.join(CHANNEL), None);
    grace.is_told(&added("ada"));
    let mut ada = shared.pusher();
    let members = ada.enter(r#"{"user_id":"ada","user_info":2}"#);
    assert_eq!(members["hash"]["ada"], 2);
    let begin = Instant::now();
    loop {
        let mut late = shared.pusher();
        let members = late.enter(r#"{"user_id":"joan"}"#);
        if members["hash"]["ada"] == 2 {
            break;
        }
        assert!(begin.elapsed() < DEADLINE, "{members}");
    }
    grace.lives();
}

#[test]
fn a_full_channel_takes_no_client_of_web_pub_sub() {
    let shared = shared_with("", "[pusher]\nmax_members = 1");
    let mut grace = shared.pusher();
    grace.enter(r#"{"user_id":"grace"}"#);
    let mut ada = shared.web_pub_sub(&[JOIN]);
    let (name, message) = ada.join(CHANNEL).unwrap();
    assert_eq!(name, "Forbidden");
    assert!(message.contains("as many members"), "{message}");
    // Put there by a backend, it reads and is no member.
    shared.call("PUT", &format!("/users/ada/groups/{CHANNEL}"));
    assert_eq!(shared.members(), ["grace".to_owned()].into());
    let event = json!({"name": "price", "channel": CHANNEL, "data": "1"}).to_string();
    Request::post("/apps/3/events", &event).send(shared.nodes.second_address());
    assert_eq!(ada.next()["metadata"]["event"], "price");
    grace.next();
    drop(ada);
    grace.lives();
}

#[test]
fn the_members_of_a_node_that_drains_or_dies_go() {
    for signal in ["TERM", "KILL"] {
        let shared = shared();
        let mut grace = Pusher::connect(shared.nodes.first_address());
        grace.enter(r#"{"user_id":"grace"}"#);
        let mut ada = shared.web_pub_sub(&[JOIN]);
        assert_eq!(ada.join(CHANNEL), None);
        grace.is_told(&added("ada"));
        shared.nodes.signal_second(signal);
        grace.is_told(&removed("ada"));
    }
}

#[test]
fn a_hub_that_is_shared_by_a_reload_has_members_from_then_on() {
    let nodes = Nodes::one("hub = \"chat\"");
    let shared_file = std::fs::read_to_string(&nodes.file).unwrap();
    let unshared = shared_file.replace("hub = \"chat\"", "");
    let reload = |text: &str| {
        std::fs::write(&nodes.file, text).unwrap();
        nodes.servers[0].signal("HUP");
    };
    let mut grace = nodes.client();
    grace.enter(r#"{"user_id":"grace"}"#);
    let path = "/client/hubs/chat?user=ada";
    let mut ada = Client::connect(&nodes.servers[0], path, Client::JSON);
    ada.text();
    reload(&unshared);
    // Without an app, whoever may join any group joins this one.
    let begin = Instant::now();
    loop {
        ada.send(&json!({"type": "joinGroup", "group": CHANNEL}).to_string());
        ada.send(
            &json!({"type": "joinGroup", "group": CHANNEL, "ackId": begin.elapsed().as_micros()})
                .to_string(),
        );
        if ada.text().contains(r#""success":true"#) {
            break;
        }
        assert!(begin.elapsed() < DEADLINE, "the hub is still shared");
    }
    grace.lives();
    for _ in 0..2 {
        reload(&shared_file);
        grace.is_told(&added("ada"));
        reload(&unshared);
        grace.is_told(&removed("ada"));
    }
    reload(&shared_file);
    grace.is_told(&added("ada"));
    drop(ada);
    grace.is_told(&removed("ada"));
}

/// A connection of a user, and whether it is in the channel.
enum One {
    App(Pusher),
    WebPubSub(JsonClient),
}

/// However connections of both wires come and go, the members are the users of those that are in the channel, and a
/// subscriber is told each change of that once.
#[test]
fn members_are_the_users_of_both_wires() {
    const USERS: [&str; 3] = ["ada", "joan", "mary"];
    let shared = shared();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut observer = Pusher::connect(shared.nodes.first_address());
    observer.enter(r#"{"user_id":"grace"}"#);
    let mut open: Vec<(&str, One, bool)> = Vec::new();
    for step in 0..60 {
        let place = random.usize(..open.len().max(1));
        match random.u8(..10) {
            0..3 => {
                let user = USERS[random.usize(..USERS.len())];
                let one = if random.bool() {
                    let [one, other] =
                        [shared.nodes.first_address(), shared.nodes.second_address()];
                    One::App(Pusher::connect(if random.bool() { one } else { other }))
                } else {
                    let role = format!("webpubsub.{JOIN}");
                    One::WebPubSub(shared.nodes.client(json!({"sub": user, "role": [role]})))
                };
                open.push((user, one, false));
            }
            3..5 if !open.is_empty() => drop(open.swap_remove(place)),
            5 => {
                let user = USERS[random.usize(..USERS.len())];
                let is_in = random.bool();
                let method = if is_in { "PUT" } else { "DELETE" };
                let path = format!("/users/{user}/groups/{CHANNEL}");
                // There may be nobody of this name.
                shared.nodes.call(method, &path);
                for (other, one, was_in) in &mut open {
                    if *other == user && matches!(one, One::WebPubSub(_)) {
                        *was_in = is_in;
                    }
                }
            }
            _ => {
                let Some((user, one, is_in)) = open.get_mut(place) else {
                    continue;
                };
                *is_in = !*is_in;
                match (one, *is_in) {
                    (One::App(client), true) => {
                        client.ask_to_enter(&json!({"user_id": user}).to_string());
                    }
                    (One::App(client), false) => client.leave(),
                    (One::WebPubSub(client), true) => assert_eq!(client.join(CHANNEL), None),
                    (One::WebPubSub(client), false) => client.leave(CHANNEL),
                }
            }
        }
        let here = open.iter().filter(|(_, _, is_in)| *is_in);
        let mut expected: BTreeSet<_> = here.map(|(user, ..)| (*user).to_owned()).collect();
        expected.insert("grace".to_owned());
        shared.has_members(&expected, &format!("step {step} of seed {seed}"));
    }
    let mut expected = shared.members();
    open.clear();
    // Whoever goes last is told last.
    expected.remove("grace");
    let mut known = BTreeSet::new();
    shared.has_members(&["grace".to_owned()].into(), "everybody has gone");
    let mut fence = shared.pusher();
    fence.enter(r#"{"user_id":"end"}"#);
    loop {
        let told: Value = serde_json::from_str(&observer.next()).unwrap();
        let data: Value = serde_json::from_str(told["data"].as_str().unwrap()).unwrap();
        let user = data["user_id"].as_str().unwrap().to_owned();
        if user == "end" {
            break;
        }
        let changes = match told["event"].as_str().unwrap() {
            "pusher_internal:member_added" => known.insert(user),
            "pusher_internal:member_removed" => known.remove(&user),
            other => panic!("{other}"),
        };
        assert!(changes, "seed {seed}: told twice: {told}");
    }
    assert!(
        known.is_empty(),
        "seed {seed}: {known:?} are shown for ever"
    );
}
