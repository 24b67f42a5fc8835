//! What the API shows.

use std::time::Instant;

use serde_json::{Value, json};
use tieline_test_servers::Stopwatch;

use super::{Nodes, list, parse};
use crate::{
    admin::{Node, get},
    kit::{Client, DEADLINE},
};

const TOKEN: &str = "0123456789abcdef0123";

#[test]
fn a_client_of_another_node_is_found_and_described() {
    let nodes = Nodes::start(&[]);
    let (mut client, id) = nodes.client("ada%22%3Cb%3E");
    client.send(r#"{"type":"joinGroup","group":"room","ackId":1}"#);
    client.text();
    let other = nodes.other();
    let one = nodes.ask(&format!("/api/connections/chat/{id}"));
    assert_eq!(one["user"], "ada\"<b>");
    assert_eq!(one["node"], other.as_str());
    assert_eq!(
        (&one["hub"], &one["wire"]),
        (&json!("chat"), &json!("webpubsub"))
    );
    assert_eq!(one["groups"], json!(["room"]));
    let roles = json!(["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]);
    assert_eq!(one["roles"], roles);
    assert_eq!(one["subprotocol"], Client::JSON);
    let local = client.0.local_addr().unwrap().to_string();
    assert_eq!(one["address"], local.as_str());
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let since = one["since"].as_u64().unwrap();
    assert!((now - 60..=now).contains(&since), "{one}");
    for query in [
        "hub=chat",
        "hub=CHAT&id=&user=",
        "user=ada%22%3Cb%3E",
        "group=room",
        &format!("id={}", &id[..8]),
        "address=127.0.0.1:",
        &format!("node={other}"),
    ] {
        let found = nodes.ask(&format!("/api/connections?{query}"));
        assert_eq!(
            list(&found, "connections"),
            std::slice::from_ref(&one),
            "{query}"
        );
    }
    for query in ["hub=none", "user=grace", "group=hall", "address=10."] {
        let found = nodes.ask(&format!("/api/connections?{query}"));
        assert!(list(&found, "connections").is_empty(), "{query}: {found}");
    }
    let groups = nodes.ask("/api/groups");
    let room = json!([{"hub": "chat", "group": "room", "members": 1}]);
    assert_eq!(groups["groups"], room);
    nodes.eventually("/api/nodes", |answer| {
        let mut nodes = list(answer, "nodes").iter();
        let node = nodes
            .find(|node| node["address"] == other.as_str())
            .unwrap();
        node["connections"] == 1 && node["users"] == 1 && node["groups"] == 1
    });
}

#[test]
fn a_list_has_pages_without_gaps() {
    let nodes = Nodes::start(&["--lease", "5"]);
    let clients: Vec<_> = (0..5).map(|_| nodes.client("ada")).collect();
    let path = "/client/hubs/board?user=ada";
    let on_first = Client::connect(&nodes.first.server, path, Client::JSON);
    let mut expected: Vec<_> = clients.iter().map(|(_, id)| id.clone()).collect();
    expected.sort();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = nodes.ask(&format!("/api/connections?user=ada&limit=2&after={after}"));
        let connections = list(&page, "connections");
        let of = |name: &str, one: &Value| one[name].as_str().unwrap().to_owned();
        found.extend(
            connections
                .iter()
                .map(|one| (of("hub", one), of("id", one))),
        );
        assert!(connections.len() <= 2);
        if page["more"] == false {
            break;
        }
        let (hub, id) = found.last().unwrap();
        after = format!("{hub}/{id}");
    }
    assert_eq!(found.remove(0).0, "board");
    let found: Vec<_> = found.into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, expected);
    drop(on_first);
    for query in ["limit=0", "limit=501", "limit=x", "hub=%20"] {
        let path = format!("/api/connections?{query}");
        let (status, answer) = parse(&get(&nodes.first.admin, &path, ""));
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    // A new registry could be one that has lost its entries: who is not there is not known at first.
    let none = || get(&nodes.first.admin, "/api/connections/chat/none", "");
    let begin = Instant::now();
    while parse(&none()).0 != 404 {
        assert!(begin.elapsed() < DEADLINE, "{}", none());
    }
}

#[test]
fn a_connection_that_has_ended_is_not_found_even_if_the_registry_does_not_know() {
    let nodes = Nodes::start(&[]);
    let (client, id) = nodes.client("ada");
    let path = format!("/api/connections/chat/{id}");
    assert_eq!(nodes.ask(&path)["user"], "ada");
    drop(client);
    nodes.eventually("/api/nodes", |answer| {
        let nodes = list(answer, "nodes").iter();
        { nodes }.all(|node| node["connections"] == 0)
    });
    let (status, answer) = parse(&get(&nodes.first.admin, &path, ""));
    assert_eq!(status, 404, "{answer}");
}

#[test]
fn a_handler_that_cannot_be_reached_is_shown_before_its_events_are_given_up() {
    let nodes = Nodes::start(&[
        "--event-handler",
        "http://127.0.0.1:1/",
        "--event-handler-system-events",
        "disconnected",
    ]);
    let (mut client, _) = nodes.client("ada");
    client.send(r#"{"type":"event","event":"order","dataType":"text","data":"x"}"#);
    let handler = |answer: &Value| {
        let mut handlers = list(answer, "handlers").iter();
        let used = handlers.find(|handler| handler["queued"] == 1);
        used.cloned()
    };
    let answer = nodes.eventually("/api/handlers", |answer| {
        handler(answer).is_some_and(|handler| handler["last_error"].is_string())
    });
    let handler = handler(&answer).unwrap();
    assert_eq!(
        (&handler["state"], &handler["failed"]),
        (&json!("failing"), &json!(0))
    );
    let error = handler["last_error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn handlers_and_refusals_of_other_nodes_are_shown() {
    let flags = [
        "--event-handler",
        "http://127.0.0.1:1/{hub}?code=hunter2",
        "--event-handler-system-events",
        "connect",
    ];
    let nodes = Nodes::start(&flags);
    let other = nodes.other();
    let refused = nodes.second.server.refused_upgrade("/client/hubs/chat", "");
    assert!(refused.starts_with("HTTP/1.1 5"), "{refused}");
    nodes
        .second
        .server
        .refused_upgrade("/client/hubs/9%3Cb%3E", "");
    let answer = nodes.eventually("/api/handlers", |answer| {
        list(answer, "handlers")
            .iter()
            .any(|handler| handler["failed"] == 1)
    });
    assert!(!answer.to_string().contains("hunter2"), "{answer}");
    let handler = |node: &str| {
        let mut handlers = list(&answer, "handlers").iter();
        handlers.find(|handler| handler["node"] == node).unwrap()
    };
    let failing = handler(&other);
    assert_eq!(
        (&failing["hub"], &failing["state"]),
        (&json!("*"), &json!("failing"))
    );
    assert_eq!(failing["url"], "http://127.0.0.1:1/{hub}");
    assert!(failing["last_error"].is_string() && failing["last_error_at"].is_u64());
    let refusals = nodes.ask("/api/refusals");
    let [last, first] = list(&refusals, "refusals") else {
        panic!("{refusals}");
    };
    assert_eq!(last["hub"], "9<b>");
    assert_eq!(
        (&first["hub"], &first["node"]),
        (&json!("chat"), &json!(other))
    );
    assert_eq!(
        (&first["what"], &first["address"]),
        (&json!("upgrade_refused"), &json!("127.0.0.1"))
    );
    assert!(
        first["reason"].as_str().unwrap().starts_with('5'),
        "{first}"
    );
}

#[test]
fn a_node_that_does_not_answer_is_missed_in_time() {
    let nodes = Nodes::start(&["--lease", "60"]);
    let other = nodes.other();
    nodes.second.server.pause();
    let stopwatch = Stopwatch::start();
    for path in ["nodes", "connections", "groups", "handlers", "refusals"] {
        let answer = nodes.ask(&format!("/api/{path}"));
        assert_eq!(answer["missed"], json!([other]), "{answer}");
    }
    // Five requests of 2 s each, and the time of the machine.
    assert!(stopwatch.elapsed() < DEADLINE, "{:?}", stopwatch.elapsed());
    let answer = nodes.ask("/api/nodes");
    assert_eq!(
        list(&answer, "nodes").len(),
        1,
        "the others answer: {answer}"
    );
}

#[test]
fn nodes_are_sent_every_second_with_the_token_of_a_page() {
    let mut command = Node::command(&["--admin-listen", "127.0.0.1:0"]);
    command.env("TIELINE_ADMIN_TOKEN", TOKEN);
    let node = Node::start(command);
    let refused = get(&node.admin, "/api/nodes", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let connect = |encoded: &str| {
        let offered = format!("Sec-WebSocket-Protocol: tieline.live, bearer.{encoded}\r\n");
        crate::kit::ask_to_upgrade(&node.admin, "/api/live", &offered)
    };
    // Base64 of the token, and of another.
    let (_, head) = connect("MDEyMzQ1Njc4OWFiY2RlZjAxMjQ");
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let (socket, head) = connect("MDEyMzQ1Njc4OWFiY2RlZjAxMjM");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.contains("sec-websocket-protocol: tieline.live\r\n"),
        "{head}"
    );
    let mut live = Client(socket);
    let mut next = || -> Value { serde_json::from_str(&live.text()).unwrap() };
    let first = next();
    assert_eq!(first["nodes"][0]["phase"], "serving");
    let uptime = |answer: &Value| answer["nodes"][0]["uptime"].as_f64().unwrap();
    assert!(uptime(&next()) > uptime(&first));
}
