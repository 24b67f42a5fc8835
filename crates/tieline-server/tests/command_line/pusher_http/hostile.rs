//! Requests that are not to be carried out.

use std::io::{Read, Write};

use super::{KEY, Request, Subscriber, config, single_node};
use crate::{admin::Node as AdminNode, kit::DEADLINE};

const GOOD: &str = r#"{"name":"e","data":"x","channels":["a"]}"#;

#[test]
fn only_a_request_that_is_signed_reaches_anyone() {
    let server = single_node();
    let address = &server.addresses[0];
    let mut client = Subscriber::connect(address, "a");
    let request = || {
        Request::post(
            "/apps/3/events",
            r#"{"name":"e","data":"no","channels":["a"]}"#,
        )
    };
    let good = request().signed();
    let (unsigned, signature) = good.split_once("&auth_signature=").unwrap();
    let upper = format!("{unsigned}&auth_signature={}", signature.to_uppercase());
    for query in [
        "",
        unsigned,
        &upper,
        &format!("{unsigned}&auth_signature="),
        &format!("{unsigned}&auth_signature={}", &signature[2..]),
        &format!("{good}&info=x"),
        &good.replace(KEY, "k5"),
    ] {
        let response = request().send_with(address, query);
        response.error(401);
    }
    for query in [
        format!("{good}&auth_version=1.0"),
        format!("AUTH_KEY={KEY}&{good}"),
    ] {
        request().send_with(address, &query).error(400);
    }
    let now = request().timestamp;
    for timestamp in [now - 660, now + 660, 0] {
        let replayed = Request {
            timestamp,
            ..request()
        };
        assert!(replayed.send(address).error(401).contains("auth_timestamp"));
    }
    for (key, secret) in [
        (KEY, "another secret, which is long"),
        ("k5", super::SECRET),
        ("k6", super::SECRET),
    ] {
        let other = Request {
            key,
            secret,
            ..request()
        };
        other.send(address).error(401);
    }
    let other_body = Request {
        body: GOOD.as_bytes(),
        ..request()
    };
    let response = other_body.send_with(address, &good);
    assert!(response.error(401).contains("body_md5"));
    // Nothing of this arrived before what is signed.
    let response = Request::post("/apps/3/events", GOOD).send(address);
    assert_eq!(response.json(), "{}");
    client.gets("e", "a", "x");
}

#[test]
fn apps_are_found_by_the_path_and_may_be_disabled() {
    let server = single_node();
    let address = &server.addresses[0];
    Request::post("/apps/9/events", GOOD)
        .send(address)
        .error(404);
    let disabled = Request {
        key: "k4",
        ..Request::post("/apps/4/events", GOOD)
    };
    assert!(disabled.send(address).error(403).contains("disabled"));
    for path in [
        "/users/1/terminate_connections",
        "/apps/4/users/1/terminate_connections",
    ] {
        let disabled = Request {
            path,
            ..disabled.clone()
        };
        disabled.send(address).error(403);
        let unknown = Request {
            key: "k9",
            ..disabled
        };
        unknown.send(address).error(401);
    }
    for path in ["/apps/3", "/apps/3/other", "/apps/3/events/x", "/apps"] {
        let response = Request::post(path, GOOD).send(address);
        assert_eq!(response.status, 404, "{path}");
    }
    let response = Request::get("/apps/3/events", "").send(address);
    assert_eq!(response.status, 405);
}

#[test]
fn bodies_that_no_library_sends_are_refused() {
    let server = single_node();
    let address = &server.addresses[0];
    let many = format!(
        r#"{{"name":"e","data":"x","channels":["a"{}]}}"#,
        ",\"a\"".repeat(250_000)
    );
    for body in [
        "",
        "null",
        r#"{"name":null,"data":null,"channels":null,"channel":null,"socket_id":null,"info":null}"#,
        r#"{"name":1,"data":"x","channels":["a"]}"#,
        r#"{"name":"e","data":{"a":1},"channels":["a"]}"#,
        r#"{"name":"e","data":"x","channels":[null]}"#,
        r#"{"name":"e","data":"x","channels":["a"],"socket_id":1.2}"#,
        r#"{"batch":null}"#,
        &many,
        &"[".repeat(100_000),
    ] {
        for path in ["/apps/3/events", "/apps/3/batch_events"] {
            Request::post(path, body).send(address).error(400);
        }
    }
    let events = [r#"{"name":"e","channel":"a","data":"x"}"#; 11].join(",");
    let batch = format!(r#"{{"batch":[{events}]}}"#);
    Request::post("/apps/3/batch_events", &batch)
        .send(address)
        .error(400);
    assert_eq!(
        Request::post("/apps/3/events", GOOD).send(address).json(),
        "{}"
    );
}

#[test]
fn the_longest_data_may_be_escaped_and_no_longer_body_is_read() {
    let server = single_node();
    let address = &server.addresses[0];
    let escaped = "\\u0001".repeat(10_240);
    let event = format!(r#"{{"name":"e","channel":"a","data":"{escaped}"}}"#);
    let batch = format!(r#"{{"batch":[{}]}}"#, vec![event; 10].join(","));
    assert!(batch.len() > 600_000);
    let response = Request::post("/apps/3/batch_events", &batch).send(address);
    assert_eq!(response.json(), "{}");
    let body = format!(
        r#"{{"name":"e","data":"{}","channels":["a"]}}"#,
        "x".repeat(10_241)
    );
    let response = Request::post("/apps/3/events", &body).send(address);
    assert!(response.error(413).contains("10240"));
    let body = " ".repeat((1 << 20) + 1);
    Request::post("/apps/3/events", &body)
        .send(address)
        .error(413);
}

#[test]
fn the_body_of_a_stranger_is_not_waited_for() {
    let server = single_node();
    let address = &server.addresses[0];
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = "POST /apps/3/events?auth_key=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 401");
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let config = config();
    let file = config.path().join("tieline.toml");
    let node = AdminNode::serve(&[
        "--admin-listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
    ]);
    let address = &node.server.addresses[0];
    Request::post("/apps/3/events", GOOD).send(address).json();
    Request::post("/apps/3/events", "{}")
        .send(address)
        .error(400);
    let stranger = Request {
        secret: "another secret, which is long",
        ..Request::get("/apps/3/channels", "")
    };
    stranger.send(address).error(401);
    let page = node.page();
    for series in [
        r#"tieline_rest_requests_total{wire="pusher",route="trigger",status="200"}"#,
        r#"tieline_rest_requests_total{wire="pusher",route="trigger",status="400"}"#,
        r#"tieline_rest_requests_total{wire="pusher",route="list_channels",status="401"}"#,
        r#"tieline_access_refused_total{peer="backend",reason="signature"}"#,
    ] {
        assert_eq!(page.value(series), Some(1.0), "{series}");
    }
}
