//! Where the admin port listens, and who may use it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tieline_test_servers::{Authority, Stopwatch};

use super::{Node, get};
use crate::kit::{DEADLINE, Server, run, tieline};

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
    let line = node.logged("a request to the admin port had a wrong token");
    assert!(
        line.contains(" WARN ") && line.contains(" from=127.0.0.1:"),
        "{line}"
    );
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
    // As an image of a page of another site.
    let image =
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
    let follow = get(&node.admin, "/api/follow?user=ada", image);
    assert!(is_status(&follow, 403), "{follow}");
    let page = get(&node.admin, "/metrics", "Host: localhost:9464\r\n");
    assert!(is_status(&page, 200), "{page}");
    assert!(is_status(&get(&node.admin, "/nothing", ""), 404));
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

#[test]
fn a_reload_replaces_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let (config, token) = (
        folder.path().join("tieline.toml"),
        folder.path().join("token"),
    );
    std::fs::write(&token, TOKEN).unwrap();
    let text = "admin.listen = \"127.0.0.1:0\"\nadmin.token = { file = \"token\" }\n";
    std::fs::write(&config, text).unwrap();
    let node = Node::serve(&["--config", config.to_str().unwrap()]);
    let with = |token: &str| {
        let authorization = format!("Authorization: Bearer {token}\r\n");
        is_status(&get(&node.admin, "/metrics", &authorization), 200)
    };
    assert!(with(TOKEN));
    let newer = "another-token-of-the-operator";
    std::fs::write(&token, newer).unwrap();
    node.server.signal("HUP");
    let stopwatch = Stopwatch::start();
    while !with(newer) {
        assert!(stopwatch.elapsed() < DEADLINE, "the token is not replaced");
    }
    assert!(!with(TOKEN));
    std::fs::write(&config, "admin.listen = \"127.0.0.1:0\"\n").unwrap();
    node.server.signal("HUP");
    let line = node.logged("admin.token was removed");
    assert!(line.contains(" WARN "), "{line}");
    node.page();
}

#[test]
fn it_speaks_tls_with_the_certificate_of_clients() {
    let (code, stderr) = run(&["serve", "--listen", "127.0.0.1:0", "--admin-tls"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--tls-cert"), "{stderr}");

    let authority = Authority::new();
    let (cert, key) = authority.issue();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (write("cert.pem", &cert), write("key.pem", &key));
    let node = Node::serve(&[
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--admin-tls",
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(&node.admin).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    let request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(is_status(&response, 200), "{response}");
}

#[test]
fn operators_need_no_certificate_where_clients_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (own, newer) = (Authority::new(), Authority::new());
    let (ca, newer_ca) = (write("ca.pem", own.pem()), write("newer.pem", newer.pem()));
    let clients = write("clients.pem", Authority::new().pem());
    let (cert, key) = own.issue();
    let (cert, key) = (write("cert.pem", &cert), write("key.pem", &key));
    let token = write("token", TOKEN);
    let tls = [
        ("TIELINE_TLS_CERT", cert.as_str()),
        ("TIELINE_TLS_KEY", &key),
        ("TIELINE_TLS_CLIENT_CA", &clients),
        ("TIELINE_ADMIN_TLS", "true"),
    ];
    let flags = [
        "--admin-listen",
        "127.0.0.1:0",
        "--admin-token-file",
        &token,
    ];
    let mut command = Node::command(&flags);
    command.envs(tls);
    let node = Node::start(command);
    let url = format!("https://{}", node.admin);
    let top = |ca: &str| {
        let who = ["--ca", ca, "--token-file", &token];
        run(&[&["top", "--once", "--admin", &url][..], &who].concat())
    };
    assert_eq!(top(&ca), (Some(0), String::new()));

    // As the health check of a container asks, with the settings of the node.
    let mut health = tieline(&["health", "--timeout", "20"]);
    health.envs(tls).env("TIELINE_ADMIN_LISTEN", &node.admin);
    assert_eq!(health.output().unwrap().stdout, b"ready\n");
    let clients = format!("https://{}", node.server.addresses[0]);
    let (code, stderr) = run(&["health", "--timeout", "20", "--url", &clients]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("ask its admin port"), "{stderr}");

    // Both ports have the new certificates.
    let (chain, private) = newer.issue();
    write("cert.pem", &chain);
    write("key.pem", &private);
    node.server.signal("HUP");
    let stopwatch = Stopwatch::start();
    while top(&newer_ca).0 != Some(0) {
        assert!(stopwatch.elapsed() < DEADLINE, "{:?}", top(&newer_ca));
    }
}
