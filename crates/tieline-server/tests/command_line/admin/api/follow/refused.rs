//! What a client that is followed is not given, and why.

use serde_json::json;

use super::{Nodes, Trace, list};
use crate::{
    admin::Node,
    kit::Client,
    pusher::{self, KEY},
};

#[test]
fn a_client_of_an_app_is_followed_in_its_channels() {
    let (_folder, file) = pusher::configuration("client_events = true", "");
    let admin = ["--admin-listen", "127.0.0.1:0"];
    let node = Node::serve(&[&["--config", &*file], &admin[..]].concat());
    let mut client = Client::connect(&node.server, &format!("/app/{KEY}?protocol=7"), "pusher");
    let opened = client.text();
    let id = opened.split(r#"socket_id\":\""#).nth(1).unwrap();
    let id = id.split('\\').next().unwrap();
    let trace = Trace::start(&node.admin, &["--connection", id, "--json"]);
    trace.event_of("following");
    let mut asks = |event: &str, channel: &str| {
        client.send(&format!(
            r#"{{"event":"pusher:{event}","data":{{"channel":"{channel}"}}}}"#
        ));
    };
    asks("subscribe", "news");
    // The answer is sent in pieces.
    let (mut pieces, mut has_joined) = (0, false);
    while pieces < 2 || !has_joined {
        let event = trace.event();
        match event["what"].as_str().unwrap() {
            "joined" => has_joined = true,
            "sent" => {
                assert_eq!(event["frame"], "fragment");
                let kind = "pusher_internal:subscription_succeeded";
                assert_eq!(event["type"], kind, "{event}");
                pieces += 1;
            }
            _ => continue,
        }
        assert_eq!(event["group"], "news");
    }
    asks("unsubscribe", "news");
    assert_eq!(trace.event_of("left")["group"], "news");
    asks("subscribe", "private-news");
    assert_eq!(trace.event_of("refused")["error"], "AuthError");
    client.send(r#"{"event":"client-typing","channel":"private-news","data":{}}"#);
    let refused = trace.event_of("refused");
    assert_eq!(refused["error"], "BadRequest", "{refused}");
    client.send("no JSON");
    assert_eq!(trace.event_of("refused")["error"], "BadRequest");
}

#[test]
fn a_client_that_is_closed_for_a_malformed_message_is_told_of() {
    let nodes = Nodes::start(&[]);
    let (mut client, _) = nodes.client("ada");
    let trace = Trace::start(&nodes.first.admin, &["--user", "ada", "--json"]);
    trace.is_following();
    client.send(r#"{"type":"joinGroup","group":"lobby","ackId":"x"}"#);
    let refused = trace.event_of("refused");
    assert_eq!(refused["error"], "BadRequest");
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("ackId"), "{why}");
    assert_eq!(trace.event_of("closed")["code"], 1007);
    let answer = nodes.ask("/api/refusals");
    let [cut] = list(&answer, "refusals") else {
        panic!("{answer}");
    };
    assert_eq!(
        (&cut["what"], &cut["hub"]),
        (&json!("connection_cut"), &json!("chat"))
    );
    assert!(cut["reason"].as_str().unwrap().contains("ackId"), "{cut}");
}

#[test]
fn a_message_that_misses_a_node_is_told_and_counted() {
    let nodes = Nodes::start(&[]);
    let group = r#"{"type":"joinGroup","group":"lobby","ackId":1}"#;
    let (mut receiver, _) = nodes.client("ada");
    receiver.send(group);
    receiver.text();
    let first = &nodes.first;
    let mut sender = Client::connect(&first.server, "/client/hubs/chat?user=bob", Client::JSON);
    sender.text();
    let trace = Trace::start(&first.admin, &["--user", "bob", "--json"]);
    trace.is_following();
    let missed = || first.page().value("tieline_nodes_missed_total");
    assert_eq!(missed(), Some(0.0));
    let other = nodes.other();
    nodes.second.server.signal("KILL");
    // The client gets an ack, which has no place for it.
    for ack in 1..=3 {
        sender.send(&format!(
            r#"{{"type":"sendToGroup","group":"lobby","ackId":{ack},"dataType":"text","data":"x"}}"#
        ));
        assert!(sender.text().contains(r#""success":true"#));
    }
    for _ in 0..3 {
        let event = trace.event_of("not_reached");
        assert_eq!(event["peer"], json!(other));
        let why = event["message"].as_str().unwrap();
        assert!(["unknown", "unreachable"].contains(&why), "{event}");
    }
    assert_eq!(missed(), Some(3.0));
}
