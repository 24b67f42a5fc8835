//! Connections that end before their request: counted by reason, and told to operators.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tieline_test_servers::Authority;

use super::{Node, Page, get};
use crate::{
    certificates::{connect, issue, write},
    kit::{Client, DEADLINE, ask_on},
    served::ConfigFile,
};

const REASONS: [&str; 7] = [
    "tls",
    "proxy_header",
    "request",
    "timed_out",
    "pushed_out",
    "too_many_from_address",
    "left",
];

const PROXY: &str = "127.0.0.2";
const CLIENT: &str = "127.0.0.1";

fn serve(settings: &str) -> (Node, ConfigFile) {
    let file = ConfigFile::new(&format!("admin.listen = \"127.0.0.1:0\"\n{settings}"));
    let node = Node::serve(&["--config", file.path()]);
    (node, file)
}

/// A connection of an address of this machine.
fn open(node: &Node, from: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: IpAddr = from.parse().unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    let to: SocketAddr = node.server.addresses[0].parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Waits until the server has closed a connection, and returns what it has said before.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // It may be reset, if there is something that the server has not read.
    let _ = socket.read_to_end(&mut rest);
    rest
}

/// A client that is served, so that each connection before it has been accepted.
fn served(node: &Node) {
    let head = ask_on(&mut open(node, "127.0.0.9"), "localhost", "/healthz", "");
    assert!(head.unwrap().starts_with("HTTP/1.1 200"));
}

fn count(page: &Page, node: &Node, reason: &str) -> Option<f64> {
    let listener = &node.server.addresses[0];
    page.value(&format!(
        "tieline_handshakes_failed_total{{listener=\"{listener}\",reason=\"{reason}\"}}"
    ))
}

/// Waits until so many have failed for this reason, and nobody for another one.
fn failed(node: &Node, reason: &str, times: f64) {
    let page = node.page_with(|page| count(page, node, reason) >= Some(times));
    for other in REASONS {
        let expected = if other == reason { times } else { 0.0 };
        assert_eq!(
            count(&page, node, other),
            Some(expected),
            "{other}, not {reason}"
        );
    }
}

/// What operators are told of those who failed for this reason, the latest first.
fn told(node: &Node, reason: &str, address: &str) -> Vec<String> {
    let line = node.logged("handshakes are failing");
    assert!(line.contains(&format!("reason=\"{reason}\"")), "{line}");
    assert!(line.contains(&format!("address={address}:")), "{line}");
    let answer = get(&node.admin, "/api/refusals", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(body).unwrap();
    let refusals = answer["refusals"].as_array().unwrap().iter();
    refusals
        .map(|refusal| {
            assert_eq!(refusal["what"], "handshake_failed");
            assert_eq!(refusal["address"], address);
            let text = refusal["reason"].as_str().unwrap();
            let (name, error) = text.split_once(": ").unwrap();
            assert_eq!(name, reason);
            error.to_owned()
        })
        .collect()
}

#[test]
fn tls_that_fails_is_counted_whether_a_client_speaks_none_or_is_not_trusted_or_does_not_trust() {
    let (own, clients) = (Authority::new(), Authority::new());
    let file = ConfigFile::new(
        "admin.listen = \"127.0.0.1:0\"\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"ca.pem\"\n",
    );
    let folder = file.folder.path();
    write(folder, &issue(&own, "node.test"));
    std::fs::write(folder.join("ca.pem"), clients.pem()).unwrap();
    let node = Node::serve(&["--config", file.path()]);
    let address = &node.server.addresses[0];

    let mut good = connect(address, &own, "node.test", Some(&issue(&clients, "ada"))).unwrap();
    assert!(ask_on(&mut good, "node.test", "/healthz", "").is_ok());
    failed(&node, "tls", 0.0);

    let mut plain = open(&node, CLIENT);
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    rest(plain);
    failed(&node, "tls", 1.0);
    // With TLS 1.3, the refusal comes after the handshake.
    let untrusted = connect(address, &own, "node.test", Some(&issue(&own, "ada")));
    let _ = untrusted.and_then(|mut socket| ask_on(&mut socket, "node.test", "/healthz", ""));
    failed(&node, "tls", 2.0);
    drop(connect(address, &clients, "node.test", None).unwrap_err());
    failed(&node, "tls", 3.0);

    let errors = told(&node, "tls", CLIENT);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("alert"), "{errors:?}");
    assert!(errors[1].contains("certificate"), "{errors:?}");
}

#[test]
fn a_proxy_that_does_not_announce_its_client_is_counted() {
    let (node, _file) = serve("[proxy_protocol]\nfrom = [\"127.0.0.2\"]\n");
    let mut proxy = open(&node, PROXY);
    proxy
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(rest(proxy).is_empty());
    failed(&node, "proxy_header", 1.0);
    let errors = told(&node, "proxy_header", PROXY);
    assert_eq!(errors, ["no header of the PROXY protocol"]);
}

#[test]
fn what_is_no_request_is_counted() {
    let (node, _file) = serve("");
    served(&node);
    let mut client = open(&node, CLIENT);
    // As a client begins that speaks TLS.
    client
        .write_all(b"\x16\x03\x01\x00\x05hello\r\n\r\n")
        .unwrap();
    assert!(rest(client).starts_with(b"HTTP/1.1 400"));
    failed(&node, "request", 1.0);
    assert_eq!(told(&node, "request", CLIENT).len(), 1);
}

#[test]
fn a_client_that_is_silent_for_too_long_is_counted_with_what_it_owes() {
    let (node, _file) = serve(
        "[proxy_protocol]\nfrom = [\"127.0.0.2\"]\n[times]\nhandshake_timeout = \"1s\"\nhttp_idle_timeout = \"1s\"\n",
    );
    // One that had an answer may be idle for as long as it may.
    let mut idle = open(&node, CLIENT);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(rest(idle).starts_with(b"HTTP/1.1 200"));
    assert!(rest(open(&node, PROXY)).is_empty());
    failed(&node, "timed_out", 1.0);
    let errors = told(&node, "timed_out", PROXY);
    assert_eq!(
        errors,
        ["the header of the PROXY protocol did not arrive in time"]
    );
    let mut slow = open(&node, PROXY);
    slow.write_all(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\nGET / HT")
        .unwrap();
    assert!(rest(slow).is_empty());
    failed(&node, "timed_out", 2.0);
    let refusals = get(&node.admin, "/api/refusals", "");
    assert!(
        refusals.contains("a complete request did not arrive in time"),
        "{refusals}"
    );
    assert!(refusals.contains("192.0.2.7"), "{refusals}");
}

#[test]
fn an_address_with_too_many_connections_is_counted() {
    let (node, _file) = serve("[limits]\nmax_handshakes_per_address = 2\n");
    let _waiting = [(); 2].map(|()| open(&node, CLIENT));
    assert!(rest(open(&node, CLIENT)).is_empty());
    failed(&node, "too_many_from_address", 1.0);
    assert_eq!(told(&node, "too_many_from_address", CLIENT).len(), 1);
}

#[test]
fn a_connection_that_makes_room_for_another_is_counted() {
    let (node, _file) = serve("[limits]\nmax_handshakes = 2\n");
    let waiting = [(); 2].map(|()| open(&node, CLIENT));
    served(&node);
    failed(&node, "pushed_out", 1.0);
    assert_eq!(told(&node, "pushed_out", CLIENT).len(), 1);
    let [oldest, _] = waiting;
    assert!(rest(oldest).is_empty());
}

#[test]
fn clients_that_leave_are_counted_and_fill_no_list_and_no_log() {
    let (node, _file) = serve("");
    // As a health check that only opens a connection.
    for _ in 0..3 {
        drop(open(&node, CLIENT));
    }
    // And one that gives up.
    open(&node, CLIENT).write_all(b"GET / HT").unwrap();
    failed(&node, "left", 4.0);
    // Who has had a request answered, or is connected, may leave.
    served(&node);
    drop(Client::connect(
        &node.server,
        "/client/hubs/chat",
        Client::JSON,
    ));
    node.page_with(|page| {
        page.value("tieline_connections_ended_total{reason=\"lost\"}") >= Some(1.0)
    });
    failed(&node, "left", 4.0);
    let refusals = get(&node.admin, "/api/refusals", "");
    assert!(refusals.contains("\"refusals\":[]"), "{refusals}");
    node.server.signal("TERM");
    let lines: Vec<_> = node.log.lock().iter().collect();
    let about = lines.iter().filter(|line| line.contains("handshake"));
    assert_eq!(about.count(), 0, "{lines:#?}");
}
