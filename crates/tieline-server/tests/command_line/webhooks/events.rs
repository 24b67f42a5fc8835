//! What a handler is sent.

use std::{collections::BTreeMap, io::Write};

use super::{
    ack, event,
    handler::{Handler, Reply, Seen},
    server_message,
};
use crate::kit::{Client, Server};

/// Checks all headers of an event but its time, which must be one.
fn check_headers(seen: &Seen, expected: &[(&str, &str)]) {
    let mut headers = seen.headers.clone();
    let time = headers.remove("ce-time").unwrap();
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = time.chars().map(shape).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
    headers.remove("host").unwrap();
    let expected = expected.iter();
    let expected: BTreeMap<_, _> = expected
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(headers, expected);
}

#[test]
fn every_event_has_its_headers_and_its_body() {
    let handler = Handler::start(|seen| match seen.event() {
        "connect" => {
            let headers = "ce-connectionState: eyJhIjoxfQ==\r\nSet-Cookie: c=1; Path=/\r\n";
            Reply::Http(204, headers.into(), Vec::new())
        }
        "json.event" => {
            let headers = "ce-connectionState: eyJhIjoyfQ==\r\nContent-Type: text/plain\r\n";
            Reply::Http(200, headers.into(), b"hi".to_vec())
        }
        _ => Reply::nothing(),
    });
    let token = token_file();
    let url = handler.url("/eh/{hub}/{event}?code=hunter2");
    let server = Server::serve(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--hub",
        "Chat",
        "--event-handler",
        &url,
        "--event-handler-groups",
        "g*",
        "--event-handler-origin",
        "ws.example",
        "--event-handler-bearer-file",
        token.path().to_str().unwrap(),
    ]);
    let path = "/client/hubs/chat?user=ada&m=1&m=a%20b&access_token=hunter2";
    let headers = "Sec-WebSocket-Protocol: other, json.webpubsub.azure.v1\r\n\
                   Authorization: Bearer hunter2\r\nX-ASRS-Internal-A: hunter2\r\nX-Mine: 1\r\nX-Mine: 2\r\n";
    let mut client = Client::with_headers(&server.addresses[0], path, headers);

    let connect = handler.expect("connect");
    assert_eq!(connect.path, "/eh/chat/connect?code=hunter2");
    let id = connect.header("ce-connectionid").to_owned();
    let source = format!("/hubs/chat/client/{id}");
    let common = |name, number, length, content_type| {
        vec![
            ("authorization", "Bearer t0ken"),
            ("ce-awpsversion", "1.0"),
            ("ce-connectionid", &*id),
            ("ce-eventname", name),
            ("ce-hub", "chat"),
            ("ce-id", number),
            ("ce-source", &*source),
            ("ce-specversion", "1.0"),
            ("ce-userid", "ada"),
            ("content-length", length),
            ("content-type", content_type),
            ("webhook-request-origin", "ws.example"),
        ]
    };
    let with = |mut headers: Vec<_>, ce_type, state| {
        headers.push(("ce-type", ce_type));
        headers.push(("ce-subprotocol", "json.webpubsub.azure.v1"));
        headers.push(("ce-connectionstate", state));
        headers.push(("cookie", "c=1"));
        headers
    };
    let length = connect.body.len().to_string();
    let mut headers = common("connect", "0", &length, "application/json");
    headers.push(("ce-type", "azure.webpubsub.sys.connect"));
    check_headers(&connect, &headers);
    let host = &server.addresses[0];
    let body = format!(
        r#"{{"claims":{{}},"query":{{"m":["1","a b"],"user":["ada"]}},"headers":{{"connection":["Upgrade"],"host":["{host}"],"sec-websocket-key":["dGhlIHNhbXBsZSBub25jZQ=="],"sec-websocket-protocol":["other, json.webpubsub.azure.v1"],"sec-websocket-version":["13"],"upgrade":["websocket"],"x-mine":["1","2"]}},"subprotocols":["other","json.webpubsub.azure.v1"],"clientCertificates":[]}}"#
    );
    assert_eq!(connect.text(), body);

    let state = "eyJhIjoxfQ==";
    let connected = handler.expect("connected");
    let headers = common("connected", "1", "2", "application/json");
    check_headers(
        &connected,
        &with(headers, "azure.webpubsub.sys.connected", state),
    );
    assert_eq!(connected.text(), "{}");
    let first = client.text();
    assert!(first.contains(&id), "{first}");

    client.send(r#"{"type":"event","event":"json.event","ackId":1,"data":{"a":[1]}}"#);
    let json = handler.expect("json.event");
    assert_eq!(json.path, "/eh/chat/json.event?code=hunter2");
    let headers = common("json.event", "2", "9", "application/json");
    check_headers(
        &json,
        &with(headers, "azure.webpubsub.user.json.event", state),
    );
    assert_eq!(json.text(), r#"{"a":[1]}"#);
    assert_eq!(client.text(), server_message("hi"));
    assert_eq!(client.text(), ack(1));

    let state = "eyJhIjoyfQ==";
    client.send(r#"{"type":"event","event":"b/in","dataType":"binary","data":"AP8="}"#);
    let binary = handler.expect("b/in");
    assert_eq!(binary.path, "/eh/chat/b%2Fin?code=hunter2");
    let headers = common("b/in", "3", "2", "application/octet-stream");
    check_headers(&binary, &with(headers, "azure.webpubsub.user.b/in", state));
    assert_eq!(binary.body, [0, 255]);
    client.send(r#"{"type":"event","event":"t","dataType":"text","data":"\u017e"}"#);
    let text = handler.expect("t");
    let headers = common("t", "4", "2", "text/plain");
    check_headers(&text, &with(headers, "azure.webpubsub.user.t", state));
    assert_eq!(text.text(), "ž");

    for (frame, name, number, ce_type) in [
        (r#""joinGroup","group":"other""#, "", "", ""),
        (
            r#""joinGroup","group":"g1""#,
            "joined",
            "5",
            "azure.webpubsub.gp.joined",
        ),
        (r#""joinGroup","group":"g1""#, "", "", ""),
        (
            r#""leaveGroup","group":"g1""#,
            "left",
            "6",
            "azure.webpubsub.gp.left",
        ),
        (r#""leaveGroup","group":"g1""#, "", "", ""),
    ] {
        client.send(&format!(r#"{{"type":{frame}}}"#));
        if name.is_empty() {
            continue;
        }
        let group = handler.expect(name);
        let headers = common(name, number, "14", "application/json");
        check_headers(&group, &with(headers, ce_type, state));
        assert_eq!(group.text(), r#"{"group":"g1"}"#);
    }
    drop(client);
    let gone = handler.expect("disconnected");
    let length = gone.body.len().to_string();
    let headers = common("disconnected", "7", &length, "application/json");
    check_headers(
        &gone,
        &with(headers, "azure.webpubsub.sys.disconnected", state),
    );
    assert!(gone.text().starts_with(r#"{"reason":""#), "{}", gone.text());
    assert_eq!(handler.rest().len(), 0);
}

fn token_file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"t0ken\n").unwrap();
    file
}

#[test]
fn only_the_events_that_are_asked_for_are_sent() {
    let handler = Handler::start(|_| Reply::nothing());
    let flags = [
        "--event-handler-system-events",
        "disconnected",
        "--event-handler-user-events",
        "a.*,MESSAGE",
    ];
    let server = super::serve(&handler, &flags);
    let mut client = super::connect(&server);
    for (id, name, wanted) in [
        (1, "a.b", true),
        (2, "a.b.c", false),
        (3, "message", true),
        (4, "other", false),
    ] {
        client.send(&event(name, id, "x"));
        let answer = client.text();
        if wanted {
            assert_eq!(answer, ack(id));
            handler.expect(name);
        } else {
            let why = super::failed(&answer, id);
            assert!(why.contains("no event handler"), "{why}");
        }
    }
    client.send(r#"{"type":"joinGroup","group":"g","ackId":9}"#);
    assert_eq!(client.text(), ack(9));
    drop(client);
    assert_eq!(handler.expect("disconnected").header("ce-id"), "3");
}

#[test]
fn a_handler_must_agree_before_it_gets_events() {
    let asks = |seen: &Seen| seen.method == "OPTIONS";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = std::sync::atomic::AtomicBool::new(true);
    let handler = Handler::on(listener, false, move |seen| {
        let first = asks(seen) && refused.swap(false, std::sync::atomic::Ordering::SeqCst);
        let origins = if first {
            "other.example"
        } else {
            "a:1, 127.0.0.1:8080"
        };
        let headers = format!("WebHook-Allowed-Origin: {origins}\r\n");
        Reply::Http(200, headers, Vec::new())
    });
    let server = super::serve(&handler, &["--event-handler-system-events", "connected"]);
    let mut client = super::connect(&server);
    // Nobody waits for it, so it is tried again until the handler agrees.
    for _ in 0..2 {
        let asked = handler.next();
        assert_eq!((&*asked.method, &*asked.path), ("OPTIONS", "/eventhandler"));
        let mut headers = asked.headers.clone();
        headers.remove("host").unwrap();
        let headers: Vec<_> = headers.into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers,
            [
                pair("ce-awpsversion", "1.0"),
                pair("webhook-request-origin", "127.0.0.1")
            ]
        );
    }
    handler.expect("connected");
    client.send(&event("e", 1, "x"));
    assert_eq!(client.text(), ack(1));
    handler.expect("e");
    assert!(!handler.rest().iter().any(asks), "an agreement holds");
}
