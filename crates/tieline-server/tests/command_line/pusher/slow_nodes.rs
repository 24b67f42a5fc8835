//! Subscriptions while another node or the registry hangs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Nodes, Pusher, succeeded};
use crate::kit::DEADLINE;

/// Longer than a client waits for who hangs, and shorter than if it waited for each of its channels.
const SHORT: Duration = Duration::from_secs(8);

const CHANNELS: usize = 20;

/// Nodes that know each other.
fn linked() -> Nodes {
    let nodes = Nodes::two("client_events = true");
    let [one, other] = nodes.ends();
    let (mut here, mut there) = (Pusher::connect(one), Pusher::connect(other));
    for client in [&mut here, &mut there] {
        client.subscribe("private-linked");
    }
    here.send(r#"{"event":"client-x","channel":"private-linked","data":1}"#);
    assert!(there.next().contains("client-x"));
    nodes
}

#[test]
fn a_node_that_hangs_is_waited_for_once() {
    let nodes = linked();
    let [one, other] = nodes.ends();
    let mut client = Pusher::connect(one);
    nodes.servers[1].pause();
    let begin = Instant::now();
    for number in 0..CHANNELS {
        client.ask_to_subscribe(&format!("a-{number}"));
    }
    client.send(r#"{"event":"pusher:ping","data":{}}"#);
    for number in 0..CHANNELS {
        assert_eq!(client.next(), succeeded(&format!("a-{number}")));
    }
    assert_eq!(client.next(), r#"{"event":"pusher:pong","data":"{}"}"#);
    let took = begin.elapsed();
    assert!(took < SHORT, "{took:?}");
    nodes.servers[1].signal("CONT");
    // It knows of them soon.
    let mut there = Pusher::connect(other);
    there.subscribe("private-b");
    client.subscribe("private-b");
    while begin.elapsed() < DEADLINE {
        there.send(r#"{"event":"client-x","channel":"private-b","data":1}"#);
        client.send(r#"{"event":"pusher:ping","data":{}}"#);
        if client.next().contains("client-x") {
            return;
        }
    }
    panic!("no event arrives from the node");
}

#[test]
fn a_registry_that_hangs_is_waited_for_once() {
    let nodes = linked();
    let mut client = Pusher::connect(nodes.ends()[0]);
    nodes.redis.as_ref().unwrap().stop();
    let begin = Instant::now();
    for number in 0..CHANNELS {
        for kind in ["presence-", "private-cache-", "presence-cache-"] {
            let (channel, data) = (format!("{kind}{number}"), r#"{"user_id":"ada"}"#);
            let data = kind.starts_with("presence").then_some(data);
            let auth = client.auth(&channel, data);
            let asked = json!({"channel": channel, "auth": auth, "channel_data": data});
            client.send(&json!({"event": "pusher:subscribe", "data": asked}).to_string());
        }
    }
    client.send(r#"{"event":"pusher:ping","data":{}}"#);
    for _ in 0..CHANNELS * 3 {
        let answer = client.next();
        assert!(answer.contains("subscription_succeeded"), "{answer}");
    }
    assert_eq!(client.next(), r#"{"event":"pusher:pong","data":"{}"}"#);
    let took = begin.elapsed();
    assert!(took < SHORT, "{took:?}");
}
