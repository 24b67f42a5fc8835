//! Who is in which group.

use serde_json::json;

use super::{JsonClient, Nodes, eventually, post, request, serve};

const JSON: &str = "application/json";

fn members(nodes: &Nodes, group: &str) -> usize {
    let list = nodes.call("GET", &format!("/groups/{group}/connections"));
    assert_eq!(list.status, 200);
    list.body.matches("connectionId").count()
}

#[test]
fn a_connection_is_added_and_removed_wherever_it_is() {
    let nodes = Nodes::start();
    let mut ada = nodes.client(json!({"sub": "ada"}));
    let path = format!("/groups/g/connections/{}", ada.id);
    for _ in 0..2 {
        assert_eq!(nodes.call("PUT", &path).status, 200);
    }
    // Without a wait: the response says that every node knows.
    let sent = nodes.send("/groups/g/:send", "text/plain", "x");
    assert_eq!(sent.reach(), ["1", "0", "0"]);
    assert_eq!(ada.next()["group"], "g");
    for _ in 0..2 {
        assert_eq!(nodes.call("DELETE", &path).status, 204);
    }
    assert_eq!(members(&nodes, "g"), 0);
    for group in ["a", "b"] {
        nodes.call("PUT", &format!("/groups/{group}/connections/{}", ada.id));
    }
    let all = format!("/connections/{}/groups", ada.id);
    assert_eq!(nodes.call("DELETE", &all).status, 204);
    assert_eq!(members(&nodes, "a") + members(&nodes, "b"), 0);
    let nobody = nodes.call("PUT", "/groups/g/connections/none");
    nobody.is_error(404, "Info.Connection.NotExisted");
    for path in ["/groups/g/connections/none", "/connections/none/groups"] {
        assert_eq!(nodes.call("DELETE", path).status, 204);
    }
}

#[test]
fn a_user_is_added_with_the_connections_that_it_has() {
    let nodes = Nodes::start();
    let nobody = nodes.call("PUT", "/users/ada/groups/g");
    nobody.is_error(404, "Info.User.NotExisted");
    let mut there = nodes.client(json!({"sub": "ada"}));
    let mut here = JsonClient::connect(&nodes.first, json!({"sub": "ada"}));
    let _other = nodes.client(json!({"sub": "bob"}));
    assert_eq!(nodes.call("PUT", "/users/ada/groups/g").status, 200);
    let _later = nodes.client(json!({"sub": "ada"}));
    let sent = nodes.send("/groups/g/:send", "text/plain", "x");
    assert_eq!(sent.reach(), ["2", "0", "0"]);
    assert_eq!((there.data(), here.data()), (json!("x"), json!("x")));
    nodes.call("PUT", "/users/ada/groups/a");
    assert_eq!(nodes.call("DELETE", "/users/ada/groups/g").status, 204);
    assert_eq!((members(&nodes, "g"), members(&nodes, "a")), (0, 3));
    assert_eq!(nodes.call("DELETE", "/users/ada/groups").status, 204);
    assert_eq!(members(&nodes, "a"), 0);
    for path in ["/users/none/groups/g", "/users/none/groups"] {
        assert_eq!(nodes.call("DELETE", path).status, 204);
    }
}

#[test]
fn many_are_added_and_removed_by_a_filter() {
    let nodes = Nodes::start();
    let _there = nodes.client(json!({"sub": "ada"}));
    let _here = JsonClient::connect(&nodes.first, json!({"sub": "alan"}));
    let _other = nodes.client(json!({"sub": "bob"}));
    let body = r#"{"groups":["g","h"],"filter":"startswith(userId,'a')"}"#;
    let added = nodes.send("/:addToGroups", JSON, body);
    assert_eq!((added.status, &*added.body), (200, ""));
    assert_eq!((members(&nodes, "g"), members(&nodes, "h")), (2, 2));
    let body = r#"{"groups":["g"],"filter":"userId eq 'ada'"}"#;
    assert_eq!(nodes.send("/:removeFromGroups", JSON, body).status, 200);
    assert_eq!((members(&nodes, "g"), members(&nodes, "h")), (1, 2));
    let nobody = r#"{"groups":["g"],"filter":"userId eq 'nobody'"}"#;
    assert_eq!(nodes.send("/:addToGroups", JSON, nobody).status, 200);
    for path in ["/:addToGroups", "/:removeFromGroups"] {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"groups":[]}"#,
            r#"{"groups":[""]}"#,
            r#"{"groups":["g"],"filter":"x"}"#,
            r#"{"groups":"g"}"#,
        ] {
            let answer = nodes.send(path, JSON, body);
            answer.is_error(400, "Error.BadRequest");
        }
        for (body, why) in [
            (
                r#"{"groups":["g"],"filtr":"userId eq 'ada'"}"#,
                "unknown field `filtr`, expected `groups` or `filter`",
            ),
            (
                r#" [["g"],"userId eq 'ada'"]"#,
                "the body is not a JSON object",
            ),
        ] {
            let answer = nodes.send(path, JSON, body);
            answer.is_error(400, "Error.BadRequest");
            assert!(answer.body.contains(why), "{}", answer.body);
        }
        let answer = nodes.send(path, "text/plain", body);
        answer.is_error(415, "Error.UnsupportedMediaType");
        let bare = request(&nodes.first, "POST", path, "", body.as_bytes());
        bare.is_error(415, "Error.UnsupportedMediaType");
    }
}

#[test]
fn a_connection_in_too_many_groups_is_a_conflict() {
    let server = serve(&["--max-groups", "1"]);
    let ada = JsonClient::connect(&server, json!({"sub": "ada", "webpubsub.group": "g"}));
    for path in [
        format!("/groups/h/connections/{}", ada.id),
        "/users/ada/groups/h".to_owned(),
    ] {
        let answer = super::call(&server, "PUT", &path);
        answer.is_error(409, "Error.Connection.Conflict");
    }
    let bulk = post(&server, "/:addToGroups", JSON, r#"{"groups":["h"]}"#);
    assert_eq!(
        (bulk.status, bulk.header("tieline-refused")),
        (200, Some("1"))
    );
    eventually("ada is in its group", || {
        super::call(&server, "HEAD", "/groups/g").status == 200
    });
}
