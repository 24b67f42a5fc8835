//! The answers of user events, and how they reach the client.

use super::{
    ack, event, failed,
    handler::{Handler, Reply, Seen},
    server_message,
};
use crate::kit::Client;

/// A handler that answers an event by its name.
fn handler() -> Handler {
    Handler::start(|seen| match seen.event() {
        "text" => Reply::of("text/plain; charset=utf-8", "ž"),
        "json" => Reply::of("application/json", r#"{"a": 1}"#),
        "binary" => Reply::of("application/octet-stream", "\0\x01"),
        "noted" => Reply::Http(
            200,
            "Content-Type: text/plain\r\nX-WebPubSub-Metadata-Kind: greeting\r\n".into(),
            b"hi".to_vec(),
        ),
        "note" => Reply::Http(204, "X-WebPubSub-Metadata-a: 1\r\n".into(), Vec::new()),
        "bad-note" => {
            let long = "a".repeat(1025);
            Reply::Http(
                204,
                format!("X-WebPubSub-Metadata-a: {long}\r\n"),
                Vec::new(),
            )
        }
        "empty" => Reply::Http(200, "Content-Type: text/html\r\n".into(), Vec::new()),
        "echo" | "message" => Reply::of("text/plain", seen.text()),
        "html" => Reply::of("text/html", "<p>secret</p>"),
        "untyped" => Reply::Http(200, String::new(), b"x".to_vec()),
        "broken" => Reply::of("application/json", "{"),
        "null" => Reply::of("application/json", "null"),
        "latin" => Reply::Http(200, "Content-Type: text/plain\r\n".into(), vec![0xe9]),
        "huge" => Reply::Http(
            200,
            "Content-Type: text/plain\r\n".into(),
            vec![b'a'; (16 << 20) + 1],
        ),
        name => match name.parse() {
            Ok(status) => Reply::status(status),
            Err(_) => Reply::nothing(),
        },
    })
}

#[test]
fn an_answer_reaches_the_client_before_the_ack() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    let message = |kind, data| {
        format!(r#"{{"type":"message","from":"server","dataType":"{kind}","data":{data}}}"#)
    };
    for (id, name, expected) in [
        (1, "text", Some(message("text", r#""ž""#))),
        (2, "json", Some(message("json", r#"{"a": 1}"#))),
        (3, "binary", Some(message("binary", r#""AAE=""#))),
        (4, "empty", None),
        (5, "nothing", None),
    ] {
        client.send(&event(name, id, ""));
        if let Some(expected) = expected {
            assert_eq!(client.text(), expected);
        }
        assert_eq!(client.text(), ack(id));
    }
    // Without an ack id, only the answer.
    client.send(r#"{"type":"event","event":"echo","dataType":"text","data":"a"}"#);
    assert_eq!(client.text(), server_message("a"));
}

#[test]
fn a_failure_is_a_failed_ack_that_says_no_more_than_the_status() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    let names = [
        "400", "401", "404", "429", "302", "html", "untyped", "broken", "null", "latin", "huge",
    ];
    for (id, name) in (1..).zip(names) {
        client.send(&event(name, id, ""));
        let why = failed(&client.text(), id);
        assert!(why.contains("the event handler"), "{name}: {why}");
        assert!(!why.contains("secret"), "{name}: {why}");
    }
    let system = ["connect", "connected"];
    let seen = handler.rest();
    let names = system.iter().chain(&names);
    assert!(
        seen.iter().map(Seen::event).eq(names.copied()),
        "none is tried again"
    );
    // A failed id may be used again, one that succeeded not.
    client.send(&event("text", 1, ""));
    client.text();
    assert_eq!(client.text(), ack(1));
    client.send(&event("text", 1, ""));
    assert!(client.text().contains(r#""name":"Duplicate""#));
}

#[test]
fn a_simple_client_gets_bare_answers_and_is_closed_on_failure() {
    let handler = Handler::start(|seen| match (seen.event(), &*seen.body) {
        ("message", b"fail") => Reply::status(400),
        ("message", _) => Reply::of("text/plain", seen.text()),
        _ => Reply::nothing(),
    });
    let server = super::serve(&handler, &[]);
    let mut client = Client::simple(&server.addresses[0], "/client/hubs/chat?user=ada");
    client.send("hello");
    assert_eq!(client.text(), "hello");
    client.send("fail");
    assert_eq!(client.close_code(), 1011);
}

#[test]
fn an_invocation_is_an_event_whose_answer_is_its_response() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    let invoke = |id, rest| format!(r#"{{"type":"invoke","invocationId":"{id}",{rest}}}"#);
    let response =
        |id, rest| format!(r#"{{"type":"invokeResponse","invocationId":"{id}","success":{rest}}}"#);
    for (id, rest, expected) in [
        (
            1,
            r#""target":"event","event":"echo","dataType":"text","data":"a""#,
            r#"true,"dataType":"text","data":"a""#,
        ),
        (2, r#""target":"event","event":"nothing""#, "true"),
        (
            3,
            r#""target":"event","event":"400""#,
            r#"false,"error":{"name":"InternalServerError","message":"the event handler answered 400 Bad Request"}"#,
        ),
        (
            4,
            r#""target":"group","event":"echo""#,
            r#"false,"error":{"name":"BadRequest","message":"only events can be invoked: use \"target\":\"event\""}"#,
        ),
        (
            5,
            r#""target":"event","event":"e","dataType":"text","data":"\ud83d""#,
            r#"false,"error":{"name":"BadRequest","message":"the data contains half a surrogate pair, which is not a character"}"#,
        ),
    ] {
        client.send(&invoke(id, rest));
        assert_eq!(client.text(), response(id, expected));
    }
}

#[test]
fn an_answer_may_have_metadata_even_without_a_body() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    for (id, name, expected) in [
        (
            1,
            "noted",
            r#"{"type":"message","from":"server","dataType":"text","data":"hi","metadata":{"kind":"greeting"}}"#,
        ),
        (
            2,
            "note",
            r#"{"type":"message","from":"server","dataType":"text","data":"","metadata":{"a":"1"}}"#,
        ),
    ] {
        client.send(&event(name, id, ""));
        let message: serde_json::Value = serde_json::from_str(&client.text()).unwrap();
        assert_eq!(
            message,
            serde_json::from_str::<serde_json::Value>(expected).unwrap()
        );
        assert_eq!(client.text(), ack(id));
    }
    client.send(&event("bad-note", 3, ""));
    let why = failed(&client.text(), 3);
    assert!(why.contains("more than 1024 characters"), "{why}");
}
