//! HTTP connections of the program.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::kit::{DEADLINE, Server};

/// A connection of a proxy, which it keeps for later requests.
struct Kept(TcpStream);

impl Kept {
    fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(&server.addresses[0]).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    fn is_kept_for(&mut self, time: Duration) {
        self.0.set_read_timeout(Some(time)).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        self.0.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    fn get(&mut self) {
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.0.write_all(request).unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"ok\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            response.extend(byte);
        }
        assert!(response.starts_with(b"HTTP/1.1 200"));
    }
}

fn serve(flags: &[&str]) -> Server {
    Server::serve(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat())
}

#[test]
fn a_kept_connection_outlasts_the_handshake_timeout() {
    let server = serve(&["--handshake-timeout", "1"]);
    let mut kept = Kept::connect(&server);
    for _ in 0..3 {
        kept.get();
        kept.is_kept_for(Duration::from_millis(1500));
    }
    kept.get();
}

#[test]
fn a_kept_connection_is_closed_after_its_own_time() {
    let server = serve(&["--http-idle-timeout", "1"]);
    let mut kept = Kept::connect(&server);
    kept.get();
    let begun = Instant::now();
    assert_eq!(kept.0.read(&mut [0]).unwrap(), 0);
    assert!(begun.elapsed() > Duration::from_millis(900));
}

#[test]
fn the_places_of_silent_connections_are_found_for_others() {
    let server = serve(&["--max-handshakes", "2", "--handshake-timeout", "60"]);
    let _silent: Vec<_> = (0..2).map(|_| Kept::connect(&server)).collect();
    Kept::connect(&server).get();
}
