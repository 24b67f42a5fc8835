//! What a handler is sent.

use std::{collections::BTreeMap, io::Write};

use super::{
    ack, event,
    handler::{Handler, Reply, Seen},
    server_message,
};
use crate::kit::{Client, Server};

/// The state that a handler has set last: `{"a":1}`, then `{"a":2}`.
const STATES: [&str; 2] = ["eyJhIjoxfQ==", "eyJhIjoyfQ=="];

/// A client whose handler wants all events, sets states and a cookie, and needs a token.
struct Scene {
    handler: Handler,
    server: Server,
    client: Client,
    /// The id of the connection.
    id: String,
    connect: Seen,
}

impl Scene {
    fn start() -> Self {
        let handler = Handler::start(|seen| match seen.event() {
            "connect" => {
                let state = STATES[0];
                let headers = format!("ce-connectionState: {state}\r\nSet-Cookie: c=1; Path=/\r\n");
                Reply::Http(204, headers, Vec::new())
            }
            "json.event" => {
                let state = STATES[1];
                let headers =
                    format!("ce-connectionState: {state}\r\nContent-Type: text/plain\r\n");
                Reply::Http(200, headers, b"hi".to_vec())
            }
            _ => Reply::nothing(),
        });
        let token = token_file();
        let url = handler.url("/eh/{hub}/{event}?code=hunter2");
        let token = token.path().to_str().unwrap();
        let mut flags = vec!["serve", "--listen", "127.0.0.1:0"];
        flags.extend(["--event-handler", &url, "--event-handler-groups", "g*"]);
        flags.extend(["--event-handler-origin", "ws.example"]);
        flags.extend(["--event-handler-bearer-file", token]);
        let server = Server::serve(&flags);
        let path = "/client/hubs/Chat?user=ada&m=1&m=a%20b";
        let headers = "Sec-WebSocket-Protocol: other, json.webpubsub.azure.v1\r\n\
                       Authorization: Basic hunter2\r\nX-ASRS-Internal-A: hunter2\r\n\
                       X-Mine: 1\r\nX-Mine: 2\r\n";
        let client = Client::with_headers(&server, path, headers);
        let connect = handler.expect("connect");
        Self {
            id: connect.header("ce-connectionid").to_owned(),
            handler,
            server,
            client,
            connect,
        }
    }

    /// The next event, whose headers must be these and those that all have. What is kept of the connection is
    /// sent with all but `connect`.
    fn expect(&self, event: &str, number: u32, state: &str, headers: &[(&str, &str)]) -> Seen {
        let seen = self.handler.expect(event);
        let kept = [
            ("ce-subprotocol", "json.webpubsub.azure.v1"),
            ("ce-connectionstate", state),
            ("cookie", "c=1"),
        ];
        self.check(&seen, number, &[&kept, headers].concat());
        seen
    }

    /// Checks all headers of an event; its time must be one.
    fn check(&self, seen: &Seen, number: u32, more: &[(&str, &str)]) {
        let mut headers = seen.headers.clone();
        let time = headers.remove("ce-time").unwrap();
        let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let shape: String = time.chars().map(shape).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
        headers.remove("host").unwrap();
        let (number, length) = (number.to_string(), seen.body.len().to_string());
        let source = format!("/hubs/chat/client/{}", self.id);
        let common = [
            ("authorization", "Bearer t0ken"),
            ("ce-awpsversion", "1.0"),
            ("ce-connectionid", &*self.id),
            ("ce-eventname", seen.event()),
            ("ce-hub", "chat"),
            ("ce-id", &*number),
            ("ce-source", &*source),
            ("ce-specversion", "1.0"),
            ("ce-userid", "ada"),
            ("content-length", &*length),
            ("webhook-request-origin", "ws.example"),
        ];
        let expected = common.iter().chain(more);
        let expected: BTreeMap<_, _> = expected
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(headers, expected);
    }
}

/// The headers that say what a system event or a change of a group is.
fn json(ce_type: &str) -> [(&str, &str); 2] {
    [("ce-type", ce_type), ("content-type", "application/json")]
}

#[test]
fn system_events_have_their_headers_and_bodies() {
    let scene = Scene::start();
    let connect = &scene.connect;
    assert_eq!(connect.path, "/eh/chat/connect?code=hunter2");
    scene.check(connect, 0, &json("azure.webpubsub.sys.connect"));
    let host = &scene.server.addresses[0];
    let body = format!(
        r#"{{"claims":{{}},"query":{{"m":["1","a b"],"user":["ada"]}},"headers":{{"connection":["Upgrade"],"host":["{host}"],"sec-websocket-key":["dGhlIHNhbXBsZSBub25jZQ=="],"sec-websocket-protocol":["other, json.webpubsub.azure.v1"],"sec-websocket-version":["13"],"upgrade":["websocket"],"x-mine":["1","2"]}},"subprotocols":["other","json.webpubsub.azure.v1"],"clientCertificates":[]}}"#
    );
    assert_eq!(connect.text(), body);

    let headers = json("azure.webpubsub.sys.connected");
    let connected = scene.expect("connected", 1, STATES[0], &headers);
    assert_eq!(connected.text(), "{}");

    let Scene {
        client, handler, ..
    } = scene;
    drop(client);
    let gone = handler.expect("disconnected");
    assert_eq!(gone.header("ce-type"), "azure.webpubsub.sys.disconnected");
    assert_eq!(gone.header("ce-id"), "2");
    assert!(gone.text().starts_with(r#"{"reason":""#), "{}", gone.text());
    assert!(gone.text().ends_with(r#""}"#), "{}", gone.text());
    assert_eq!(handler.rest().len(), 0);
}

#[test]
fn events_of_clients_have_their_headers_and_bodies() {
    let mut scene = Scene::start();
    assert!(scene.client.text().contains(&scene.id));
    scene.handler.expect("connected");
    let send = |scene: &mut Scene, rest: &str| {
        scene.client.send(&format!(r#"{{"type":"event",{rest}}}"#));
    };

    send(
        &mut scene,
        r#""event":"json.event","ackId":1,"data":{"a":[1]}"#,
    );
    let headers = json("azure.webpubsub.user.json.event");
    let seen = scene.expect("json.event", 2, STATES[0], &headers);
    assert_eq!(seen.path, "/eh/chat/json.event?code=hunter2");
    assert_eq!(seen.text(), r#"{"a":[1]}"#);
    assert_eq!(scene.client.text(), server_message("hi"));
    assert_eq!(scene.client.text(), ack(1));

    send(
        &mut scene,
        r#""event":"b/in","dataType":"binary","data":"AP8=""#,
    );
    let headers = [
        ("ce-type", "azure.webpubsub.user.b/in"),
        ("content-type", "application/octet-stream"),
    ];
    let seen = scene.expect("b/in", 3, STATES[1], &headers);
    assert_eq!(seen.path, "/eh/chat/b%2Fin?code=hunter2");
    assert_eq!(seen.body, [0, 255]);

    // Its metadata is not among the headers.
    send(
        &mut scene,
        r#""event":"t","dataType":"text","data":"\u017e","metadata":{"a":"1"}"#,
    );
    let headers = [
        ("ce-type", "azure.webpubsub.user.t"),
        ("content-type", "text/plain"),
    ];
    let seen = scene.expect("t", 4, STATES[1], &headers);
    assert_eq!(seen.text(), "ž");

    scene.client.send(
        r#"{"type":"invoke","invocationId":"1","target":"event","event":"i","dataType":"text","data":"a","metadata":{"a":"1"}}"#,
    );
    let headers = [
        ("ce-type", "azure.webpubsub.user.i"),
        ("content-type", "text/plain"),
    ];
    scene.expect("i", 5, STATES[1], &headers);
}

#[test]
fn changes_of_the_chosen_groups_are_events() {
    let mut scene = Scene::start();
    scene.handler.expect("connected");
    for (frame, event) in [
        (r#""joinGroup","group":"other""#, None),
        (r#""joinGroup","group":"g1""#, Some(("joined", 2))),
        (r#""joinGroup","group":"g1""#, None),
        (r#""leaveGroup","group":"g1""#, Some(("left", 3))),
        (r#""leaveGroup","group":"g1""#, None),
    ] {
        scene.client.send(&format!(r#"{{"type":{frame}}}"#));
        let Some((name, number)) = event else {
            continue;
        };
        let ce_type = format!("azure.webpubsub.gp.{name}");
        let seen = scene.expect(name, number, STATES[0], &json(&ce_type));
        assert_eq!(seen.text(), r#"{"group":"g1"}"#);
    }
    drop(scene.client);
    scene.handler.expect("disconnected");
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
