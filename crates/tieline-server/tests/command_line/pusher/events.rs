//! Events: of clients, and how they come to subscribers on all nodes.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Nodes, Pusher, succeeded};
use crate::kit::{Client, DEADLINE};

/// Two subscribers of a channel, on different nodes if there are some.
fn subscribed(nodes: &Nodes, channel: &str) -> [Pusher; 2] {
    nodes.ends().map(|address| {
        let mut client = Pusher::connect(address);
        client.subscribe(channel);
        client
    })
}

#[test]
fn an_event_of_a_client_reaches_all_other_subscribers_unchanged() {
    for nodes in [
        Nodes::one("client_events = true\nmax_client_event_rate = 1000"),
        Nodes::two("client_events = true\nmax_client_event_rate = 1000"),
    ] {
        let [mut one, mut other] = subscribed(&nodes, "private-c");
        let mut elsewhere = Pusher::connect(nodes.address());
        elsewhere.subscribe("private-d");
        for data in [
            "{\"a\": [1, \"ü\"]}",
            "\"{\\\"from\\\": \\\"Java\\\"}\"",
            "[]",
            "7",
            "false",
            "1e400",
        ] {
            for _ in 0..2 {
                one.send(&format!(
                    r#"{{"event":"client-x","data":{data},"channel":"private-c","user_id":"forged","x":1}}"#
                ));
                let event =
                    format!(r#"{{"event":"client-x","channel":"private-c","data":{data}}}"#);
                assert_eq!(other.next(), event);
                std::mem::swap(&mut one, &mut other);
            }
        }
        // Some SDKs throw an exception without data.
        for data in ["", r#","data":null"#] {
            one.send(&format!(
                r#"{{"event":"client-x","channel":"private-c"{data}}}"#
            ));
            let event = r#"{"event":"client-x","channel":"private-c","data":{}}"#;
            assert_eq!(other.next(), event);
        }
        for client in [&mut one, &mut other, &mut elsewhere] {
            client.lives();
        }
    }
}

#[test]
fn an_event_that_breaks_a_rule_is_an_error_and_not_relayed() {
    let nodes = Nodes::one("client_events = true\nmax_event = 100");
    let [mut sender, mut other] = subscribed(&nodes, "private-c");
    for channel in ["public", "private-encrypted-c"] {
        sender.subscribe(channel);
        other.subscribe(channel);
    }
    other.subscribe("private-other");
    let long = format!("client-{}", "x".repeat(194));
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    for (name, channel, data, why) in [
        ("client-x", "public", json!(1), "private and presence"),
        (
            "client-x",
            "private-encrypted-c",
            json!(1),
            "private and presence",
        ),
        (
            "client-x",
            "#server-to-user-1",
            json!(1),
            "private and presence",
        ),
        ("client-x", "a b", json!(1), "private and presence"),
        ("client-x", "private-other", json!(1), "subscribed"),
        ("client-x", "presence-none", json!(1), "subscribed"),
        (&long, "private-c", json!(1), "200 characters"),
        ("client-x", "private-c", json!("x".repeat(99)), "100 bytes"),
    ] {
        sender.send(&json!({"event": name, "channel": channel, "data": data}).to_string());
        let (code, message) = sender.error();
        assert_eq!(code, Value::Null, "{name} {channel}");
        assert!(message.contains(why), "{name} {channel}: {message}");
    }
    for data in [&deep, r#""\ud83d""#] {
        sender.send(&format!(
            r#"{{"event":"client-x","channel":"private-c","data":{data}}}"#
        ));
        assert_eq!(sender.error().0, Value::Null);
    }
    // At the edges, all is well.
    let longest = format!("client-{}", "x".repeat(193));
    let data = json!("x".repeat(98));
    sender.send(&json!({"event": longest, "channel": "private-c", "data": data}).to_string());
    let event = other.next();
    assert!(
        event.contains(&longest) && event.contains(&data.to_string()),
        "{event}"
    );
    sender.lives();
    other.lives();
}

#[test]
fn an_app_without_events_of_clients_refuses_them() {
    let nodes = Nodes::one("");
    let [mut sender, mut other] = subscribed(&nodes, "private-c");
    sender.send(r#"{"event":"client-x","channel":"private-c","data":1}"#);
    let (code, message) = sender.error();
    assert_eq!(code, Value::Null);
    assert!(message.contains("not enabled"), "{message}");
    other.lives();
}

#[test]
fn a_client_sends_so_many_events_a_second() {
    let nodes = Nodes::one("client_events = true\nmax_client_event_rate = 5");
    let [mut sender, mut other] = subscribed(&nodes, "private-c");
    let begun = std::time::Instant::now();
    for n in 0..1000 {
        sender.send(&format!(
            r#"{{"event":"client-x","channel":"private-c","data":{n}}}"#
        ));
    }
    sender.send(r#"{"event":"pusher:ping"}"#);
    let mut refused = 0;
    while let error = sender.next()
        && !error.contains("pusher:pong")
    {
        let frame: Value = serde_json::from_str(&error).unwrap();
        assert_eq!(frame["data"]["code"], 4301, "{error}");
        refused += 1;
    }
    // A bucket of five, and what flowed in meanwhile.
    let most = 5 + 5 * (begun.elapsed().as_secs() + 1);
    let relayed = 1000 - refused;
    assert!(
        (5..=most).contains(&relayed),
        "{relayed} relayed, {most} at most"
    );
    for _ in 0..relayed {
        assert!(other.next().contains("client-x"));
    }
    sender.lives();
    other.lives();
}

#[test]
fn the_answer_to_a_subscription_is_before_any_event_and_after_it_none_is_missed() {
    let nodes = Nodes::two("hub = \"chat\"");
    let [here, there] = nodes.ends();
    let mut sender = Client::connect_to(here, "/client/hubs/chat", Client::JSON);
    assert!(sender.text().contains("connected"));
    let begun = Instant::now();
    let (sent, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) && begun.elapsed() < DEADLINE {
                let number = sent.fetch_add(1, Ordering::SeqCst) + 1;
                let frame =
                    json!({"type": "sendToGroup", "group": "a", "data": number, "ackId": number});
                sender.send(&frame.to_string());
                assert!(sender.text().contains("ack"));
            }
        });
        for _ in 0..30 {
            let mut client = Pusher::connect(there);
            client.ask_to_subscribe("a");
            assert_eq!(client.next(), succeeded("a"));
            let sent = sent.load(Ordering::SeqCst);
            let mut last = None;
            for _ in 0..5 {
                let event: Value = serde_json::from_str(&client.next()).unwrap();
                assert_eq!(event["event"], "message");
                let number = event["data"].as_str().unwrap().parse::<u64>().unwrap();
                // Of those before the answer, some may come. Of those after it, all do.
                let is_next = last.is_some_and(|last| number == last + 1);
                assert!(
                    is_next || number <= sent + 1,
                    "{number} after {last:?}, {sent}"
                );
                last = Some(number);
            }
        }
        stopped.store(true, Ordering::Relaxed);
    });
    // What the other node publishes once the answer is there arrives.
    for round in 0..30 {
        let channel = format!("room-{round}");
        let mut client = Pusher::connect(there);
        client.subscribe(&channel);
        let mut sender = Client::connect_to(here, "/client/hubs/chat", Client::JSON);
        let frame = json!({"type": "sendToGroup", "group": channel, "data": "x"});
        sender.send(&frame.to_string());
        let event = format!(r#"{{"event":"message","channel":"{channel}","data":"\"x\""}}"#);
        assert_eq!(client.next(), event);
    }
}
