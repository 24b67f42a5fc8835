//! The command line as an operator meets it: exit codes, and errors that say what to do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod cluster;
mod demo;
mod kit;

use std::{io::Read, net::TcpListener};

use self::kit::{Server, run};

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    for arguments in [
        &["serve", "--nonsense"][..],
        &["serve", "--hub", "a b"],
        &["serve", "--tls-cert", "only-one"],
        &["serve", "--max-message", "100", "--max-outbox", "100"],
        &["serve", "--drain-window", "60"],
        &["sevre"],
    ] {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(
            !said.contains("outbox_bytes"),
            "settings go by their flags: {said}"
        );
    }
}

#[test]
fn nobody_is_served_in_public_by_accident() {
    let (code, said) = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("--anonymous") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let (code, said) = run(&[command, "--listen", &address]);
        assert_eq!(code, Some(1));
        assert!(
            said.contains(&address) && said.contains("--listen"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_missing_certificate_is_named() {
    let files = ["--tls-cert", "no-such.pem", "--tls-key", "no-such.key"];
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], &files[..]].concat();
    let (code, said) = run(&arguments);
    assert_eq!(code, Some(1));
    assert!(said.contains("no-such.pem"), "{said}");
}

#[test]
fn health_is_told_and_sigterm_ends_in_order() {
    let mut server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(server.get(0, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get(0, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get(0, "/").starts_with("HTTP/1.1 404"));
    assert!(
        server
            .get(0, "/client/hubs/other")
            .starts_with("HTTP/1.1 4")
    );
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::serve(&["serve", "--listen", "127.0.0.1:0"]);
    // It never answers the close, so that the drain waits for it.
    let mut client = server.connect(0);
    server.signal("TERM");
    let mut byte = [0];
    while byte[0] != 0x88 {
        client.read_exact(&mut byte).unwrap();
    }
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(1));
}
