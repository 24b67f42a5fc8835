//! The command line: exit codes, and errors that say what to do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod admin;
mod aws;
mod bench;
mod bench_wires;
mod certificates;
mod cluster;
mod config;
mod demo;
mod generated;
mod health;
mod http;
mod https;
mod hubs;
mod kit;
mod limits;
mod listeners;
mod logs;
mod mistakes;
mod proxies;
mod pusher;
mod pusher_http;
mod pusher_webhooks;
mod reliable;
mod rest;
mod served;
mod start;
mod systemd;
mod tokens;
mod traces;
mod webhooks;
mod wire;

use std::{io::Read, net::TcpListener};

use self::kit::{Server, run};

#[test]
fn an_invalid_command_line_is_a_usage_error() {
    for arguments in [
        &["serve", "--nonsense"][..],
        &["token", "--hub", "a b"],
        &["health", "--url", "127.0.0.1:8080"],
        &["serve", "--tls-cert", "only-one"],
        &["serve", "--max-message", "100", "--max-outbox", "100"],
        &["serve", "--max-outbox-memory", "1000"],
        &["serve", "--drain-window", "60"],
        &["serve", "--http-idle-timeout", "0"],
        &[
            "serve",
            "--registry",
            "redis://127.0.0.1:1",
            "--max-link-queue",
            "100",
        ],
        &["sevre"],
    ] {
        let (code, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("outbox_bytes") && !stderr.contains("outbox_memory"),
            "settings are named by their flags: {stderr}"
        );
    }
}

#[test]
fn a_public_address_needs_a_flag() {
    let (code, stderr) = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("--anonymous")
            && stderr.contains("--key-file")
            && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn a_taken_port_is_reported_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let (code, stderr) = run(&[command, "--listen", &address]);
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains(&address) && stderr.contains("--listen"),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_missing_certificate_is_reported() {
    let files = ["--tls-cert", "no-such.pem", "--tls-key", "no-such.key"];
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], &files[..]].concat();
    let (code, stderr) = run(&arguments);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no-such.pem"), "{stderr}");
}

#[test]
fn health_is_reported_and_sigterm_drains() {
    let mut server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(server.get(0, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get(0, "/readyz").starts_with("HTTP/1.1 200"));
    let elsewhere = server.get(0, "/");
    assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
    assert!(elsewhere.contains("/client/hubs/chat"), "{elsewhere}");
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_second_signal_stops_immediately() {
    let mut server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    // It never answers the close frame, so the drain waits for it.
    let mut client = server.connect(0);
    server.signal("TERM");
    let mut byte = [0];
    while byte[0] != 0x88 {
        client.read_exact(&mut byte).unwrap();
    }
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(1));
}
