//! What backends and operators do with a client of Pusher Channels in a hub that it shares.

use serde_json::{Value, json};

use super::{Shared, shared};
use crate::rest::JsonClient;

impl Shared {
    fn web_pub_sub_in(&self, group: &str) -> JsonClient {
        let role = "webpubsub.sendToGroup";
        self.nodes
            .client(json!({"sub": "ada", "webpubsub.group": group, "role": role}))
    }
}

#[test]
fn a_client_that_a_backend_closes_is_told_to_stay_away() {
    let shared = shared();
    for (path, method, query, message) in [
        ("connection", "DELETE", "?reason=banned", "banned"),
        (
            "connection",
            "DELETE",
            "",
            "the application has closed the connection",
        ),
        (
            "/groups/a/:closeConnections",
            "POST",
            "?reason=banned",
            "banned",
        ),
        ("/:closeConnections", "POST", "?reason=banned", "banned"),
    ] {
        let mut client = shared.pusher();
        client.subscribe("a");
        let path = match path {
            "connection" => format!("/connections/{}", client.socket_id),
            path => path.to_owned(),
        };
        let closed = shared.nodes.call(method, &format!("{path}{query}"));
        assert_eq!(closed.status, 204, "{closed:?}");
        assert_eq!(client.error(), (json!(4009), message.to_owned()));
        assert_eq!(client.client.close(), (4009, message.to_owned()));
    }
}

#[test]
fn a_client_chooses_its_channels_itself() {
    let shared = shared();
    let mut client = shared.pusher();
    client.subscribe("a");
    let id = client.socket_id.clone();
    for (method, path) in [
        ("PUT", format!("/groups/b/connections/{id}")),
        ("DELETE", format!("/groups/a/connections/{id}")),
        ("DELETE", format!("/connections/{id}/groups")),
        (
            "PUT",
            format!("/permissions/sendToGroup/connections/{id}?targetName=b"),
        ),
        (
            "DELETE",
            format!("/permissions/sendToGroup/connections/{id}?targetName=b"),
        ),
    ] {
        let refused = shared.nodes.call(method, &path);
        assert_eq!(refused.status, 409, "{path}: {refused:?}");
        assert!(
            refused.body.contains("chooses its channels itself"),
            "{refused:?}"
        );
    }
    let path = format!("/permissions/sendToGroup/connections/{id}?targetName=a");
    assert_eq!(shared.nodes.call("HEAD", &path).status, 404);
    // Of many, those that may not be changed are counted.
    let changed = shared
        .nodes
        .send("/:addToGroups", "application/json", r#"{"groups":["b"]}"#);
    assert_eq!(
        (changed.status, changed.header("tieline-refused")),
        (200, Some("1"))
    );
    let changed = shared.nodes.send(
        "/:removeFromGroups",
        "application/json",
        r#"{"groups":["a"]}"#,
    );
    assert_eq!(
        (changed.status, changed.header("tieline-refused")),
        (200, Some("1"))
    );
    shared.nodes.send("/groups/b/:send", "text/plain", "unseen");
    shared.nodes.send("/groups/a/:send", "text/plain", "seen");
    let event = r#"{"event":"message","channel":"a","data":"seen"}"#;
    assert_eq!(client.next(), event);
}

#[test]
fn what_backends_and_other_wires_send_are_events() {
    let shared = shared();
    let mut client = shared.pusher();
    client.subscribe("a");
    let path = format!("/connections/{}/:send", client.socket_id);
    for (path, channel) in [
        ("/groups/a/:send", r#""channel":"a","#),
        (&*path, ""),
        ("/:send", ""),
    ] {
        let sent = shared.nodes.send(path, "application/json", "{\"x\": 1}");
        assert_eq!(sent.status, 202, "{path}");
        let event = format!(r#"{{"event":"message",{channel}"data":"{{\"x\": 1}}"}}"#);
        assert_eq!(client.next(), event, "{path}");
    }
    // And the other way round.
    let mut ada = shared.web_pub_sub_in("private-a");
    client.subscribe("private-a");
    client.send(r#"{"event":"client-x","channel":"private-a","data":{"a":1}}"#);
    let message: Value = ada.next();
    assert_eq!(message["data"], json!({"a": 1}));
    assert_eq!(message["metadata"], json!({"event": "client-x"}));
    assert_eq!(message["fromUserId"], Value::Null);
}
