//! Members of presence channels, on one node and on two.

use std::time::Instant;

use serde_json::{Value, json};

use super::{KEY, Nodes, Pusher, is_told_twice};
use crate::kit::DEADLINE;

pub(super) const CHANNEL: &str = "presence-lobby";

impl Pusher {
    /// Asks to subscribe to a presence channel, as the member that the data says.
    pub(super) fn ask_to_enter(&mut self, data: &str) {
        let auth = self.auth(CHANNEL, Some(data));
        let data = json!({"channel": CHANNEL, "auth": auth, "channel_data": data});
        self.send(&json!({"event": "pusher:subscribe", "data": data}).to_string());
    }

    /// Enters, and returns the data of the answer.
    #[track_caller]
    pub(super) fn enter(&mut self, data: &str) -> Value {
        self.ask_to_enter(data);
        self.event("pusher_internal:subscription_succeeded")["presence"].take()
    }

    /// The data of the next frame, which is this event of the channel.
    #[track_caller]
    fn event(&mut self, name: &str) -> Value {
        let text = self.next();
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&frame["event"], &frame["channel"]),
            (&json!(name), &json!(CHANNEL)),
            "{text}"
        );
        serde_json::from_str(frame["data"].as_str().expect(&text)).unwrap()
    }

    #[track_caller]
    pub(super) fn hears_of(&mut self, event: &str, member: &Value) {
        assert_eq!(&self.event(&format!("pusher_internal:{event}")), member);
    }

    pub(super) fn leave(&mut self) {
        let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": CHANNEL}});
        self.send(&leave.to_string());
    }
}

#[test]
fn members_come_with_their_first_connection_and_go_with_their_last_on_any_node() {
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends().map(str::to_owned);
    let mut joan = Pusher::connect(&one);
    let members = joan.enter(r#"{"user_id":7,"user_info":{"name":"Joan"}}"#);
    assert_eq!(
        members,
        json!({"ids": ["7"], "hash": {"7": {"name": "Joan"}}, "count": 1})
    );
    let mut ada = [Pusher::connect(&one), Pusher::connect(&other)];
    let mut told = false;
    for ada in &mut ada {
        let members = ada.enter(r#"{"user_id":"ada"}"#);
        let hash = json!({"7": {"name": "Joan"}, "ada": null});
        // The other node has read of her by then, or tells it now.
        assert_eq!(
            members,
            json!({"ids": ["7", "ada"], "hash": hash, "count": 2})
        );
        if !told {
            joan.hears_of("member_added", &json!({"user_id": "ada"}));
            told = true;
        }
    }
    ada[0].leave();
    ada[0].lives();
    joan.lives();
    let [_gone, last] = ada;
    drop(last);
    joan.hears_of("member_removed", &json!({"user_id": "ada"}));
    joan.lives();
}

#[test]
fn information_about_a_member_is_the_latest_and_the_same_on_every_node() {
    let nodes = Nodes::many("", 3);
    let [one, other, third] = [0, 1, 2].map(|node: usize| &nodes.servers[node].addresses[0]);
    let mut joan = Pusher::connect(one);
    joan.enter(r#"{"user_id":"joan"}"#);
    let mut first = Pusher::connect(one);
    first.enter(r#"{"user_id":"ada","user_info":1}"#);
    joan.hears_of("member_added", &json!({"user_id": "ada", "user_info": 1}));
    let mut second = Pusher::connect(other);
    let members = second.enter(r#"{"user_id":"ada","user_info":2}"#);
    assert_eq!(members["hash"]["ada"], 2);
    // The third node begins to follow now; the first reads of it within moments.
    for address in [third, other, one] {
        let begin = Instant::now();
        let mut grace = Pusher::connect(address);
        while grace.enter(r#"{"user_id":"joan"}"#)["hash"]["ada"] != 2 {
            assert!(begin.elapsed() < DEADLINE, "{address}");
            grace.leave();
        }
    }
    joan.lives();
    // The first connection has said it, and does not say it again.
    drop(second);
    let members = Pusher::connect(third).enter(r#"{"user_id":"joan"}"#);
    assert_eq!(members["hash"]["ada"], 2);
}

#[test]
fn events_of_members_say_who_sent_them() {
    let nodes = Nodes::two("client_events = true");
    let [one, other] = nodes.ends().map(str::to_owned);
    let (mut ada, mut joan) = (Pusher::connect(&one), Pusher::connect(&other));
    ada.enter(r#"{"user_id":"ada"}"#);
    joan.enter(r#"{"user_id":"joan"}"#);
    ada.hears_of("member_added", &json!({"user_id": "joan"}));
    joan.send(
        &json!({"event": "client-hi", "channel": CHANNEL, "data": [1], "user_id": "ada"})
            .to_string(),
    );
    let expected =
        format!(r#"{{"event":"client-hi","channel":"{CHANNEL}","data":[1],"user_id":"joan"}}"#);
    assert_eq!(ada.next(), expected);
    joan.lives();
}

#[test]
fn who_is_no_member_is_told_why() {
    let nodes = Nodes::with("", "[pusher]\nmax_members = 1\n", &[]);
    let mut client = nodes.client();
    for data in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"user_id":null}"#,
        r#"{"user_id":""}"#,
    ] {
        client.ask_to_enter(data);
        is_told_twice(&mut client, CHANNEL, "AuthError", 401);
    }
    let auth = client.auth(CHANNEL, None);
    let asked = json!({"event": "pusher:subscribe", "data": {"channel": CHANNEL, "auth": auth}});
    client.send(&asked.to_string());
    let why = is_told_twice(&mut client, CHANNEL, "AuthError", 401);
    assert!(why.contains("signed in"), "{why}");
    let asked = json!({"channel": CHANNEL, "auth": format!("{KEY}:00"), "channel_data": "{}"});
    client.send(&json!({"event": "pusher:subscribe", "data": asked}).to_string());
    is_told_twice(&mut client, CHANNEL, "AuthError", 401);
    client.enter(r#"{"user_id":"ada"}"#);
    let mut second = nodes.client();
    second.ask_to_enter(r#"{"user_id":"joan"}"#);
    is_told_twice(&mut second, CHANNEL, "LimitReached", 403);
    // Another connection of a member takes no room.
    let mut third = nodes.client();
    third.enter(r#"{"user_id":"ada"}"#);
    client.leave();
    drop(third);
    client.lives();
    // Nobody is left, so there is room again.
    let begin = Instant::now();
    loop {
        second.ask_to_enter(r#"{"user_id":"joan"}"#);
        if second.next().contains("subscription_succeeded") {
            break;
        }
        assert!(begin.elapsed() < DEADLINE, "nobody else is let in");
        // Told twice.
        second.next();
    }
}

#[test]
fn the_limits_of_an_app_are_its_own() {
    let app = "max_members = 2\nmember_grace = \"0s\"";
    let node = "[pusher]\nmax_members = 1\nmember_grace = \"1h\"";
    let nodes = Nodes::with(app, node, &[]);
    let mut ada = nodes.client();
    ada.enter(r#"{"user_id":"ada"}"#);
    let mut joan = nodes.client();
    joan.enter(r#"{"user_id":"joan"}"#);
    ada.hears_of("member_added", &json!({"user_id": "joan"}));
    let mut mary = nodes.client();
    mary.ask_to_enter(r#"{"user_id":"mary"}"#);
    is_told_twice(&mut mary, CHANNEL, "LimitReached", 403);
    drop(joan);
    // At once, and not after an hour.
    ada.hears_of("member_removed", &json!({"user_id": "joan"}));
    mary.enter(r#"{"user_id":"mary"}"#);
}

#[test]
fn the_members_of_a_killed_node_go() {
    let mut nodes = Nodes::two("");
    let [one, other] = nodes.ends().map(str::to_owned);
    let (mut ada, mut joan) = (Pusher::connect(&one), Pusher::connect(&other));
    ada.enter(r#"{"user_id":"ada"}"#);
    joan.enter(r#"{"user_id":"joan"}"#);
    // As by SIGKILL.
    drop(nodes.servers.pop());
    ada.hears_of("member_added", &json!({"user_id": "joan"}));
    ada.hears_of("member_removed", &json!({"user_id": "joan"}));
}

#[test]
fn a_member_that_changes_nodes_comes_with_its_new_information() {
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends().map(str::to_owned);
    let mut grace = Pusher::connect(&other);
    grace.enter(r#"{"user_id":"grace"}"#);
    let mut ada = Pusher::connect(&one);
    ada.enter(r#"{"user_id":"ada","user_info":1}"#);
    grace.hears_of("member_added", &json!({"user_id": "ada", "user_info": 1}));
    drop(ada);
    let mut moved = Pusher::connect(&other);
    let members = moved.enter(r#"{"user_id":"ada","user_info":2}"#);
    assert_eq!(members["hash"]["ada"], 2, "{members}");
    // Whether grace is told that she has gone and come depends on which node the registry hears first.
}
