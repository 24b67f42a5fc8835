//! The members of a group, a page at a time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{API, JsonClient, Nodes, eventually};

/// Follows the links from a path, and returns the sizes of the pages and all members.
fn pages(nodes: &Nodes, path: &str) -> (Vec<usize>, Vec<Value>) {
    let (mut sizes, mut all) = (Vec::new(), Vec::new());
    let mut next = Some(path.to_owned());
    while let Some(path) = next.take() {
        let page = nodes.call("GET", &path);
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.header("content-type"), Some("application/json"));
        let page: Value = serde_json::from_str(&page.body).unwrap();
        let members = page["value"].as_array().unwrap();
        sizes.push(members.len());
        all.extend(members.iter().cloned());
        // Absolute, and signed anew for its own URL, as SDKs do.
        next = page["nextLink"].as_str().map(|link| {
            let here = format!("http://{}{API}", nodes.first.addresses[0]);
            link.strip_prefix(&here)
                .expect("the same server")
                .to_owned()
        });
    }
    (sizes, all)
}

#[test]
fn two_hundred_and_five_members_are_listed_by_pages() {
    let nodes = Nodes::start();
    let member = |n: usize| json!({"sub": format!("u{n}"), "webpubsub.group": "a/b"});
    let mut clients: Vec<_> = (0..200).map(|n| nodes.client(member(n))).collect();
    clients.extend((200..204).map(|n| JsonClient::connect(&nodes.first, member(n))));
    clients.push(nodes.client(json!({"webpubsub.group": "a/b"})));
    let expected: BTreeSet<_> = clients.iter().map(|client| client.id.as_str()).collect();
    let path = "/groups/a%2Fb/connections";
    eventually("all are members", || pages(&nodes, path).1.len() == 205);
    for (query, sizes) in [
        ("", &[200, 5][..]),
        ("?api-version=2024-12-01&maxpagesize=100", &[100, 100, 5]),
        ("?maxpagesize=41", &[41; 5]),
        ("?top=150", &[150]),
        ("?top=150&maxpagesize=60", &[60, 60, 30]),
        ("?top=1000", &[200, 5]),
    ] {
        let (found, members) = pages(&nodes, &format!("{path}{query}"));
        assert_eq!(found, sizes, "{query}");
        let ids = members.iter().map(|member| member["connectionId"].as_str());
        let ids: BTreeSet<_> = ids.map(Option::unwrap).collect();
        assert_eq!(ids.len(), members.len(), "nobody twice: {query}");
        assert!(ids.is_subset(&expected), "{query}");
    }
    let members = pages(&nodes, path).1;
    assert!(members.contains(&json!({"connectionId": clients[0].id, "userId": "u0"})));
    assert!(members.contains(&json!({"connectionId": clients[204].id})));
}

#[test]
fn a_list_of_nobody_is_empty_and_a_bad_page_is_refused() {
    let nodes = Nodes::start();
    let empty = nodes.call("GET", "/groups/none/connections");
    assert_eq!((empty.status, &*empty.body), (200, r#"{"value":[]}"#));
    for query in [
        "maxpagesize=0",
        "maxpagesize=201",
        "maxpagesize=x",
        "maxpagesize=1&maxpagesize=1",
        "top=0",
        "top=-1",
        "continuationToken=%2F",
        "continuationToken=_w",
    ] {
        let answer = nodes.call("GET", &format!("/groups/none/connections?{query}"));
        answer.is_error(400, "Error.BadRequest");
    }
}
