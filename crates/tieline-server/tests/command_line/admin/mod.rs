//! The admin port: who may use it, what its page of metrics says, its API, and the dashboard.

mod access;
mod api;
mod dashboard;
mod documentation;
mod handshakes;
mod metrics;

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::mpsc::{Receiver, sync_channel},
    time::Instant,
};

use parking_lot::Mutex;

use super::kit::{DEADLINE, Server, tieline};

/// A node with the address of its admin port.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) admin: String,
    /// What it writes after its start.
    log: Mutex<Receiver<String>>,
}

impl Node {
    /// Serves on free ports, with these arguments.
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        Self::start(Self::command(arguments))
    }

    pub(crate) fn command(arguments: &[&str]) -> Command {
        let ports = ["serve", "--listen", "127.0.0.1:0"];
        tieline(&[&ports[..], arguments].concat())
    }

    pub(crate) fn start(command: Command) -> Self {
        let (sender, admin) = sync_channel(1);
        let (written, log) = sync_channel(10_000);
        let server = Server::start(command, move |line| {
            if let Some((_, address)) = line.split_once("serving the admin port address=") {
                let _ = sender.try_send(address.to_owned());
            }
            let _ = written.try_send(line);
        });
        let admin = admin.recv_timeout(DEADLINE).unwrap();
        let log = Mutex::new(log);
        Self { server, admin, log }
    }

    /// The next line of its log with this text.
    fn logged(&self, text: &str) -> String {
        loop {
            let line = self.log.lock().recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The page of metrics.
    pub(crate) fn page(&self) -> Page {
        let response = get(&self.admin, "/metrics", "");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.contains(kind), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        Page(body.to_owned())
    }

    /// The page, once it satisfies a condition.
    pub(crate) fn page_with(&self, holds: impl Fn(&Page) -> bool) -> Page {
        let begin = Instant::now();
        loop {
            let page = self.page();
            if holds(&page) {
                return page;
            }
            assert!(begin.elapsed() < DEADLINE, "{}", page.0);
        }
    }
}

/// A page of metrics.
pub(crate) struct Page(pub(crate) String);

impl Page {
    /// The value of a series, which is named as it stands there.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series));
        line?.strip_prefix(' ')?.parse().ok()
    }

    /// The lines of a metric's series.
    pub(crate) fn series<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = format!("{name}{{");
        self.0.lines().filter(move |line| line.starts_with(&name))
    }
}

/// The response to a request with further headers.
pub(crate) fn get(address: &str, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let host = if headers.contains("Host:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response
}
