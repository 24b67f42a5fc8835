//! The program as a process: run to its end, or as a server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn tieline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = tieline(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A running server. Dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    /// The addresses of its nodes.
    pub(crate) addresses: Vec<String>,
}

impl Server {
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        let mut child = tieline(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line
            .split("address=")
            .nth(1)
            .expect("an address in the log");
        let address = address.split(' ').next().unwrap().to_owned();
        // Read on, or a full pipe would block the server.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            addresses: vec![address],
        }
    }

    pub(crate) fn demo(arguments: &[&str]) -> Self {
        let mut child = tieline(&[&["demo"], arguments].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addresses = lines.by_ref().map(Result::unwrap).filter_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            rest.split('/').next().map(str::to_owned)
        });
        let addresses = addresses.take(2).collect();
        // Read on, or printing would fail on a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addresses }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("the server did not exit");
    }

    pub(crate) fn get(&self, node: usize, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.addresses[node]).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = &self.addresses[node];
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Connects a simple client, which disconnects when the socket is dropped.
    pub(crate) fn connect(&self, node: usize) -> TcpStream {
        let mut socket = TcpStream::connect(&self.addresses[node]).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.addresses[node]
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
