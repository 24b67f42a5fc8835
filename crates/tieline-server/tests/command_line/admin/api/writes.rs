//! What the API changes, and who may.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use super::{Nodes, list, parse, post, post_as};
use crate::{
    admin::{Node, get},
    kit::{Client, DEADLINE},
};

#[test]
fn a_client_of_another_node_is_sent_to_and_closed() {
    let mut nodes = Nodes::start(&["--lease", "5"]);
    let (mut client, id) = nodes.client("ada");
    let admin = nodes.first.admin.clone();
    let path = format!("/api/connections/chat/{id}");
    let sent = post(
        &admin,
        &format!("{path}/send"),
        r#"{"text":"hello \"ada\""}"#,
    );
    assert_eq!(sent, (200, json!({"outcome": "delivered"})));
    let message = client.text();
    assert!(message.contains(r#""data":"hello \"ada\"""#), "{message}");
    for body in [r#"{"code":1005}"#, r#"{"reason":"x"}"#, "x"] {
        let (status, answer) = post(&admin, &format!("{path}/close"), body);
        assert_eq!(status, 400, "{answer}");
    }
    let close = r#"{"code":4000,"reason":"bye"}"#;
    let closed = post(&admin, &format!("{path}/close"), close);
    assert_eq!(closed, (200, json!({"outcome": "delivered"})));
    assert_eq!(client.close_code(), 4000);
    let line = nodes.first.logged("an operator closed a connection");
    assert!(line.contains(" from=127.0.0.1:"), "{line}");
    let offline = json!({"outcome": "offline"});
    nodes.eventually_posts(
        "/api/connections/chat/none/send",
        r#"{"text":"x"}"#,
        &offline,
    );
    nodes.drains_the_other();
}

impl Nodes {
    /// By the API of the first node. The second tells its client, and ends.
    fn drains_the_other(&mut self) {
        let (mut client, _) = self.client("ada");
        let other = self.other();
        let admin = &self.first.admin;
        let (status, answer) = post(admin, "/api/drain", r#"{"node":"10.0.0.9:1"}"#);
        assert_eq!(status, 404, "{answer}");
        let (status, answer) = post(admin, "/api/drain", &format!(r#"{{"node":"{other}"}}"#));
        assert_eq!((status, answer), (202, json!({"draining": other})));
        assert_eq!(client.close_code(), 1012);
        let line = self.first.logged("an operator drains another node");
        assert!(line.contains(" from=127.0.0.1:"), "{line}");
        let nodes = self.ask("/api/nodes");
        let mut own = list(&nodes, "nodes").iter();
        let own = own.find(|node| node["is_self"] == true).unwrap();
        let line = self.second.logged("by the admin API of another node");
        let by = format!(" by={}", own["address"].as_str().unwrap());
        assert!(
            line.contains(" from=127.0.0.1:") && line.contains(&by),
            "{line}"
        );
        drop(client);
        assert_eq!(self.second.server.exit_code(), Some(0));
        let left = self.eventually("/api/nodes", |answer| list(answer, "nodes").len() == 1);
        assert_eq!(left["nodes"][0]["phase"], "serving");
    }
}

#[test]
fn what_a_request_does_not_mean_is_refused() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    for (path, body, named) in [
        ("/api/drain", r#"{"nod":"10.0.0.9:1"}"#, "`nod`"),
        ("/api/drain", "", "empty"),
        ("/api/drain?node=10.0.0.9:1", "{}", "parameters"),
    ] {
        let (status, answer) = post(&node.admin, path, body);
        let error = answer["error"].as_str().unwrap();
        assert!(status == 400 && error.contains(named), "{path}: {answer}");
    }
    for path in ["/api/connections?usr=ada", "/api/groups?hubs=chat"] {
        let (status, answer) = parse(&get(&node.admin, path, ""));
        let error = answer["error"].as_str().unwrap();
        assert!(status == 400 && error.contains("unknown"), "{answer}");
    }
    let follow = get(&node.admin, "/api/follow?user=ada&hubs=chat", "");
    assert_eq!(parse(&follow).0, 400, "{follow}");
    let nodes = get(&node.admin, "/api/nodes", "");
    assert!(nodes.contains(r#""phase":"serving""#), "{nodes}");
}

#[test]
fn a_body_that_is_too_long_or_too_late_is_not_waited_for() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    let begin = |length: usize| {
        let mut socket = TcpStream::connect(&node.admin).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{{"
        );
        socket.write_all(request.as_bytes()).unwrap();
        socket
    };
    for (length, status, named) in [(2 << 20, 413, "1 MiB"), (100, 408, "10 s")] {
        // The server closes: nothing more is read here.
        let mut answer = String::new();
        begin(length).read_to_string(&mut answer).unwrap();
        let (answered, answer) = parse(&answer);
        assert_eq!(answered, status, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(named), "{error}");
    }
    for (path, status) in [("/api/connections/%ff/x", 400), ("/api/live/x", 404)] {
        assert_eq!(parse(&get(&node.admin, path, "")).0, status, "{path}");
    }
    assert_eq!(post(&node.admin, "/api/nodes", "{}").0, 405);
}

#[test]
fn a_read_only_port_changes_nothing_and_others_take_json_only() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0", "--admin-read-only"]);
    let mut client = Client::connect(&node.server, "/client/hubs/chat", Client::JSON);
    client.text();
    for (path, body) in [
        ("/api/connections/chat/x/send", r#"{"text":"x"}"#),
        ("/api/connections/chat/x/close", r#"{"code":1000}"#),
        ("/api/drain", "{}"),
    ] {
        let (status, answer) = post(&node.admin, path, body);
        assert_eq!(status, 403, "{path}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("admin.read_only"), "{error}");
    }
    let nodes = get(&node.admin, "/api/nodes", "");
    assert!(nodes.contains(r#""phase":"serving""#) && nodes.contains(r#""read_only":true"#));

    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    // As a form of another site, without an origin.
    for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let (status, answer) = post_as(&node.admin, "/api/drain", media_type, "{}");
        assert_eq!(status, 415, "{answer}");
    }
    let nodes = get(&node.admin, "/api/nodes", "");
    assert!(nodes.contains(r#""phase":"serving""#), "{nodes}");
}
