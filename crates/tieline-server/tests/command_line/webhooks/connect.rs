//! The answer of `connect`, and what becomes of it.

use std::io::Write;

use super::handler::{Handler, Reply};
use crate::kit::{Client, Server, ask_to_upgrade};

/// A handler that answers `connect` by the query `?answer=` of the client.
fn handler() -> Handler {
    Handler::start(|seen| {
        let json = |body: &str| Reply::of("application/json; charset=utf-8", body);
        let answer = seen.text().split(r#""answer":[""#).nth(1);
        match answer.and_then(|rest| rest.split('"').next()) {
            Some("user") => json(r#"{"userId":"grace","groups":["g1","g2"],"other":1}"#),
            Some("nobody") => json(r#"{"userId":"","groups":null,"subprotocol":""}"#),
            Some("raw") => json(r#"{"subprotocol":"Mine.v1"}"#),
            Some("empty") => Reply::Http(200, String::new(), Vec::new()),
            Some("json") => json("{"),
            Some("list") => json("["),
            Some("group") => json(r#"{"groups":["g",""]}"#),
            Some("groups") => json(&format!(r#"{{"groups":[{}"g"]}}"#, r#""g","#.repeat(1000))),
            Some("long") => json(&format!(r#"{{"userId":"{}"}}"#, "u".repeat(1025))),
            Some("foreign") => json(r#"{"subprotocol":"not.offered"}"#),
            Some("huge") => Reply::Http(200, String::new(), vec![b' '; (16 << 20) + 1]),
            Some(status) => match status.parse() {
                Ok(status) => Reply::status(status),
                Err(_) => Reply::nothing(),
            },
            None => Reply::nothing(),
        }
    })
}

fn ask(server: &Server, answer: &str) -> String {
    let path = format!("/client/hubs/chat?user=ada&answer={answer}");
    let headers = "Sec-WebSocket-Protocol: mine.v1, json.webpubsub.azure.v1\r\n";
    let (mut socket, mut head) = ask_to_upgrade(&server.addresses[0], &path, headers);
    if !head.starts_with("HTTP/1.1 101") {
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        std::io::Read::read_to_string(&mut socket, &mut head).unwrap();
    }
    head
}

#[test]
fn an_answer_without_a_body_changes_nothing() {
    let (handler, headers) = (
        handler(),
        "Sec-WebSocket-Protocol: mine.v1, json.webpubsub.azure.v1\r\n",
    );
    let server = super::serve(&handler, &[]);
    for answer in ["", "empty"] {
        let path = format!("/client/hubs/chat?user=ada&answer={answer}");
        let mut client = Client::with_headers(&server, &path, headers);
        assert!(client.text().contains(r#""userId":"ada""#));
    }
}

#[test]
fn an_answer_names_the_user_and_the_groups() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    let path = "/client/hubs/chat?user=ada&answer=user";
    let mut client = Client::connect(&server, path, Client::JSON);
    assert!(client.text().contains(r#""userId":"grace""#));
    handler.expect("connect");
    assert_eq!(handler.expect("connected").header("ce-userid"), "grace");
    let mut other = super::connect(&server);
    for group in ["g1", "g2"] {
        other.send(&format!(
            r#"{{"type":"sendToGroup","group":"{group}","data":1}}"#
        ));
        assert!(client.text().contains(&format!(r#""group":"{group}""#)));
    }

    let path = "/client/hubs/chat?user=ada&answer=nobody";
    let mut client = Client::connect(&server, path, Client::JSON);
    assert!(!client.text().contains("userId"));
}

#[test]
fn a_subprotocol_of_the_handler_makes_a_simple_client() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    // In the client's spelling.
    let path = "/client/hubs/chat?user=ada&answer=raw";
    let mut client = Client::connect(&server, path, "mine.v1");
    handler.expect("connect");
    let connected = handler.expect("connected");
    assert_eq!(connected.header("ce-subprotocol"), "mine.v1");
    client.send("bare");
    let event = handler.expect("message");
    assert_eq!(
        (event.text(), event.header("content-type")),
        ("bare", "text/plain")
    );
}

#[test]
fn a_refusal_is_passed_on_without_its_body() {
    let handler = handler();
    let server = super::serve(&handler, &["--event-handler-connect-timeout", "1"]);
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let answer = ask(&server, &status.to_string());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(!answer.contains("secret"), "{answer}");
        handler.expect("connect");
    }
    assert_eq!(handler.rest().len(), 0, "no event of a refused client");
}

#[test]
fn an_answer_that_makes_no_sense_is_a_500() {
    let handler = handler();
    let server = super::serve(&handler, &[]);
    for answer in [
        "json", "list", "group", "groups", "long", "foreign", "302", "304", "huge",
    ] {
        let response = ask(&server, answer);
        assert!(
            response.starts_with("HTTP/1.1 500 "),
            "{answer}: {response}"
        );
        assert!(response.contains("the event handler"), "{response}");
        handler.expect("connect");
    }
    assert_eq!(handler.rest().len(), 0, "none is tried again");
}
