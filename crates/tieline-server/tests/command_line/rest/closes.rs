//! Closing connections, and whether they exist.

use serde_json::json;

use super::{Client, JsonClient, Nodes, client_path, eventually};

const WHAT: &str = "Application server closed the connection.";

/// Checks what a client is told, and how it is closed.
#[track_caller]
fn is_closed(client: &mut JsonClient, message: &str) {
    let told = json!({"type": "system", "event": "disconnected", "message": message});
    assert_eq!(client.next(), told);
    assert_eq!(client.client.close(), (1000, String::new()));
}

#[test]
fn whoever_is_closed_is_told_why_once() {
    let nodes = Nodes::start();
    let long = "r".repeat(500);
    for (target, query, message) in [
        (
            "connection",
            "?reason=a%20%26%20b",
            format!("{WHAT} Reason: a & b"),
        ),
        ("connection", "", WHAT.to_owned()),
        (
            "/users/ada/:closeConnections",
            "?reason=bye",
            format!("{WHAT} Reason: bye"),
        ),
        ("/groups/g/:closeConnections", "?reason=", WHAT.to_owned()),
        (
            "/:closeConnections",
            &format!("?reason={long}"),
            format!("{WHAT} Reason: {long}"),
        ),
    ] {
        let mut ada = nodes.client(json!({"sub": "ada", "webpubsub.group": "g"}));
        let closed = match target {
            "connection" => nodes.call("DELETE", &format!("/connections/{}{query}", ada.id)),
            path => nodes.call("POST", &format!("{path}{query}")),
        };
        assert_eq!(
            (closed.status, &*closed.body),
            (204, ""),
            "{target}: {closed:?}"
        );
        is_closed(&mut ada, &message);
    }
    let mut simple = Client::simple(&nodes.second.addresses[0], &client_path(json!({})));
    assert_eq!(
        nodes.call("POST", "/:closeConnections?reason=x").status,
        204
    );
    assert_eq!(simple.close(), (1000, String::new()));
    let path = client_path(json!({}));
    let reliable = "json.reliable.webpubsub.azure.v1";
    let mut reliable = Client::connect(&nodes.second, &path, reliable);
    assert!(reliable.text().contains(r#""event":"connected""#));
    assert_eq!(nodes.call("POST", "/:closeConnections").status, 204);
    assert!(reliable.text().contains(WHAT));
    assert_eq!(reliable.close(), (1000, String::new()));
    for (method, path) in [
        ("DELETE", "/connections/none"),
        ("POST", "/users/none/:closeConnections"),
        ("POST", "/groups/none/:closeConnections"),
    ] {
        assert_eq!(nodes.call(method, path).status, 204, "{path}");
    }
}

#[test]
fn the_excluded_stay() {
    let nodes = Nodes::start();
    let member = || json!({"sub": "ada", "webpubsub.group": "g"});
    for path in [
        "/:closeConnections",
        "/groups/g/:closeConnections",
        "/users/ada/:closeConnections",
    ] {
        let mut closed = nodes.client(member());
        let mut stays = nodes.client(member());
        let mut here = JsonClient::connect(&nodes.first, member());
        let query = format!("?excluded={}&excluded={}&reason=r", stays.id, here.id);
        assert_eq!(nodes.call("POST", &format!("{path}{query}")).status, 204);
        is_closed(&mut closed, &format!("{WHAT} Reason: r"));
        for client in [&mut stays, &mut here] {
            let path = format!("/connections/{}/:send", client.id);
            let sent = nodes.send(&path, "text/plain", "still here");
            assert_eq!(sent.reach(), ["1", "0", "0"]);
            assert_eq!(client.data(), "still here");
        }
        nodes.call("POST", "/:closeConnections");
    }
}

#[test]
fn what_exists_is_asked_of_every_node() {
    let nodes = Nodes::start();
    for (path, code) in [
        ("/connections/none", "Info.Connection.NotExisted"),
        ("/users/none", "Info.User.NotExisted"),
        ("/groups/none", "Info.Group.NotExisted"),
    ] {
        nodes.call("HEAD", path).is_error(404, code);
    }
    let ada = nodes.client(json!({"sub": "ada", "webpubsub.group": "g"}));
    let paths = [
        format!("/connections/{}", ada.id),
        "/users/ada".to_owned(),
        "/groups/g".to_owned(),
    ];
    for path in &paths {
        eventually(path, || nodes.call("HEAD", path).status == 200);
    }
    drop(ada);
    for path in &paths {
        eventually(path, || nodes.call("HEAD", path).status == 404);
    }
}
