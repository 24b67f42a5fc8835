//! The last event of cache channels, for those who subscribe later.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Nodes, Pusher, succeeded};
use crate::{kit::DEADLINE, pusher_http::request::Request};

/// Publishes an event by a node's HTTP API.
#[track_caller]
fn publish(address: &str, channel: &str, data: &str) {
    let event = json!({"name": "price", "channel": channel, "data": data}).to_string();
    let response = Request::post("/apps/3/events", &event).send(address);
    assert_eq!(response.json(), "{}");
}

fn event(channel: &str, data: &str) -> String {
    format!(r#"{{"event":"price","channel":"{channel}","data":"{data}"}}"#)
}

fn miss(channel: &str) -> String {
    format!(r#"{{"event":"pusher:cache_miss","channel":"{channel}","data":"{{}}"}}"#)
}

#[test]
fn who_subscribes_gets_the_last_event_directly_after_the_answer_on_any_node() {
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends();
    for channel in ["cache-a", "private-cache-a", "private-encrypted-cache-a"] {
        let (mut early, mut late) = (Pusher::connect(one), Pusher::connect(other));
        early.subscribe(channel);
        assert_eq!(early.next(), miss(channel));
        for data in ["1", "2"] {
            publish(other, channel, data);
            assert_eq!(early.next(), event(channel, data));
        }
        late.subscribe(channel);
        assert_eq!(late.next(), event(channel, "2"));
        late.lives();
        // It outlives the subscribers.
        drop((early, late));
        let mut again = Pusher::connect(one);
        again.subscribe(channel);
        assert_eq!(again.next(), event(channel, "2"));
    }
    let mut plain = Pusher::connect(one);
    plain.subscribe("private-a");
    plain.lives();
}

#[test]
fn what_is_kept_for_less_than_a_second_is_not_said_to_be_over() {
    let nodes = Nodes::one("cache_expiry = \"1s\"");
    let ask = Request::get("/apps/3/channels/cache-a", "info=cache");
    let begun = Instant::now();
    loop {
        publish(nodes.address(), "cache-a", "1");
        let response = ask.send(nodes.address());
        let about: Value = serde_json::from_str(response.json()).unwrap();
        // Unless the machine was too busy to ask in time.
        if !about["cache"].is_null() {
            assert_eq!(about["cache"], json!({"data": "1", "ttl": 1}));
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{about}");
    }
}

#[test]
fn no_event_comes_before_the_one_that_is_kept_and_the_last_is_the_last() {
    const EVENTS: usize = 60;
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends().map(str::to_owned);
    // The nodes know each other once an event gets from one to the other.
    let mut linked = Pusher::connect(&other);
    linked.subscribe("linked");
    let event = r#"{"name":"e","channel":"linked","data":"","info":"delivered"}"#;
    while !{ Request::post("/apps/3/events", event).send(&one) }
        .json()
        .contains(r#""delivered":1"#)
    {}
    publish(&one, "cache-a", "0");
    let publisher = std::thread::spawn({
        let one = one.clone();
        move || (1..=EVENTS).for_each(|data| publish(&one, "cache-a", &data.to_string()))
    });
    let mut subscribers = 0;
    while !publisher.is_finished() || subscribers == 0 {
        let mut client = Pusher::connect(&other);
        client.ask_to_subscribe("cache-a");
        assert_eq!(client.next(), succeeded("cache-a"));
        // Whatever came while it was subscribed goes on from there.
        let first = number(&client.next());
        let mut last = first;
        while last < EVENTS {
            let next = number(&client.next());
            assert!(next <= last + 1, "{next} after {last}, and {first} first");
            last = next;
        }
        client.lives();
        subscribers += 1;
    }
    publisher.join().unwrap();
}

fn number(event: &str) -> usize {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["event"], "price", "{event}");
    event["data"].as_str().unwrap().parse().unwrap()
}

#[test]
fn members_of_a_presence_channel_get_it_too() {
    let nodes = Nodes::two("");
    let [one, other] = nodes.ends();
    publish(other, "presence-cache-a", "1");
    let mut client = Pusher::connect(one);
    let data = r#"{"user_id":"ada"}"#;
    let auth = client.auth("presence-cache-a", Some(data));
    let asked = json!({"channel": "presence-cache-a", "auth": auth, "channel_data": data});
    client.send(&json!({"event": "pusher:subscribe", "data": asked}).to_string());
    assert!(client.next().contains("subscription_succeeded"));
    assert_eq!(client.next(), event("presence-cache-a", "1"));
    client.lives();
}

#[test]
fn an_event_that_cannot_be_kept_is_sent_to_nobody() {
    let nodes = Nodes::two("");
    let [one, _] = nodes.ends();
    let mut client = Pusher::connect(one);
    client.subscribe("cache-a");
    assert_eq!(client.next(), miss("cache-a"));
    client.subscribe("b");
    publish(one, "cache-a", "1");
    assert_eq!(client.next(), event("cache-a", "1"));

    let redis = nodes.redis.as_ref().unwrap();
    redis.stop();
    let post = |channels: &[&str], data: &str| {
        let event = json!({"name": "price", "channels": channels, "data": data}).to_string();
        { Request::post("/apps/3/events", &event) }.send(one)
    };
    // Not to the other channel either.
    let refused = post(&["cache-a", "b"], "2");
    assert!(
        refused.error(503).contains("nothing was sent"),
        "{refused:?}"
    );
    // What is not kept does not need the registry.
    assert_eq!(post(&["b"], "3").json(), "{}");
    assert_eq!(client.next(), event("b", "3"));

    redis.resume();
    while post(&["cache-a"], "4").status != 200 {}
    assert_eq!(client.next(), event("cache-a", "4"));
    let mut late = Pusher::connect(one);
    late.subscribe("cache-a");
    assert_eq!(late.next(), event("cache-a", "4"));
}
