//! What a backend asks about channels.

use serde_json::{Value, json};

use super::{Nodes, Request, Subscriber, eventually, single_node};

#[test]
fn channels_are_listed_while_they_are_occupied_on_any_node() {
    let nodes = Nodes::start();
    let list = |query: &str| {
        let response = nodes.call(&Request::get("/apps/3/channels", query));
        assert_eq!(response.header("tieline-missed"), Some("0"));
        response.json().to_owned()
    };
    eventually("the last client is gone", || {
        list("") == r#"{"channels":{}}"#
    });
    let _here = [nodes.client_here("a-1"), nodes.client_here("a-2")];
    let there = [nodes.client_there("a-1"), nodes.client_there("b")];
    assert_eq!(list(""), r#"{"channels":{"a-1":{},"a-2":{},"b":{}}}"#);
    let query = "filter_by_prefix=a-&info=subscription_count";
    assert_eq!(
        list(query),
        r#"{"channels":{"a-1":{"subscription_count":2},"a-2":{"subscription_count":1}}}"#
    );
    assert_eq!(list("filter_by_prefix=x"), r#"{"channels":{}}"#);
    let presence = "filter_by_prefix=presence-&info=user_count";
    assert_eq!(list(presence), r#"{"channels":{}}"#);
    drop(there);
    let gone = r#"{"channels":{"a-1":{"subscription_count":1},"a-2":{"subscription_count":1}}}"#;
    eventually("those who went are not counted", || list(query) == gone);
}

#[test]
fn groups_whose_names_no_channel_has_are_not_listed() {
    let server = single_node();
    let address = &server.addresses[0];
    let _clients = ["a b", "ü", "a", "c.d"].map(|group| super::web_pubsub(address, "ada", group));
    let list = Request::get("/apps/3/channels", "").send(address);
    assert_eq!(list.json(), r#"{"channels":{"a":{},"c.d":{}}}"#);
}

#[test]
fn a_channel_is_occupied_or_not_and_counted_on_all_nodes() {
    let nodes = Nodes::start();
    let _clients = [
        nodes.client_here("a"),
        nodes.client_there("a"),
        nodes.client_there("a"),
    ];
    let get = |name: &str, query: &str| {
        let path = format!("/apps/3/channels/{name}");
        let response = nodes.call(&Request::get(&path, query));
        serde_json::from_str::<Value>(response.json()).unwrap()
    };
    assert_eq!(get("a", ""), json!({"occupied": true}));
    let query = "info=subscription_count,unknown";
    let expected = json!({"occupied": true, "subscription_count": 3});
    assert_eq!(get("a", query), expected);
    assert_eq!(get("nobody", ""), json!({"occupied": false}));
    let nobody = json!({"occupied": false, "subscription_count": 0});
    assert_eq!(get("nobody", query), nobody);
    let presence = json!({"occupied": false, "user_count": 0});
    assert_eq!(get("presence-a", "info=user_count"), presence);
    assert_eq!(get("%23server-to-user-1", ""), json!({"occupied": false}));
    assert_eq!(get("presence-a/users", ""), json!({"users": []}));
}

#[test]
fn clients_of_this_node_count_at_once() {
    let server = single_node();
    let address = &server.addresses[0];
    let get = Request::get("/apps/3/channels/a", "info=subscription_count");
    let mut clients = Vec::new();
    for n in 1..=3 {
        clients.push(Subscriber::connect(address, "a"));
        let expected = format!(r#"{{"occupied":true,"subscription_count":{n}}}"#);
        assert_eq!(get.send(address).json(), expected);
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let server = single_node();
    for (path, query) in [
        ("/apps/3/channels", "info=user_count"),
        (
            "/apps/3/channels",
            "info=user_count&filter_by_prefix=private-",
        ),
        ("/apps/3/channels/a", "info=user_count"),
        ("/apps/3/channels/a", "info=cache"),
        ("/apps/3/channels/a/users", ""),
        ("/apps/3/channels/private-a/users", ""),
        ("/apps/3/channels/a%20b", ""),
    ] {
        let response = Request::get(path, query).send(&server.addresses[0]);
        response.error(400);
    }
}
