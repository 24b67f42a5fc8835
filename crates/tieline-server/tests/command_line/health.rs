//! `tieline health`: what the health check of a container sees.

use std::{
    io::Read,
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use tieline_test_servers::Authority;

use super::kit::{DEADLINE, Server, tieline};

/// Its exit code, and what it prints.
fn health(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn health_of(address: &str) -> (Option<i32>, String, String) {
    let mut command = tieline(&["health", "--timeout", "20"]);
    command.env("TIELINE_LISTEN", address);
    health(command)
}

#[test]
fn a_node_is_ready_until_it_drains() {
    let mut server = Server::serve(&["serve", "--listen", "127.0.0.1:0", "--drain-delay", "60"]);
    let address = server.addresses[0].clone();
    let (code, out, err) = health_of(&address);
    assert_eq!((code, out.as_str()), (Some(0), "ready\n"), "{err}");
    let url = format!("http://{address}");
    assert_eq!(
        health(tieline(&["health", "--timeout", "20", "--url", &url])).0,
        Some(0)
    );

    server.signal("TERM");
    let begin = Instant::now();
    let (code, err) = loop {
        let (code, _, err) = health_of(&address);
        if code != Some(0) {
            break (code, err);
        }
        assert!(begin.elapsed() < DEADLINE, "still ready after SIGTERM");
    };
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        format!("tieline: {address} is not ready: 503 draining\n")
    );
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(1));
}

#[test]
fn a_node_with_tls_is_asked_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = Authority::new().issue();
    let (cert, key) = (write("cert.pem", cert), write("key.pem", key));
    let flags = ["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
    let server = Server::serve(&[&["serve", "--listen", "127.0.0.1:0"], &flags[..]].concat());
    let address = server.addresses[0].as_str();
    let mut command = tieline(&["health", "--timeout", "20"]);
    command
        .env("TIELINE_LISTEN", address)
        .env("TIELINE_TLS_CERT", &cert)
        .env("TIELINE_TLS_KEY", &key);
    let (code, out, err) = health(command);
    assert_eq!((code, out.as_str()), (Some(0), "ready\n"), "{err}");
    // Without the settings of the node, it says what is missing.
    let (code, _, err) = health_of(address);
    assert_eq!(code, Some(1));
    assert!(err.contains(address), "{err}");
    assert!(err.contains("if it expects TLS"), "{err}");
}

#[test]
fn a_node_that_is_not_there_is_not_healthy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let (code, _, err) = health_of(&address);
    assert_eq!(code, Some(1));
    assert!(err.contains(&address) && err.contains("refused"), "{err}");
}

#[test]
fn a_node_that_never_answers_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let accepted = std::thread::spawn(move || {
        let (mut socket, _) = silent.accept().unwrap();
        let mut request = Vec::new();
        socket.read_to_end(&mut request).unwrap();
        String::from_utf8(request).unwrap()
    });
    let begin = Instant::now();
    let (code, _, err) = health(tieline(&["health", "--timeout", "1", "--url", &url]));
    assert_eq!(code, Some(1));
    assert!(err.contains("no answer"), "{err}");
    assert!(begin.elapsed() >= Duration::from_secs(1), "{err}");
    let request = accepted.join().unwrap();
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
}
