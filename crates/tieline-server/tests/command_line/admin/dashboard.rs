//! The dashboard's page and files. What it does is tested in a browser, by `tests/browser/dashboard.test.mjs`.

use super::{Node, get};

#[test]
fn it_needs_no_token_to_be_loaded_and_runs_only_its_own_files() {
    let mut command = Node::command(&["--admin-listen", "127.0.0.1:0"]);
    command.env("TIELINE_ADMIN_TOKEN", "0123456789abcdef0123");
    let node = Node::start(command);
    let page = get(&node.admin, "/", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'self';"),
        "{page}"
    );
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(!body.contains("style=\"") && !body.contains(" onclick="));
    let mut files: Vec<_> = named(body, "href=\"")
        .chain(named(body, "src=\""))
        .collect();
    files.retain(|file| file.contains('.'));
    assert!(files.contains(&"dashboard.js".into()), "{files:?}");
    while let Some(file) = files.pop() {
        let answer = get(&node.admin, &format!("/{file}"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{file}: {answer}");
        // Modules import others.
        files.extend(named(&answer, "from \"./"));
    }
}

/// What stands between such a beginning and the next quote.
fn named<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = String> + 'a {
    let rest = text.split(begin).skip(1);
    rest.filter_map(|rest| rest.split('"').next().map(ToOwned::to_owned))
}

#[test]
fn it_is_not_on_the_port_of_clients() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    let clients = &node.server.addresses[0];
    for path in ["/", "/dashboard.js", "/api/nodes"] {
        let answer = get(clients, path, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}
