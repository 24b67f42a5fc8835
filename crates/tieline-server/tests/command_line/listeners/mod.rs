//! Where clients and operators connect: Unix sockets, and addresses with and without TLS.

mod tls;
mod unix;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use super::{
    kit::{Client, DEADLINE, ask_on, tieline},
    served::ConfigFile,
};

const ANYONE: &str = "hub_defaults.anonymous = \"anyone\"\n";

/// Asks for a path, and returns the whole answer.
fn get(mut socket: impl Read + Write, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(path: &Path) -> UnixStream {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A client of the JSON subprotocol, after its first message.
fn client<S: Read + Write>(mut socket: S, headers: &str) -> Client<S> {
    let headers = format!("Sec-WebSocket-Protocol: {}\r\n{headers}", Client::JSON);
    let head = ask_on(&mut socket, "localhost", "/client/hubs/chat", &headers).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut client = Client(socket);
    assert!(client.text().contains("connected"));
    client
}

/// It is served: what it asks for is answered.
fn lives<S: Read + Write>(client: &mut Client<S>) {
    client.send(r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    let answer = client.text();
    assert!(answer.contains(r#""ackId":1"#), "{answer}");
}

/// What `tieline config check` says of a file: its exit code and standard error.
fn check(text: &str) -> (Option<i32>, String) {
    let file = ConfigFile::new(text);
    let output = tieline(&["config", "check", file.path()]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}
