//! Frames of a client that are about no channel, and such as there are none.

use serde_json::Value;

use super::Nodes;
use crate::kit::{Client, ask_to_upgrade};

#[test]
fn every_ping_is_answered_also_one_that_comes_before_anything_else() {
    let nodes = Nodes::one("");
    let (socket, _) = ask_to_upgrade(nodes.address(), &super::path(), "");
    let mut client = Client(socket);
    // As Pysher does, which does not wait for the first frame.
    client.send(r#"{"event":"pusher:ping","data":""}"#);
    let mut client = super::Pusher::over(client);
    assert_eq!(client.next(), r#"{"event":"pusher:pong","data":"{}"}"#);
    for ping in [
        r#"{"event":"pusher:ping","data":{}}"#,
        r#"{"event": "pusher:ping"}"#,
        r#"{"event":"pusher:ping","data":null,"channel":null}"#,
    ] {
        client.send(ping);
        assert_eq!(client.next(), r#"{"event":"pusher:pong","data":"{}"}"#);
    }
    client.send(r#"{"event":"pusher:pong","data":"{}"}"#);
    client.lives();
}

#[test]
fn junk_is_an_error_without_a_code_and_the_connection_lives() {
    let nodes = Nodes::one("client_events = true");
    let mut client = nodes.client();
    for junk in [
        "",
        "x",
        "null",
        "7",
        "[]",
        "{}",
        r#"["pusher:ping"]"#,
        r#"{"event":null}"#,
        r#"{"event":7,"data":{}}"#,
        r#"{"event":"message","data":"x"}"#,
        r#"{"event":"pusher:nonsense","data":{}}"#,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#,
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":null}"#,
        r#"{"event":"pusher:subscribe","data":"a"}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":null}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":7}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":["a"]}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"a","channel_data":{}}}"#,
        r#"{"event":"pusher:unsubscribe","data":{"channel":null}}"#,
        r#"{"event":"pusher:unsubscribe","data":null}"#,
        r#"{"event":"client-x","channel":null,"data":null}"#,
        r#"{"event":"client-x","data":{}}"#,
        r#"{"event":"pusher:signin","data":null}"#,
    ] {
        client.send(junk);
        let (code, message) = client.error();
        assert_eq!(code, Value::Null, "{junk}");
        assert!(!message.is_empty(), "{junk}");
    }
    client.client.send_binary(br#"{"event":"pusher:ping"}"#);
    assert_eq!(client.error().0, Value::Null);
    client.lives();
}

#[test]
fn a_client_that_is_gone_without_a_word_is_noticed_by_pings_of_websocket() {
    let flags = ["--ping-interval", "1", "--ping-timeout", "1"];
    let nodes = Nodes::with("", "", &flags);
    let mut client = nodes.client();
    // It answers no ping. The code is for one that is there all the same.
    assert_eq!(client.client.close_code(), 4201);
}
