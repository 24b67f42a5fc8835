//! Names as they stand in URLs.

use serde_json::json;

use super::{Nodes, eventually};

#[test]
fn a_name_is_decoded_once_whatever_it_contains() {
    let nodes = Nodes::start();
    for (encoded, name) in [
        ("tenant%2Falice", "tenant/alice"),
        ("a+b@c:d", "a+b@c:d"),
        ("b%2Bb%40c%3Ad", "b+b@c:d"),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ("%3Asend", ":send"),
        ("%E4%BD%A0%20x", "你 x"),
        ("a%3Fb%23c", "a?b#c"),
    ] {
        let mut client = nodes.client(json!({"sub": name, "webpubsub.group": name}));
        for kind in ["users", "groups"] {
            let path = format!("/{kind}/{encoded}");
            eventually(&path, || nodes.call("HEAD", &path).status == 200);
            let sent = nodes.send(&format!("{path}/:send"), "text/plain", kind);
            assert_eq!(sent.reach(), ["1", "0", "0"], "{path}: {sent:?}");
            assert_eq!(client.data(), kind);
        }
        let added = nodes.call("PUT", &format!("/users/{encoded}/groups/x%2F{encoded}"));
        assert_eq!(added.status, 200, "{added:?}");
        let sent = nodes.send(&format!("/groups/x%2F{encoded}/:send"), "text/plain", "x");
        assert_eq!(sent.reach()[0], "1");
        assert_eq!(client.next()["group"], format!("x/{name}"));
    }
}

#[test]
fn a_hub_has_no_case() {
    let nodes = Nodes::start();
    let mut ada = nodes.client(json!({"sub": "ada"}));
    let path = "/api/hubs/CHAT/users/ada/:send";
    let headers = super::bearer(&nodes.first, "/users/ada/:send") + "Content-Length: 1\r\n";
    eventually("ada is there", || {
        nodes.call("HEAD", "/users/ada").status == 200
    });
    let sent = super::raw(&nodes.first, "POST", path, &headers, b"x");
    assert_eq!(sent.reach(), ["1", "0", "0"], "{sent:?}");
    assert_eq!(ada.data(), "eA==");
}
