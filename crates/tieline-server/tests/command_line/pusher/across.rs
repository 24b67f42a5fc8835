//! One hub with clients of Pusher Channels and of Web PubSub, on two nodes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Shared, shared};
use crate::{
    kit::{Client, ask_to_upgrade},
    pusher_http::request::Request,
    rest::{self, JsonClient},
};

impl Shared {
    /// A client with these roles, each after `webpubsub.`.
    pub(super) fn web_pub_sub(&self, roles: &[&str]) -> JsonClient {
        let roles: Vec<_> = roles
            .iter()
            .map(|role| format!("webpubsub.{role}"))
            .collect();
        self.nodes.client(json!({"sub": "ada", "role": roles}))
    }

    /// Sends to a group by the REST API, and returns the status.
    fn send(&self, event: &str) -> rest::Response {
        let headers =
            format!("Content-Type: text/plain\r\nX-WebPubSub-Metadata-Event: {event}\r\n");
        self.nodes.call_with("POST", "/groups/room/:send", &headers)
    }
}

impl JsonClient {
    /// Sends a request, and returns what was wrong with it: the name and the message of the error.
    pub(super) fn ask(&mut self, mut request: Value) -> Option<(String, String)> {
        static ACKS: AtomicU64 = AtomicU64::new(1);
        request["ackId"] = json!(ACKS.fetch_add(1, Ordering::Relaxed));
        self.send(&request.to_string());
        let ack = self.next();
        assert_eq!(ack["type"], "ack", "{ack}");
        if ack["success"] == true {
            return None;
        }
        let text = |name: &str| ack["error"][name].as_str().unwrap().to_owned();
        Some((text("name"), text("message")))
    }

    pub(super) fn join(&mut self, group: &str) -> Option<(String, String)> {
        self.ask(json!({"type": "joinGroup", "group": group}))
    }
}

#[test]
fn events_and_messages_are_the_same_for_both() {
    let shared = shared();
    let mut pusher = shared.pusher();
    pusher.subscribe("room");
    let mut ada = shared.web_pub_sub(&["joinLeaveGroup", "sendToGroup"]);
    assert_eq!(ada.join("room"), None);
    let sends = [
        ("json", json!({"a": 1}), r#""{\"a\":1}""#),
        ("text", json!("hi"), r#""hi""#),
        ("binary", json!("AQID"), r#""AQID""#),
    ];
    for (kind, data, text) in sends {
        for (metadata, name) in [
            (json!({"event": "greeting"}), "greeting"),
            (json!({"x": "y"}), "message"),
        ] {
            let message = json!({
                "type": "sendToGroup", "group": "room", "noEcho": true,
                "dataType": kind, "data": data, "metadata": metadata,
            });
            assert_eq!(ada.ask(message), None);
            let event = format!(r#"{{"event":"{name}","channel":"room","data":{text}}}"#);
            assert_eq!(pusher.next(), event);
        }
    }
    for (sent, kind, data) in [
        (r#"{"a":[1]}"#, "json", json!({"a": [1]})),
        ("hello", "text", json!("hello")),
    ] {
        let event = json!({"name": "price", "channel": "room", "data": sent}).to_string();
        let response = Request::post("/apps/3/events", &event).send(shared.nodes.second_address());
        assert_eq!(response.json(), "{}");
        let message = ada.next();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!(kind), &data)
        );
        assert_eq!(message["metadata"], json!({"event": "price"}));
        pusher.next();
    }
    assert_eq!(shared.send("greeting").status, 202);
    assert!(pusher.next().contains("greeting"));
}

#[test]
fn names_of_the_protocol_are_refused_to_other_wires() {
    let shared = shared();
    let mut pusher = shared.pusher();
    pusher.subscribe("room");
    let mut ada = shared.web_pub_sub(&["joinLeaveGroup", "sendToGroup"]);
    let long = "x".repeat(201);
    let of_the_protocol = ["pusher:error", "pusher_internal:member_added", "client-x"];
    for name in of_the_protocol.iter().copied().chain(["", &long]) {
        let message = json!({
            "type": "sendToGroup", "group": "room", "dataType": "text", "data": "x",
            "metadata": {"event": name},
        });
        let (error, _) = ada.ask(message).unwrap();
        assert_eq!(error, "BadRequest", "{name}");
        let refused = shared.send(name);
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    pusher.lives();
}

#[test]
fn other_clients_join_guarded_groups_only_if_they_are_named() {
    let shared = shared();
    let groups = ["private-a", "presence-a"];
    let mut any = shared.web_pub_sub(&["joinLeaveGroup", "joinLeaveGroups.**"]);
    let mut named = shared.web_pub_sub(&[
        "joinLeaveGroup.private-a",
        "joinLeaveGroup.presence-a",
        "joinLeaveGroup.private-encrypted-a",
        "joinLeaveGroup.#server-to-user-bob",
    ]);
    assert_eq!(any.join("room"), None);
    for group in groups {
        assert_eq!(any.join(group).unwrap().0, "Forbidden", "{group}");
        assert_eq!(named.join(group), None);
        let path = format!(
            "/permissions/joinLeaveGroup/connections/{}?targetName={group}",
            any.id
        );
        assert_eq!(shared.nodes.call("PUT", &path).status, 200);
        assert_eq!(any.join(group), None);
    }
    for group in ["private-encrypted-a", "#server-to-user-bob"] {
        assert_eq!(named.join(group).unwrap().0, "Forbidden", "{group}");
        let group = group.replace('#', "%23");
        for path in [
            format!("/groups/{group}/connections/{}", named.id),
            format!("/users/ada/groups/{group}"),
        ] {
            let refused = shared.nodes.call("PUT", &path);
            assert_eq!(refused.status, 400, "{path}: {refused:?}");
        }
    }
    for (group, status) in [
        ("private-encrypted-a", "403"),
        ("#a", "403"),
        ("private-a", "101"),
    ] {
        let path = rest::client_path(json!({"sub": "ada", "webpubsub.group": group}));
        let (_, head) = ask_to_upgrade(shared.nodes.second_address(), &path, "");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{group}: {head}"
        );
    }
    let many = r##"{"groups":["room","#server-to-user-bob"]}"##;
    let refused = shared.nodes.send("/:addToGroups", "application/json", many);
    assert_eq!(refused.status, 400, "{refused:?}");
    // The backend has named the group.
    let path = format!("/groups/private-b/connections/{}", any.id);
    assert_eq!(shared.nodes.call("PUT", &path).status, 200);
}

#[test]
fn other_clients_send_to_guarded_groups_only_if_they_are_named() {
    let shared = shared();
    let guarded = ["private-a", "presence-a"];
    let of_the_app = ["private-encrypted-a", "#server-to-user-bob"];
    let mut pusher = shared.pusher();
    pusher.subscribe("private-a");
    let send = |client: &mut JsonClient, group: &str| {
        client.ask(json!({
            "type": "sendToGroup", "group": group, "noEcho": true, "dataType": "text", "data": "x",
        }))
    };
    let mut any = shared.web_pub_sub(&["sendToGroup", "sendToGroups.**"]);
    assert_eq!(send(&mut any, "room"), None);
    for group in guarded {
        let (error, why) = send(&mut any, group).unwrap();
        assert_eq!(error, "Forbidden", "{group}");
        assert!(why.contains("webpubsub.sendToGroup.GROUP"), "{why}");
    }
    pusher.lives();
    let roles = guarded.iter().chain(&of_the_app);
    let roles: Vec<_> = roles.map(|group| format!("sendToGroup.{group}")).collect();
    let roles: Vec<_> = roles.iter().map(String::as_str).collect();
    let mut named = shared.web_pub_sub(&roles);
    for group in of_the_app {
        let (error, _) = send(&mut named, group).unwrap();
        assert_eq!(error, "Forbidden", "{group}");
        let path = format!("/groups/{}/:send", group.replace('#', "%23"));
        let answer = shared.nodes.send(&path, "text/plain", "of a backend");
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    for group in guarded {
        assert_eq!(send(&mut named, group), None);
        let grant = format!(
            "/permissions/sendToGroup/connections/{}?targetName={group}",
            any.id
        );
        assert_eq!(shared.nodes.call("PUT", &grant).status, 200);
        assert_eq!(send(&mut any, group), None);
        assert_eq!(shared.nodes.call("DELETE", &grant).status, 204);
        assert_eq!(send(&mut any, group).unwrap().0, "Forbidden");
    }
    for _ in 0..2 {
        let event = r#"{"event":"message","channel":"private-a","data":"x"}"#;
        assert_eq!(pusher.next(), event);
    }
}

#[test]
fn a_simple_client_that_may_not_send_to_a_guarded_group_is_closed() {
    let shared = shared();
    for (group, role, is_closed) in [
        ("private-a", "webpubsub.sendToGroup", true),
        ("private-a", "webpubsub.sendToGroup.private-a", false),
        ("#a", "webpubsub.sendToGroup.#a", true),
    ] {
        let claims = json!({"sub": "ada", "role": [role], "webpubsub.group": "private-a"});
        let path = rest::client_path(claims);
        let group = group.replace('#', "%23");
        let path = format!("{path}&webpubsub_mode=sendToGroup&group={group}");
        let mut simple = Client::simple(shared.nodes.second_address(), &path);
        simple.send("x");
        if is_closed {
            assert_eq!(simple.close_code(), 1008, "{group}");
        } else {
            assert_eq!(simple.text(), "x");
        }
    }
}

#[test]
fn a_hub_without_an_app_has_no_such_names() {
    let nodes = rest::Nodes::with_flags(&[], &[]);
    let role = json!(["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]);
    let mut ada = nodes.client(json!({"sub": "ada", "role": role}));
    for group in ["private-a", "presence-a", "private-encrypted-a", "#a"] {
        assert_eq!(ada.join(group), None);
        let message = json!({
            "type": "sendToGroup", "group": group, "noEcho": true, "dataType": "text", "data": "x",
            "metadata": {"event": "pusher:error"},
        });
        assert_eq!(ada.ask(message), None);
    }
}
