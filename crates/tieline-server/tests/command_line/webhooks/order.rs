//! The order of a connection's events, and what does not wait for them.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::{
    ack, event,
    handler::{Handler, Reply, Seen},
};
use crate::kit::Client;

/// Lets requests through when the test says so.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (open, changed) = &*self.0;
        let mut open = open.lock();
        changed.wait_while(&mut open, |open| *open == 0);
        *open -= 1;
    }

    fn open(&self, times: usize) {
        *self.0.0.lock() += times;
        self.0.1.notify_all();
    }
}

/// A handler whose user events wait for the gate.
fn gated() -> (Handler, Gate) {
    let gate = Gate::default();
    let at = gate.clone();
    let handler = Handler::start(move |seen| {
        if seen.header("ce-type").starts_with("azure.webpubsub.user.") {
            at.pass();
        }
        Reply::nothing()
    });
    (handler, gate)
}

const PING: &str = r#"{"type":"ping"}"#;
const PONG: &str = r#"{"type":"pong"}"#;

#[test]
fn nothing_else_of_the_client_waits_for_its_events() {
    let (handler, gate) = gated();
    let server = super::serve(&handler, &[]);
    let (mut client, mut other) = (super::connect(&server), super::connect(&server));
    client.send(&event("slow", 1, ""));
    client.send(r#"{"type":"joinGroup","group":"g","ackId":2}"#);
    assert_eq!(client.text(), ack(2));
    client.send(PING);
    assert_eq!(client.text(), PONG);
    other.send(r#"{"type":"sendToGroup","group":"g","data":1}"#);
    assert!(client.text().contains(r#""from":"group""#));
    client.send(r#"{"type":"sendToGroup","group":"g","data":2,"ackId":3}"#);
    assert!(client.text().contains(r#""from":"group""#));
    assert_eq!(client.text(), ack(3));
    // Nor do the events of another client.
    gate.open(1);
    assert_eq!(client.text(), ack(1));
    other.send(&event("quick", 1, ""));
    gate.open(1);
    assert_eq!(other.text(), ack(1));
}

#[test]
fn a_client_with_64_waiting_events_is_not_read_until_there_is_room() {
    let (handler, gate) = gated();
    let server = super::serve(&handler, &[]);
    let mut client = super::connect(&server);
    client.send(&event("e", 0, ""));
    while handler.next().event() != "e" {}
    // One is being handled, so 64 wait.
    for id in 1..=64 {
        client.send(&event("e", id, ""));
    }
    client.send(PING);
    assert_eq!(client.text(), PONG);
    // One too many: what follows is not read.
    client.send(&event("e", 65, ""));
    client.send(PING);
    let mut other = super::connect(&server);
    other.send(PING);
    assert_eq!(other.text(), PONG, "only that client waits");
    gate.open(1);
    assert_eq!(client.text(), ack(0), "no pong before there is room");
    assert_eq!(client.text(), PONG);
    gate.open(65);
    for id in 1..=65 {
        assert_eq!(client.text(), ack(id));
    }
}

#[test]
fn a_handler_gets_so_many_requests_at_a_time() {
    let (handler, gate) = gated();
    let server = super::serve(&handler, &["--event-handler-concurrency", "2"]);
    let mut clients: Vec<_> = (0..5).map(|_| super::connect(&server)).collect();
    let is_event = |seen: &Seen| seen.event() == "e";
    for client in &mut clients {
        client.send(&event("e", 1, ""));
        client.send(PING);
        assert_eq!(client.text(), PONG);
    }
    while !is_event(&handler.next()) {}
    while !is_event(&handler.next()) {}
    // The others do not fail, they wait. More than two requests would be seen when the first is answered.
    for client in 0..5 {
        assert_eq!(
            handler.rest().iter().filter(|seen| is_event(seen)).count(),
            0
        );
        gate.open(1);
        if client < 3 {
            assert!(is_event(&handler.next()));
        }
    }
    for client in &mut clients {
        assert_eq!(client.text(), ack(1));
    }
}

#[test]
fn events_are_handled_in_the_order_of_the_frames_and_the_end_comes_last() {
    let handler = Handler::start(|_| Reply::nothing());
    let server = super::serve(&handler, &["--event-handler-groups", "**"]);
    let mut client = super::connect(&server);
    let mut expected = vec!["connect".to_owned(), "connected".into()];
    for id in 0..100 {
        client.send(&event(&format!("e{id}"), id, ""));
        client.send(&format!(r#"{{"type":"joinGroup","group":"g{id}"}}"#));
        expected.extend([format!("e{id}"), "joined".into()]);
    }
    expected.push("disconnected".into());
    // A socket that is closed with something unread takes back what its other side has not read.
    client.send(PING);
    let (mut acks, mut pongs) = (0, 0);
    while (acks, pongs) != (100, 1) {
        let frame = client.text();
        if frame == PONG {
            pongs += 1;
        } else {
            acks += 1;
        }
    }
    drop(client);
    for (number, name) in expected.iter().enumerate() {
        assert_eq!(handler.expect(name).header("ce-id"), number.to_string());
    }
    assert_eq!(handler.rest().len(), 0);
}

#[test]
fn a_drain_reports_who_is_disconnected() {
    let handler = Handler::start(|_| Reply::nothing());
    let mut server = super::serve(&handler, &["--drain-window", "0"]);
    let mut clients: Vec<_> = (0..20).map(|_| super::connect(&server)).collect();
    server.signal("TERM");
    for client in &mut clients {
        assert_eq!(Client::close_code(client), 1012);
    }
    drop(clients);
    assert_eq!(server.exit_code(), Some(0));
    let seen = handler.rest();
    let gone = seen.iter().filter(|seen| seen.event() == "disconnected");
    assert_eq!(gone.count(), 20);
}
