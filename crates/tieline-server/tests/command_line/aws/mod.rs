//! The API of AWS API Gateway, by which backends reach clients.

pub(crate) mod request;

use std::{net::Ipv4Addr, sync::mpsc};

use serde_json::Value;
use tieline_test_servers::{free_port, redis::Redis};

use self::request::{KEY_ID, Request, SECRET, with_keys};
use super::kit::{Client, DEADLINE, Server, tieline};

fn serve() -> Server {
    Server::start(with_keys(&["serve", "--listen", "127.0.0.1:0"]), drop)
}

/// A client of the JSON subprotocol, and its connection id.
fn connect(address: &str) -> (Client, String) {
    let mut client = Client::connect_to(address, "/client/hubs/chat", Client::JSON);
    let connected: Value = serde_json::from_str(&client.text()).unwrap();
    let id = connected["connectionId"].as_str().unwrap().to_owned();
    (client, id)
}

fn message(data_type: &str, data: &str) -> String {
    format!(r#"{{"type":"message","from":"server","dataType":"{data_type}","data":"{data}"}}"#)
}

#[test]
fn a_backend_reaches_a_client_of_another_node() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let node = || {
        let (registry, peers) = (redis.url(), format!("127.0.0.1:{}", free_port()));
        let flags = ["serve", "--listen", "127.0.0.1:0", "--registry", &registry];
        let flags = [&flags[..], &["--peers-listen", &peers]].concat();
        Server::start(with_keys(&flags), drop)
    };
    let (here, there) = (node(), node());
    let here = &here.addresses[0];
    let (mut client, id) = connect(&there.addresses[0]);

    let response = Request::new("POST", &id, "a \"ž\"".as_bytes()).send(here);
    assert_eq!((response.status, &*response.body), (200, ""));
    assert_eq!(client.text(), message("text", r#"a \"ž\""#));
    let response = Request::new("POST", &id, &[1, 2, 255]).send(here);
    assert_eq!(response.status, 200);
    assert_eq!(client.text(), message("binary", "AQL/"));

    let response = Request::new("GET", &id, b"").send(here);
    assert_eq!(response.status, 200);
    let body: Value = serde_json::from_str(&response.body).unwrap();
    let source = body["identity"]["sourceIp"].as_str().unwrap();
    assert_eq!(source, Ipv4Addr::LOCALHOST.to_string());
    let connected_at = body["connectedAt"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(connected_at).is_ok(), "{body}");

    let response = Request::new("DELETE", &id, b"").send(here);
    assert_eq!((response.status, &*response.body), (204, ""));
    assert!(client.text().contains(r#""event":"disconnected""#));
    assert_eq!(client.close_code(), 1000);
}

#[test]
fn who_is_not_connected_is_gone() {
    let server = serve();
    let address = &server.addresses[0];
    let (client, id) = connect(address);
    drop(client);
    let is_gone = || Request::new("GET", &id, b"").send(address).status == 410;
    let begun = std::time::Instant::now();
    while !is_gone() {
        assert!(begun.elapsed() < DEADLINE);
    }
    for method in ["POST", "GET", "DELETE"] {
        for id in [&id, "L0SM9cOFvHcCIhw%3D", "a%2Fb"] {
            let response = Request::new(method, id, b"").send(address);
            assert_eq!(response.error(), (410, "GoneException"), "{method} {id}");
        }
    }
}

#[test]
fn only_a_request_that_is_signed_reaches_anyone() {
    let server = serve();
    let address = &server.addresses[0];
    let (mut client, id) = connect(address);
    let forbidden = (403, "ForbiddenException");
    let request = Request::new("POST", &id, b"hello");
    assert_eq!(request.send_with(address, "").error(), forbidden);
    let bearer = "Authorization: Bearer x\r\n";
    assert_eq!(request.send_with(address, bearer).error(), forbidden);
    let secret = &SECRET.replace('w', "W");
    let wrong = Request { secret, ..request };
    let response = wrong.send(address);
    assert_eq!(response.error(), forbidden);
    assert!(!response.body.contains(SECRET) && response.body.contains("does not match"));
    for method in ["GET", "DELETE"] {
        let request = Request::new(method, &id, b"");
        assert_eq!(request.send_with(address, "").error(), forbidden);
    }
    // Nothing of this arrived before what is signed.
    let response = Request::new("POST", &id, b"signed").send(address);
    assert_eq!(response.status, 200);
    assert_eq!(client.text(), message("text", "signed"));
}

#[test]
fn the_stage_is_the_hub_and_at_may_be_encoded() {
    let server = serve();
    let address = &server.addresses[0];
    let (mut client, id) = connect(address);
    for path in ["/Chat/@connections/", "/ch%61t/%40connections/"] {
        let mut request = Request::new("POST", &id, b"x");
        request.path = format!("{path}{id}");
        assert_eq!(request.send(address).status, 200, "{path}");
        assert_eq!(client.text(), message("text", "x"));
    }
    for (stage, error) in [
        ("prod", (410, "GoneException")),
        ("1prod", (403, "ForbiddenException")),
    ] {
        let mut request = Request::new("POST", &id, b"x");
        request.path = format!("/{stage}/@connections/{id}");
        assert_eq!(request.send(address).error(), error, "{stage}");
    }
}

#[test]
fn a_hub_that_does_not_exist_is_forbidden() {
    let mut command = with_keys(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("TIELINE_ONLY_LISTED_HUBS", "true");
    command.env("TIELINE_HUB__PROD__ANONYMOUS", "loopback");
    let server = Server::start(command, drop);
    let address = &server.addresses[0];
    let response = Request::new("GET", "x", b"").send(address);
    assert_eq!(response.error(), (403, "ForbiddenException"));
    assert!(response.body.contains("stage"), "{}", response.body);
    let mut request = Request::new("GET", "x", b"");
    request.path = "/prod/@connections/x".into();
    assert_eq!(request.send(address).error(), (410, "GoneException"));
}

#[test]
fn a_message_has_at_most_128_kib_and_an_id_is_a_name() {
    let server = serve();
    let address = &server.addresses[0];
    let (mut client, id) = connect(address);
    let data = vec![b'x'; 128 * 1024 + 1];
    for length in [data.len(), data.len() - 1] {
        let response = Request::new("POST", &id, &data[..length]).send(address);
        if length > 128 * 1024 {
            assert_eq!(response.error(), (413, "PayloadTooLargeException"));
        } else {
            assert_eq!(response.status, 200);
            assert_eq!(
                client.text(),
                message("text", str::from_utf8(&data[..length]).unwrap())
            );
        }
    }
    let long = vec![b'x'; 2 * 1024 * 1024];
    let response = Request::new("POST", &id, &long).send(address);
    assert_eq!(response.error(), (413, "PayloadTooLargeException"));
    for id in ["%FF", "%00"] {
        let response = Request::new("GET", id, b"").send(address);
        assert_eq!(response.error(), (400, "BadRequestException"), "{id}");
    }
}

#[test]
fn without_a_key_pair_the_answer_and_the_log_say_what_is_missing() {
    let (log, logged) = mpsc::sync_channel(100);
    let command = tieline(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(command, move |line| {
        if line.contains("aws.") {
            let _ = log.try_send(line);
        }
    });
    for _ in 0..3 {
        let response = Request::new("POST", "x", b"").send(&server.addresses[0]);
        assert_eq!(response.error(), (403, "ForbiddenException"));
        let body = response.body;
        assert!(body.contains("aws.access_key_id") && body.contains("aws.secret_access_key"));
    }
    assert!(
        logged
            .recv_timeout(DEADLINE)
            .unwrap()
            .contains("aws.access_key_id")
    );
    drop(server);
    assert!(logged.recv_timeout(DEADLINE).is_err(), "logged again");
}

#[test]
fn a_reload_replaces_the_key_pair() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let keys = |secret: &str| {
        write("secret", &format!("{secret}\n"));
        let pair =
            format!("access_key_id = \"{KEY_ID}\"\nsecret_access_key = {{ file = \"secret\" }}");
        write(
            "t.toml",
            &format!("listen = \"127.0.0.1:0\"\n[aws]\n{pair}\n"),
        );
    };
    keys("the first secret, of more than 32 bytes");
    let config = folder.path().join("t.toml");
    let (reports, reloads) = mpsc::sync_channel(10);
    let command = tieline(&["serve", "--config", config.to_str().unwrap()]);
    let server = Server::start(command, move |line| {
        if line.contains("reloaded") {
            let _ = reports.try_send(line);
        }
    });
    let status = || {
        Request::new("GET", "x", b"")
            .send(&server.addresses[0])
            .status
    };
    assert_eq!(status(), 403);
    keys(SECRET);
    server.signal("HUP");
    let report = reloads.recv_timeout(DEADLINE).unwrap();
    assert!(report.contains("aws.secret_access_key"), "{report}");
    assert_eq!(status(), 410);
    keys("short");
    server.signal("HUP");
    let report = reloads.recv_timeout(DEADLINE).unwrap();
    assert!(
        report.contains("aws.secret_access_key") && !report.contains("short\""),
        "{report}"
    );
    assert_eq!(status(), 410);
}
