//! Who may connect, and what those are told who may not.

use serde_json::Value;

use super::{KEY, Nodes, Pusher, path};
use crate::kit::{Client, Server, ask_to_upgrade};

/// Asks for a WebSocket, and is refused there: by a frame and by the code of the close.
#[track_caller]
pub(super) fn refused(address: &str, path: &str, headers: &str) -> (u16, String) {
    let (socket, head) = ask_to_upgrade(address, path, headers);
    assert!(head.starts_with("HTTP/1.1 101"), "{path}: {head}");
    let mut client = Client(socket);
    let text = client.text();
    let frame: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(frame["event"], "pusher:error");
    let (code, reason) = client.close();
    let message = frame["data"]["message"].as_str().unwrap();
    let expected =
        format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":"{message}"}}}}"#);
    assert_eq!(text, expected);
    assert!(
        message.starts_with(&reason) && !reason.is_empty(),
        "{reason}"
    );
    (code, message.to_owned())
}

#[test]
fn every_sdk_connects_with_its_query_its_subprotocol_and_from_any_page() {
    let nodes = Nodes::one("");
    let address = nodes.address();
    for query in [
        "protocol=7&client=js&version=8.6.0&flash=false",
        "client=java-client&protocol=5&version=2.4.4",
        "client=Pysher&version=1.0.7&protocol=6",
        "protocol=5&client=pusher-dotnet-client",
        "protocol=4",
        "version=&protocol=7&protocol=3",
    ] {
        let headers = "Origin: https://elsewhere.example\r\n";
        Pusher::connect_by(address, &format!("/app/{KEY}?{query}"), headers).lives();
    }
    Pusher::connect_by(address, &format!("/app/{KEY}/?protocol=7"), "").lives();
    let name = "pusher-channels-protocol-7";
    let headers = format!("Sec-WebSocket-Protocol: {name}\r\n");
    for path in [path(), "/app/unknown?protocol=7".into()] {
        let (_socket, head) = ask_to_upgrade(address, &path, &headers);
        let agreed = format!("sec-websocket-protocol: {name}\r\n");
        assert!(
            head.starts_with("HTTP/1.1 101") && head.contains(&agreed),
            "{head}"
        );
    }
}

#[test]
fn ids_are_two_numbers_that_differ() {
    let nodes = Nodes::one("");
    let clients = [nodes.client(), nodes.client()];
    for client in &clients {
        let (one, other) = client.socket_id.split_once('.').unwrap();
        assert!(one.parse::<u64>().is_ok() && other.parse::<u64>().is_ok());
    }
    assert_ne!(clients[0].socket_id, clients[1].socket_id);
}

#[test]
fn whoever_is_refused_is_told_by_a_frame_and_a_close() {
    let nodes = Nodes::one("");
    let address = nodes.address();
    let long = format!("/app/{KEY}?protocol=7&version={}", "1".repeat(65));
    for (path, code, why) in [
        ("/app/unknown?protocol=7", 4001, "no app with this key"),
        ("/app?protocol=7", 4005, "/app/KEY"),
        ("/app/?protocol=7", 4005, "/app/KEY"),
        ("/app/a/b?protocol=7", 4005, "/app/KEY"),
        ("/app/%ff?protocol=7", 4005, "/app/KEY"),
        (
            &format!("/app/{KEY}?protocol=7&version=%3Cx%3E"),
            4006,
            "version",
        ),
        (&long, 4006, "version"),
        (&format!("/app/{KEY}?protocol=3"), 4007, "protocol=7"),
        (&format!("/app/{KEY}?protocol=8"), 4007, "protocol=7"),
        (&format!("/app/{KEY}?protocol="), 4007, "protocol=7"),
        (&format!("/app/{KEY}?protocol=seven"), 4007, "protocol=7"),
        (&format!("/app/{KEY}?client=js"), 4008, "protocol=7"),
        (&format!("/app/{KEY}"), 4008, "protocol=7"),
    ] {
        let (refused, message) = refused(address, path, "");
        assert_eq!(refused, code, "{path}");
        assert!(message.contains(why), "{path}: {message}");
    }
}

#[test]
fn an_app_may_be_disabled_or_for_tls_only() {
    let nodes = Nodes::one("enabled = false");
    assert_eq!(refused(nodes.address(), &path(), "").0, 4003);
    let nodes = Nodes::one("tls_only = true");
    let address = nodes.address();
    assert_eq!(refused(address, &path(), "").0, 4000);
    let http = "X-Forwarded-Proto: http\r\n";
    assert_eq!(refused(address, &path(), http).0, 4000);
    // A proxy that speaks TLS with its clients says so.
    for headers in [
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Proto: wss, http\r\n",
        "Forwarded: for=192.0.2.1;Proto=\"https\", for=192.0.2.2\r\n",
    ] {
        Pusher::connect_by(address, &path(), headers).lives();
    }
}

#[test]
fn an_app_may_be_for_some_pages_only() {
    let nodes = Nodes::one("origins = [\"https://app.example.org\"]");
    let address = nodes.address();
    let of = |origin: &str| format!("Origin: {origin}\r\n");
    let (code, message) = refused(address, &path(), &of("https://other.example.org"));
    assert_eq!(code, 4009);
    assert!(message.contains("origin"), "{message}");
    Pusher::connect_by(address, &path(), &of("https://app.example.org")).lives();
    // Programs send none.
    nodes.client().lives();
    let nodes = Nodes::one("");
    Pusher::connect_by(nodes.address(), &path(), &of("https://other.example.org")).lives();
}

#[test]
fn an_app_has_so_many_clients_on_a_node() {
    let nodes = Nodes::one("max_connections = 2");
    let mut clients = [nodes.client(), nodes.client()];
    assert_eq!(refused(nodes.address(), &path(), "").0, 4004);
    clients.iter_mut().for_each(Pusher::lives);
    let [first, _second] = clients;
    drop(first);
    // Its place is free once the node has noticed.
    let begun = std::time::Instant::now();
    loop {
        let (socket, _) = ask_to_upgrade(nodes.address(), &path(), "");
        if Client(socket).text().contains("connection_established") {
            break;
        }
        assert!(begun.elapsed() < crate::kit::DEADLINE);
    }
}

#[test]
fn what_may_be_over_soon_is_told_with_a_code_to_come_back_later() {
    // The node is full.
    let nodes = Nodes::with("", "", &["--max-connections", "1"]);
    let _client = nodes.client();
    assert_eq!(refused(nodes.address(), &path(), "").0, 4100);
    // An address has too many.
    let nodes = Nodes::with("", "[limits]\nmax_connections_per_address = 1\n", &[]);
    let _client = nodes.client();
    let (code, message) = refused(nodes.address(), &path(), "");
    assert_eq!(code, 4100);
    assert!(message.contains("of this address"), "{message}");
}

#[test]
fn a_request_for_no_websocket_gets_an_answer_of_http() {
    let nodes = Nodes::one("");
    let server: &Server = &nodes.servers[0];
    for (path, status, why) in [
        ("/app/unknown", "404", "no app with this key"),
        ("/app", "404", "/app/KEY"),
        (&*path(), "426", "WebSocket"),
    ] {
        let answer = server.get(0, path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(why), "{answer}");
    }
    // The fallbacks of an SDK that was not told to do without.
    let answer = server.get(
        0,
        &format!("/pusher/app/{KEY}/1/a/xhr_streaming?protocol=7"),
    );
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
