//! The command line as an operator meets it: exit codes, and errors that say what to do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(20);

fn tieline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = tieline(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A server that is stopped with this value.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = tieline(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line
            .split("address=")
            .nth(1)
            .expect("an address in the log");
        let address = address.split(' ').next().unwrap().to_owned();
        // Whatever else it logs must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("the server did not end");
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = &self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A simple client; it is there for as long as its socket.
    fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 101");
        socket
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    let mut server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/").starts_with("HTTP/1.1 404"));
    assert!(server.get("/client/hubs/other").starts_with("HTTP/1.1 4"));
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    // It never answers the close, so that the drain waits for it.
    let mut client = server.connect();
    server.signal("TERM");
    let mut byte = [0];
    while byte[0] != 0x88 {
        client.read_exact(&mut byte).unwrap();
    }
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(1));
}
