//! Where the admin port listens, and who may use it.

use std::net::TcpListener;

use super::{Node, get};
use crate::kit::{Server, run};

const TOKEN: &str = "0123456789abcdef0123";

fn is_status(response: &str, status: u16) -> bool {
    response.starts_with(&format!("HTTP/1.1 {status}"))
}

#[test]
fn beyond_loopback_it_needs_a_token() {
    let everywhere = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "0.0.0.0:0",
    ];
    let (code, stderr) = run(&everywhere);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("--admin-token-file") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn a_wrong_token_is_refused_and_health_needs_none() {
    let mut command = Node::command(&["--admin-listen", "0.0.0.0:0"]);
    command.env("TIELINE_ADMIN_TOKEN", TOKEN);
    let node = Node::start(command);
    let (_, port) = node.admin.rsplit_once(':').unwrap();
    let admin = format!("127.0.0.1:{port}");
    for headers in [
        String::new(),
        "Authorization: Bearer 0123456789abcdef0124\r\n".into(),
        format!("Authorization: Basic {TOKEN}\r\n"),
    ] {
        let refused = get(&admin, "/metrics", &headers);
        assert!(is_status(&refused, 401), "{refused}");
        assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
        assert!(!refused.contains("tieline_"), "{refused}");
    }
    // As a load balancer asks, by any name.
    for path in ["/healthz", "/readyz"] {
        let health = get(&admin, path, "Host: node.example\r\n");
        assert!(is_status(&health, 200), "{health}");
    }
    let authorization = format!("Authorization: Bearer {TOKEN}\r\n");
    let page = get(&admin, "/metrics", &authorization);
    assert!(is_status(&page, 200), "{page}");
    let wrong = "tieline_admin_requests_refused_total{reason=\"wrong_token\"} 1";
    assert!(page.contains(wrong), "{page}");
}

#[test]
fn a_short_token_is_a_mistake_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2\n").unwrap();
    let (code, stderr) = run(&["serve", "--admin-token-file", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--admin-token-file"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn without_a_token_neither_another_host_nor_a_foreign_page_is_served() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    let page = get(&node.admin, "/metrics", "Host: evil.example\r\n");
    assert!(is_status(&page, 403), "{page}");
    let page = get(&node.admin, "/metrics", "Origin: https://evil.example\r\n");
    assert!(is_status(&page, 403), "{page}");
    let page = get(&node.admin, "/metrics", "Host: localhost:9464\r\n");
    assert!(is_status(&page, 200), "{page}");
    assert!(is_status(&get(&node.admin, "/", ""), 404));
}

#[test]
fn metrics_are_not_on_the_port_of_clients() {
    let node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    let clients = &node.server.addresses[0];
    assert!(is_status(&get(clients, "/metrics", ""), 404));
    assert!(is_status(&get(clients, "/readyz", ""), 200));
    assert!(is_status(&get(&node.admin, "/client/hubs/chat", ""), 404));
}

#[test]
fn two_nodes_on_a_machine_do_not_meet() {
    // Whichever has the default port, or another program has.
    let (one, other) = (Node::serve(&[]), Node::serve(&[]));
    assert_ne!(one.admin, other.admin);
    for node in [&one, &other] {
        assert!(node.admin.starts_with("127.0.0.1:"), "{}", node.admin);
        node.page();
    }
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_reported_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &address,
    ]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&address) && stderr.contains("--admin-listen"),
        "{stderr}"
    );
    let (code, stderr) = run(&["serve", "--listen", &address, "--admin-listen", &address]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn it_can_be_off_and_is_served_during_a_drain() {
    let mut off = Server::serve(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"]);
    // It knows signals once it answers.
    off.get(0, "/healthz");
    off.signal("TERM");
    assert_eq!(off.exit_code(), Some(0));

    let mut node = Node::serve(&["--admin-listen", "127.0.0.1:0"]);
    // It never answers the close frame, so the drain waits for it.
    let client = node.server.connect(0);
    node.page_with(|page| page.value("tieline_connections") == Some(1.0));
    node.server.signal("TERM");
    while !get(&node.admin, "/readyz", "").starts_with("HTTP/1.1 503") {}
    node.page();
    drop(client);
    assert_eq!(node.server.exit_code(), Some(0));
}
