//! Roles: what a client may do.

use serde_json::json;

use super::{HUB, ack, json_client, serve, token};
use crate::kit::Client;

pub(super) fn join(group: &str) -> String {
    format!(r#""type":"joinGroup","group":"{group}""#)
}

fn leave(group: &str) -> String {
    format!(r#""type":"leaveGroup","group":"{group}""#)
}

pub(super) fn send(group: &str) -> String {
    format!(r#""type":"sendToGroup","group":"{group}","dataType":"text","data":"x","noEcho":true"#)
}

#[test]
fn roles_decide_what_a_client_may_do() {
    let server = serve(&[]);
    let both = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
    for (roles, operation, permitted) in [
        (json!([]), join("g"), false),
        (json!([]), leave("g"), false),
        (json!([]), send("g"), false),
        (json!(both), join("g"), true),
        (json!(both), leave("g"), true),
        (json!(both), send("g"), true),
        (json!("webpubsub.sendToGroup"), join("g"), false),
        (json!(["webpubsub.joinLeaveGroup.g"]), join("g"), true),
        (json!(["webpubsub.joinLeaveGroup.g"]), join("gg"), false),
        (json!(["webpubsub.joinLeaveGroup.g"]), send("g"), false),
        (json!(["webpubsub.sendToGroups.a.*"]), send("a.b"), true),
        (json!(["webpubsub.sendToGroups.a.*"]), send("a.b.c"), false),
        (json!(["webpubsub.sendToGroups.a.**"]), send("a.b.c"), true),
        (json!(["webpubsub.everything"]), send("g"), false),
    ] {
        let mut client = json_client(&server, json!({"role": roles}));
        assert!(client.text().contains("connected"));
        let answer = ack(&mut client, 1, &operation);
        if permitted {
            assert_eq!(
                answer, r#"{"type":"ack","ackId":1,"success":true}"#,
                "{roles} {operation}"
            );
        } else {
            assert!(
                answer.contains(r#""name":"Forbidden""#),
                "{roles} {operation}: {answer}"
            );
            assert!(
                answer.contains("webpubsub."),
                "it says what is missing: {answer}"
            );
        }
    }
}

#[test]
fn a_forbidden_operation_is_not_carried_out() {
    let server = serve(&[]);
    let mut member = json_client(&server, json!({"webpubsub.group": "g"}));
    assert!(member.text().contains("connected"));
    let mut stranger = json_client(&server, json!({"role": "webpubsub.sendToGroup.own"}));
    assert!(stranger.text().contains("connected"));
    assert!(ack(&mut stranger, 1, &send("g")).contains("Forbidden"));
    assert!(ack(&mut stranger, 2, &join("g")).contains("Forbidden"));
    assert!(ack(&mut member, 1, &leave("g")).contains("Forbidden"));
    // The member is still in the group, the stranger is not, and nothing came before.
    let mut sender = json_client(
        &server,
        json!({"role": "webpubsub.sendToGroup", "sub": "ada"}),
    );
    assert!(sender.text().contains("connected"));
    assert!(ack(&mut sender, 1, &send("g")).contains("true"));
    assert!(member.text().contains(r#""fromUserId":"ada""#));
    stranger.send(r#"{"type":"ping"}"#);
    assert_eq!(stranger.text(), r#"{"type":"pong"}"#);
}

#[test]
fn a_simple_client_needs_the_role_too() {
    let server = serve(&[]);
    let mode = "webpubsub_mode=sendToGroup&group=g";
    let connect = |role: &str| {
        let token = token(json!({"role": role, "webpubsub.group": "g"}));
        let path = format!("{HUB}?{mode}&access_token={token}");
        Client::simple(&server.addresses[0], &path)
    };
    let mut permitted = connect("webpubsub.sendToGroup.g");
    permitted.send("hello");
    assert_eq!(permitted.text(), "hello");
    let mut forbidden = connect("webpubsub.joinLeaveGroup");
    forbidden.send("hello");
    assert_eq!(forbidden.close_code(), 1008);
}
