//! The events of groups, whoever changes them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::handler::{Handler, Reply, Seen};
use crate::rest::Nodes;

/// Two nodes of a cluster. Clients are on the second, which has the handler; backends ask the first.
fn start(groups: &str, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Nodes, Handler) {
    let handler = Handler::start(reply);
    let url = handler.url("/");
    let flags = ["--event-handler", &url, "--event-handler-groups", groups];
    let nodes = Nodes::with_flags_of_second(&flags);
    // Those of the client that was there until the nodes knew each other.
    while handler.next().event() != "disconnected" {}
    (nodes, handler)
}

/// What a change of a group says: its event, its number, its group.
fn change(seen: &Seen) -> (String, u32, String) {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    (
        seen.event().to_owned(),
        seen.header("ce-id").parse().unwrap(),
        body["group"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn changes_by_a_backend_are_events_like_those_by_the_client() {
    let (nodes, handler) = start("g*", |seen| match seen.event() {
        "connect" => Reply::Http(204, "ce-connectionState: e30=\r\n".into(), Vec::new()),
        _ => Reply::nothing(),
    });
    let mut ada = nodes.client(json!({"sub": "ada", "role": ["webpubsub.joinLeaveGroup"]}));
    handler.expect("connect");
    handler.expect("connected");
    let id = ada.id.clone();
    let json = "application/json";
    let mut number = 1;
    let mut expect = |expected: &[(&str, &str)]| {
        for (event, group) in expected {
            number += 1;
            let seen = handler.next();
            let all = ((*event).to_owned(), number, (*group).to_owned());
            assert_eq!(change(&seen), all);
            assert_eq!(
                seen.header("ce-type"),
                format!("azure.webpubsub.gp.{event}")
            );
            assert_eq!(seen.header("ce-connectionid"), id);
            assert_eq!(seen.header("ce-userid"), "ada");
            assert_eq!(seen.header("ce-connectionstate"), "e30=");
        }
    };
    let member = |group: &str| format!("/groups/{group}/connections/{}", ada.id);
    // A group that is not asked for, one that it is in already, and one that it is not in, are no events.
    nodes.call("PUT", &member("other"));
    for _ in 0..2 {
        assert_eq!(nodes.call("PUT", &member("g1")).status, 200);
    }
    expect(&[("joined", "g1")]);
    for _ in 0..2 {
        assert_eq!(nodes.call("DELETE", &member("g1")).status, 204);
    }
    expect(&[("left", "g1")]);
    nodes.call("PUT", "/users/ada/groups/g2");
    nodes.call("DELETE", "/users/ada/groups/g2");
    expect(&[("joined", "g2"), ("left", "g2")]);
    nodes.send("/:addToGroups", json, r#"{"groups":["g3","g4"]}"#);
    nodes.send("/:removeFromGroups", json, r#"{"groups":["g3"]}"#);
    expect(&[("joined", "g3"), ("joined", "g4"), ("left", "g3")]);
    let all = format!("/connections/{}/groups", ada.id);
    nodes.call("DELETE", &all);
    expect(&[("left", "g4")]);
    // In one order with the events of the client itself.
    ada.send(r#"{"type":"joinGroup","group":"g5","ackId":1}"#);
    assert_eq!(ada.next()["success"], true);
    nodes.call("DELETE", "/users/ada/groups");
    expect(&[("joined", "g5"), ("left", "g5")]);
    drop(ada);
    handler.expect("disconnected");
}

#[test]
fn a_backend_is_not_held_up_by_events_that_wait() {
    let gate = Arc::new(Mutex::new(()));
    let held = Arc::clone(&gate);
    let (nodes, handler) = start("g", move |seen| {
        if seen.event() == "joined" {
            drop(held.lock());
        }
        Reply::nothing()
    });
    let ada = nodes.client(json!({"sub": "ada"}));
    handler.expect("connect");
    handler.expect("connected");
    let member = format!("/groups/g/connections/{}", ada.id);
    let closed = gate.lock();
    for _ in 0..50 {
        assert_eq!(nodes.call("PUT", &member).status, 200);
        assert_eq!(nodes.call("DELETE", &member).status, 204);
    }
    drop(closed);
    drop(ada);
    let mut changes = 0;
    while handler.next().event() != "disconnected" {
        changes += 1;
    }
    // As many as may wait, and the one that was being handled.
    assert!((64..=65).contains(&changes), "{changes}");
}
