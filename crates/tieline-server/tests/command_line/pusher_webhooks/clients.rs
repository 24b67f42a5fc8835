//! What is posted about clients that come and go by themselves.

use serde_json::{Value, json};

use super::{Receiver, Scene, sign};
use crate::kit::{Client, Server};

/// A client of the app.
struct Subscriber {
    client: Client,
    socket_id: String,
}

impl Subscriber {
    fn connect(node: &Server) -> Self {
        let mut client = Client::simple(&node.addresses[0], "/app/key3?protocol=7");
        let first: Value = serde_json::from_str(&client.text()).unwrap();
        let data: Value = serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
        let socket_id = data["socket_id"].as_str().unwrap().to_owned();
        Self { client, socket_id }
    }

    /// Subscribes, as a user on presence channels.
    #[track_caller]
    fn subscribe(&mut self, channel: &str, user: &str) {
        let mut data = json!({"channel": channel});
        let mut signed = format!("{}:{channel}", self.socket_id);
        if channel.starts_with("presence-") {
            let user = json!({"user_id": user}).to_string();
            signed = format!("{signed}:{user}");
            data["channel_data"] = user.into();
        }
        data["auth"] = format!("key3:{}", sign(signed.as_bytes())).into();
        let asked = json!({"event": "pusher:subscribe", "data": data});
        self.client.send(&asked.to_string());
        let answer = self.client.text();
        assert!(answer.contains("subscription_succeeded"), "{answer}");
    }

    fn unsubscribe(&mut self, channel: &str) {
        let asked = json!({"event": "pusher:unsubscribe", "data": {"channel": channel}});
        self.client.send(&asked.to_string());
    }
}

#[test]
fn channels_are_occupied_by_the_first_client_and_vacated_by_the_last_of_all_nodes() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let a = scene.node("a", &receiver);
    let b = scene.node("b", &receiver);
    for channel in ["plain", "private-x"] {
        let (mut first, mut second) = (Subscriber::connect(&a), Subscriber::connect(&b));
        first.subscribe(channel, "");
        receiver.expect(&[&format!("channel_occupied {channel}")]);
        second.subscribe(channel, "");
        let mut third = Subscriber::connect(&b);
        third.subscribe(channel, "");
        first.unsubscribe(channel);
        second.unsubscribe(channel);
        // A channel that is vacated later is told: this one is not, because of the third.
        first.subscribe("marker", "");
        receiver.expect(&["channel_occupied marker"]);
        first.unsubscribe("marker");
        receiver.expect(&["channel_vacated marker"]);
        drop(third);
        receiver.expect(&[&format!("channel_vacated {channel}")]);
    }
    assert_eq!(receiver.0.rest().len(), 0);
}

#[test]
fn members_come_with_their_first_client_and_go_with_their_last() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let a = scene.node("a", &receiver);
    let b = scene.node("b", &receiver);
    let channel = "presence-x";
    let mut ada = [Subscriber::connect(&a), Subscriber::connect(&b)];
    ada[0].subscribe(channel, "ada");
    receiver.expect(&["channel_occupied presence-x", "member_added presence-x ada"]);
    ada[1].subscribe(channel, "ada");
    let mut bob = Subscriber::connect(&b);
    bob.subscribe(channel, "bob");
    receiver.expect(&["member_added presence-x bob"]);
    let [mut first, second] = ada;
    first.unsubscribe(channel);
    drop(second);
    receiver.expect(&["member_removed presence-x ada"]);
    drop(bob);
    receiver.expect(&[
        "member_removed presence-x bob",
        "channel_vacated presence-x",
    ]);
}

#[test]
fn misses_and_counts_are_posted_by_the_node_where_they_happen() {
    let (scene, receiver) = (Scene::start(), Receiver::start());
    let webhook = receiver.webhook("events = [\"cache_miss\", \"subscription_count\"]");
    let webhook = format!("subscription_counts = true\n{webhook}");
    let a = scene.node_with("a", &webhook, drop);
    let b = scene.node_with("b", &webhook, drop);
    let next = || receiver.request().1;
    let mut client = Subscriber::connect(&a);
    client.subscribe("cache-x", "");
    let miss = json!([{"name": "cache_miss", "channel": "cache-x"}]);
    assert_eq!(Value::from(next()), miss);
    let count = |count: u64| json!([{"name": "subscription_count", "channel": "cache-x", "subscription_count": count}]);
    assert_eq!(Value::from(next()), count(1));
    let mut other = Subscriber::connect(&b);
    other.subscribe("cache-x", "");
    assert_eq!(Value::from(next()), miss);
    assert_eq!(Value::from(next()), count(2));
    drop(client);
    assert_eq!(Value::from(next()), count(1));
    assert_eq!(receiver.0.rest().len(), 0);
}
