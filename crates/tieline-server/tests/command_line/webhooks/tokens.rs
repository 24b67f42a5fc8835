//! Keys, tokens and roles, as handlers see them.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{
    ack,
    handler::{Handler, Reply},
};
use crate::{
    kit::{Client, Server, tieline},
    tokens::{KEY, SECONDARY, token},
};

/// A server with both access keys.
fn serve(handler: &Handler) -> Server {
    let url = handler.url("/eventhandler");
    let mut command = tieline(&["serve", "--listen", "127.0.0.1:0", "--event-handler", &url]);
    command.env("TIELINE_KEY", KEY);
    command.env("TIELINE_SECONDARY_KEY", SECONDARY);
    Server::start(command, drop)
}

fn connect(server: &Server, answer: &str, claims: Value) -> Client {
    let token = token(claims);
    let path = format!("/client/hubs/chat?answer={answer}&access_token={token}");
    let mut client = Client::connect(server, &path, Client::JSON);
    assert!(client.text().contains(r#""event":"connected""#));
    client
}

#[test]
fn both_keys_sign_and_the_claims_are_shown_without_the_token() {
    let handler = Handler::start(|_| Reply::nothing());
    let server = serve(&handler);
    let claims = json!({
        "sub": "ada", "role": ["r1", "r2"], "webpubsub.group": "g", "exp": 4_000_000_000_u32,
        "own": {"a": 1}, "none": null, "admin": true,
    });
    let _client = connect(&server, "", claims);
    let connect = handler.expect("connect");
    let body: Value = serde_json::from_str(connect.text()).unwrap();
    let expected = json!({
        "sub": ["ada"], "role": ["r1", "r2"], "webpubsub.group": ["g"], "exp": ["4000000000"],
        "aud": ["http://any.example/client/hubs/chat"], "own": [r#"{"a":1}"#], "none": [],
        "admin": ["true"],
    });
    assert_eq!(body["claims"], expected);
    assert_eq!(body["query"], json!({"answer": [""]}));
    assert!(!connect.text().contains("eyJ"), "{}", connect.text());
    assert_eq!(connect.header("ce-userid"), "ada");

    let id = connect.header("ce-connectionid");
    let signature = |key: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let tag = hmac::sign(&key, id.as_bytes());
        let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
        format!("sha256={}", hex.collect::<String>())
    };
    let both = format!("{},{}", signature(KEY), signature(SECONDARY));
    assert_eq!(connect.header("ce-signature"), both);
    assert_eq!(handler.expect("connected").header("ce-signature"), both);
}

#[test]
fn the_answer_replaces_roles_and_groups_if_it_has_any() {
    let handler = Handler::start(|seen| {
        let answer = seen.text().split(r#""answer":[""#).nth(1);
        match answer.and_then(|rest| rest.split('"').next()) {
            Some("none") => Reply::of("application/json", r#"{"roles":[],"groups":[]}"#),
            Some("some") => {
                let answer = r#"{"roles":["webpubsub.sendToGroup.g2"],"groups":["g2"]}"#;
                Reply::of("application/json", answer)
            }
            _ => Reply::nothing(),
        }
    });
    let server = serve(&handler);
    // By its token, each may send to g1, and is in it.
    for (answer, group, may_send) in [
        ("", "g1", true),
        ("", "g2", false),
        ("none", "g1", false),
        ("some", "g1", false),
        ("some", "g2", true),
    ] {
        let claims = json!({"role": "webpubsub.sendToGroup.g1", "webpubsub.group": ["g1"]});
        let mut client = connect(&server, answer, claims);
        client.send(&format!(
            r#"{{"type":"sendToGroup","group":"{group}","data":1,"ackId":1}}"#
        ));
        let reply = client.text();
        if may_send {
            let message = format!(r#""from":"group","group":"{group}""#);
            assert!(reply.contains(&message), "{answer} {group}: {reply}");
            assert_eq!(client.text(), ack(1));
        } else {
            assert!(reply.contains("Forbidden"), "{answer} {group}: {reply}");
        }
    }
}
