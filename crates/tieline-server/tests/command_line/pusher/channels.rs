//! Subscriptions to public, private and encrypted channels.

use serde_json::{Value, json};

use super::{KEY, Nodes, SECRET, is_told_twice, signature, succeeded};
use crate::kit::Client;

const PRIVATE: [&str; 3] = ["private-a", "private-encrypted-a", "private-encrypted-b"];

#[test]
fn the_signature_is_that_of_the_documentation() {
    let expected = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
    assert_eq!(signature("1234.1234:private-foobar"), expected);
}

#[test]
fn a_channel_is_subscribed_to_if_its_kind_and_its_signature_permit() {
    let nodes = Nodes::two("");
    for address in nodes.ends() {
        let mut client = super::Pusher::connect(address);
        let longest = "x".repeat(200);
        for channel in ["pub", "A0_-=@,.;", &longest] {
            client.subscribe(channel);
        }
        PRIVATE.iter().for_each(|channel| client.subscribe(channel));
        client.send(r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"b"}}"#);
        assert_eq!(client.next(), succeeded("b"));
        client.send(r#"{"event":"pusher:subscribe","data":{"auth":7,"channel":"c"}}"#);
        assert_eq!(client.next(), succeeded("c"));
        // The data is signed as it was sent, blanks and all.
        for data in ["{\"user_id\" : \"ü\"} ", "no JSON", ""] {
            let channel = "private-data";
            let auth = client.auth(channel, Some(data));
            let asked = json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth, "channel_data": data}});
            client.send(&asked.to_string());
            assert_eq!(client.next(), succeeded(channel), "{data:?}");
            let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": channel}});
            client.send(&leave.to_string());
        }
        client.lives();
    }
}

#[test]
fn a_false_signature_is_told_twice_and_the_connection_lives() {
    let nodes = Nodes::one("");
    let mut client = nodes.client();
    for channel in PRIVATE {
        let good = client.auth(channel, None);
        let (_, hex) = good.split_once(':').unwrap();
        for auth in [
            Value::Null,
            json!(7),
            json!({}),
            json!(""),
            json!("nonsense"),
            json!(hex),
            json!(format!("other:{hex}")),
            json!(format!(":{hex}")),
            json!(format!("{KEY}:")),
            json!(good.to_uppercase()),
            json!(format!("{KEY}:{}", hex.to_uppercase())),
            json!(format!("{good}0")),
            json!(&good[..good.len() - 1]),
            json!(client.auth("private-other", None)),
            json!(client.auth(channel, Some("{}"))),
            // Of another connection.
            json!(format!("{KEY}:{}", signature(&format!("1.1:{channel}")))),
        ] {
            let asked =
                json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}});
            client.send(&asked.to_string());
            let message = is_told_twice(&mut client, channel, "AuthError", 401);
            assert!(message.starts_with("Invalid signature"), "{message}");
            assert!(
                !message.contains(SECRET) && !message.contains(hex),
                "{message}"
            );
        }
        client.subscribe(channel);
    }
    // Without a signature at all.
    let asked = json!({"event": "pusher:subscribe", "data": {"channel": "private-b"}});
    client.send(&asked.to_string());
    is_told_twice(&mut client, "private-b", "AuthError", 401);
    client.lives();
}

#[test]
fn a_name_that_no_channel_has_is_an_error() {
    let nodes = Nodes::one("");
    let mut client = nodes.client();
    let long = "x".repeat(201);
    for channel in [
        "",
        " ",
        "a b",
        "ä",
        "a/b",
        "a\0",
        "#a",
        "#server-to-user-",
        &long,
    ] {
        client.ask_to_subscribe(channel);
        let (code, message) = client.error();
        assert_eq!(code, Value::Null);
        assert!(
            message.contains("name of a channel"),
            "{channel:?}: {message}"
        );
    }
    client.lives();
}

#[test]
fn a_second_subscription_is_an_error_and_the_end_of_none_is_silent() {
    let nodes = Nodes::one("hub = \"chat\"");
    let mut client = nodes.client();
    client.subscribe("a");
    client.ask_to_subscribe("a");
    let (code, message) = client.error();
    assert_eq!(code, Value::Null);
    assert_eq!(message, "Existing subscription to channel a");
    let mut sender = Client::connect_to(nodes.address(), "/client/hubs/chat", Client::JSON);
    let mut publish = |text: &str| {
        sender.send(&json!({"type": "sendToGroup", "group": "a", "data": text}).to_string());
    };
    publish("once");
    let event = r#"{"event":"message","channel":"a","data":"\"once\""}"#;
    assert_eq!(client.next(), event);
    for channel in ["a", "a", "never", "", "private-x"] {
        let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": channel}});
        client.send(&leave.to_string());
    }
    client.lives();
    publish("unseen");
    // Back to back, as SDKs do it.
    for _ in 0..20 {
        client.ask_to_subscribe("b");
        client.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"b"}}"#);
    }
    for _ in 0..20 {
        assert_eq!(client.next(), succeeded("b"));
    }
    client.lives();
}

#[test]
fn a_client_has_so_many_subscriptions() {
    let nodes = Nodes::with("", "", &["--max-groups", "3"]);
    let mut client = nodes.client();
    for channel in ["a", "b", "c"] {
        client.subscribe(channel);
    }
    client.ask_to_subscribe("d");
    let message = is_told_twice(&mut client, "d", "LimitReached", 403);
    assert!(message.contains('3'), "{message}");
    client.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"b"}}"#);
    client.subscribe("d");
    client.lives();
}
