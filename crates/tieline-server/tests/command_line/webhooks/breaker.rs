//! Handlers that are away.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    ack, event, failed,
    handler::{Handler, Reply, Seen},
};
use crate::kit::Server;

#[test]
fn events_that_nobody_waits_for_survive_a_handler_that_is_away() {
    // Nobody listens there, but no other program gets the port either.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .unwrap()
                .into(),
        )
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{address}/eh");
    let server = Server::serve(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--event-handler",
        &url,
        "--event-handler-system-events",
        "connected,disconnected",
    ]);
    drop(super::connect(&server));
    let mut client = super::connect(&server);
    // The server goes on meanwhile.
    for _ in 0..3 {
        client.send(r#"{"type":"ping"}"#);
        assert_eq!(client.text(), r#"{"type":"pong"}"#);
    }
    socket.listen(128).unwrap();
    let handler = Handler::on(TcpListener::from(socket), true, |_| Reply::nothing());
    let mut seen: Vec<_> = (0..3).map(|_| handler.next()).collect();
    seen.sort_by_key(|seen| seen.event().to_owned());
    let names: Vec<_> = seen.iter().map(Seen::event).collect();
    assert_eq!(names, ["connected", "connected", "disconnected"]);
    assert_eq!(handler.rest().len(), 0, "each comes once");
}

#[test]
fn a_dead_handler_costs_no_waiting_until_it_is_back() {
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&dead);
    let handler = Handler::start(move |seen| match seen.event() {
        "e" if is_dead.load(Ordering::SeqCst) => Reply::Close,
        _ => Reply::nothing(),
    });
    let server = super::serve(&handler, &[]);
    let mut clients: Vec<_> = (0..10).map(|_| super::connect(&server)).collect();
    dead.store(true, Ordering::SeqCst);
    // Enough failures at once for the breaker to open.
    for client in &mut clients {
        client.send(&event("e", 1, ""));
    }
    for client in &mut clients {
        failed(&client.text(), 1);
    }
    // While it is open, every event fails at once; a probe may be the exception.
    let client = &mut clients[0];
    let begin = Instant::now();
    for id in 2..1_000 {
        client.send(&event("e", id, ""));
        failed(&client.text(), id);
        if begin.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    let tried = handler.rest();
    let tried = tried.iter().filter(|seen| seen.event() == "e").count();
    assert!(tried < 30, "{tried} requests to a dead handler");
    dead.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    for id in 10_000.. {
        client.send(&event("e", id, ""));
        if client.text() == ack(id) {
            break;
        }
        assert!(Instant::now() < deadline, "the breaker does not close");
    }
}
