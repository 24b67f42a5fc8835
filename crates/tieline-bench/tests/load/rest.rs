//! Requests against HTTP servers that answer, and against some that misbehave.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tieline_bench::{
    outcome::Faults,
    plan::{Pacing, Plan, RequestPlan, Scenario},
};

use crate::{NoProgress, run, servers};

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

fn plan(address: SocketAddr) -> Plan {
    let url = format!("http://{address}/api/hubs/chat/users/{{id}}/:send?api-version=2024-12-01");
    let mut plan = crate::plan(Scenario::Rest, &url);
    plan.request = Some(RequestPlan {
        content_type: "text/plain".to_owned(),
        status: 202,
        receiver_url: None,
    });
    plan
}

/// Reads one request; yields head and body.
fn request(socket: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let head = servers::head(socket)?;
    let length = head.split("Content-Length: ").nth(1).unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    Ok((head, body))
}

/// A server that gives every request this answer.
fn answers(answer: &'static str) -> SocketAddr {
    servers::each(move |_, mut socket| {
        while request(&mut socket).is_ok() && socket.write_all(answer.as_bytes()).is_ok() {}
    })
}

#[test]
fn responses_are_counted_in_a_closed_loop() {
    for answer in [ACCEPTED, CHUNKED] {
        // Several in flight are pipelined.
        for in_flight in [1, 8] {
            let mut plan = plan(answers(answer));
            plan.pace = Pacing::InFlight(in_flight);
            let outcome = run(&plan);
            assert_eq!(outcome.faults, Faults::default());
            assert_eq!(outcome.opening.connections, 10);
            assert!(outcome.arrived > 20 && outcome.sent > 20, "{outcome:?}");
        }
    }
}

#[test]
fn requests_are_sent_on_schedule_in_an_open_loop() {
    let mut plan = plan(answers(ACCEPTED));
    plan.pace = Pacing::PerSecond(500.0);
    let outcome = run(&plan);
    assert_eq!(outcome.faults, Faults::default());
    let expected = u64::try_from(plan.duration.as_millis() / 2).unwrap();
    assert!(
        outcome.latency.0.len().abs_diff(expected) <= 1,
        "{outcome:?}"
    );
}

#[test]
fn a_request_is_what_the_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let address = {
        let seen = Arc::clone(&seen);
        servers::each(move |_, mut socket| {
            while let Ok(request) = request(&mut socket) {
                seen.lock().push(request);
                if socket.write_all(ACCEPTED.as_bytes()).is_err() {
                    return;
                }
            }
        })
    };
    let mut plan = plan(address);
    plan.send = r#"{"text":"{payload}"}"#.to_owned();
    plan.headers = vec!["X-Test: 1".to_owned()];
    plan.token_key = Some(path);
    (plan.connections, plan.size) = (2, 100);
    plan.request = Some(RequestPlan {
        content_type: "application/json".to_owned(),
        status: 202,
        receiver_url: None,
    });
    let outcome = run(&plan);
    assert_eq!(outcome.faults, Faults::default());
    let seen = seen.lock();
    for user in ["client-0", "client-1"] {
        let line =
            format!("POST /api/hubs/chat/users/{user}/:send?api-version=2024-12-01 HTTP/1.1\r\n");
        let (head, body) = seen
            .iter()
            .find(|(head, _)| head.starts_with(&line))
            .unwrap();
        assert!(head.contains(&format!("Host: {address}\r\n")), "{head}");
        assert!(
            head.contains("Content-Type: application/json\r\nAuthorization: Bearer ey"),
            "{head}"
        );
        assert!(head.contains("X-Test: 1\r\n"), "{head}");
        assert_eq!(body.len(), 100 + r#"{"text":""}"#.len());
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert!(body["text"].as_str().unwrap().ends_with("xxx"));
    }
}

#[test]
fn another_status_does_not_count() {
    let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\n\r\nno token";
    let mut plan = plan(answers(answer));
    plan.warm_up = Duration::ZERO;
    let outcome = run(&plan);
    assert_eq!((outcome.arrived, outcome.faults.lost), (0, 0));
    assert!(outcome.faults.unexpected > 20, "{outcome:?}");
    assert_eq!(
        outcome.faults.examples,
        ["unexpected response: 401: no token"]
    );
}

#[test]
fn a_missing_server_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let why = tieline_bench::run(&plan(address), &NoProgress).unwrap_err();
    let why = why.to_string();
    let expected = format!("cannot connect to {address}: connection refused");
    assert!(why.contains(&expected), "{why}");
}

#[test]
fn what_is_no_response_ends_a_connection() {
    for (answer, expected) in [
        ("SSH-2.0-x\r\n", "not an HTTP response"),
        (
            "HTTP/1.1 202 Accepted\r\n\r\n",
            "neither a length nor chunks",
        ),
    ] {
        let outcome = run(&plan(answers(answer)));
        let why = outcome.faults.examples.join("; ");
        assert_eq!((outcome.arrived, outcome.faults.ended), (0, 10), "{why}");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn requests_without_a_response_are_lost() {
    let address = servers::each(|number, mut socket| {
        while request(&mut socket).is_ok() {
            if number == 3 || socket.write_all(ACCEPTED.as_bytes()).is_err() {
                return;
            }
        }
    });
    let outcome = run(&plan(address));
    assert_eq!((outcome.faults.ended, outcome.faults.unexpected), (1, 0));
    assert!(
        outcome.faults.lost >= 1 && outcome.arrived > 20,
        "{outcome:?}"
    );
}

/// A server that sends the body of each request to the receiver with its user, or to another one.
fn delivers(to: impl Fn(&str) -> String + Clone + Send + 'static) -> SocketAddr {
    let receivers: Arc<Mutex<HashMap<String, TcpStream>>> = Arc::default();
    servers::each(move |_, mut socket| {
        // Requests and handshakes come to one port.
        let mut first = [0; 4];
        while socket.peek(&mut first).is_ok_and(|bytes| bytes == 4) {
            if &first == b"GET " {
                let request = servers::accept_with(&mut socket, "", b"");
                let user = request.split("user=").nth(1).unwrap();
                let user = user.split(' ').next().unwrap().to_owned();
                receivers.lock().insert(user, socket.try_clone().unwrap());
                let _ = servers::read(&mut socket);
                return;
            }
            let Ok((head, body)) = request(&mut socket) else {
                return;
            };
            let user = head.split('/').nth(5).unwrap();
            if let Some(receiver) = receivers.lock().get_mut(&to(user)) {
                let _ = servers::write(receiver, &body);
            }
            if socket.write_all(ACCEPTED.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn with_receivers(address: SocketAddr) -> Plan {
    let mut plan = plan(address);
    let request = plan.request.as_mut().unwrap();
    request.receiver_url = Some(format!("ws://{address}/client?user={{id}}"));
    plan
}

#[test]
fn receivers_get_what_requests_send() {
    let outcome = run(&with_receivers(delivers(str::to_owned)));
    assert_eq!(outcome.faults, Faults::default());
    // The receivers too.
    assert_eq!(outcome.opening.connections, 20);
    assert!(outcome.arrived > 20, "{outcome:?}");
}

#[test]
fn what_receivers_do_not_get_is_a_fault() {
    let outcome = run(&with_receivers(delivers(|_| "nobody".to_owned())));
    assert!(outcome.arrived > 20, "{outcome:?}");
    assert!(outcome.faults.lost >= outcome.arrived, "{outcome:?}");
    let outcome = run(&with_receivers(delivers(|_| "client-0".to_owned())));
    assert!(outcome.faults.misdelivered > 20, "{outcome:?}");
}
