//! The program as a process: run to its end, or as a server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn tieline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command
        .args(arguments)
        .env_remove("TIELINE_KEY")
        .env_remove("TIELINE_SECONDARY_KEY")
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
        Self::start(tieline(arguments), drop)
    }

    /// Starts a prepared command that logs the address to listen on, and hands on each further line of its log.
    pub(crate) fn start(mut command: Command, log: impl FnMut(String) + Send + 'static) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut addresses = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            // A node of a cluster may log other addresses before.
            let (_, rest) = line.split_once("listening address=")?;
            Some(rest.to_owned())
        });
        let address = addresses.next().expect("an address in the log");
        let address = address.split(' ').next().unwrap().to_owned();
        // Read on, or a full pipe would block the server.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(log));
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

    /// Stops the process until it gets `CONT`. Returns when each of its threads has stopped.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        let begin = Instant::now();
        let threads = format!("/proc/{}/task", self.child.id());
        let is_stopped = |thread: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat"));
            // The state follows the name, which may contain anything.
            stat.is_ok_and(|stat| stat.rsplit(") ").next().unwrap().starts_with('T'))
        };
        while !std::fs::read_dir(&threads).unwrap().all(is_stopped) {
            assert!(begin.elapsed() < DEADLINE, "the server did not stop");
        }
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
        self.exchange(node, path, "Connection: close\r\n")
    }

    /// The response to an upgrade that is refused.
    pub(crate) fn refused_upgrade(&self, path: &str, headers: &str) -> String {
        let headers = format!(
            "Upgrade: websocket\r\nConnection: Upgrade, close\r\n{headers}Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        self.exchange(0, path, &headers)
    }

    fn exchange(&self, node: usize, path: &str, headers: &str) -> String {
        let mut socket = TcpStream::connect(&self.addresses[node]).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = &self.addresses[node];
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Connects a simple client, which disconnects when the socket is dropped.
    pub(crate) fn connect(&self, node: usize) -> TcpStream {
        let (socket, _) = upgrade(&self.addresses[node], "/client/hubs/chat", "");
        socket
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Upgrades a connection, and returns it with the head of the response.
fn upgrade(address: &str, path: &str, headers: &str) -> (TcpStream, String) {
    let (socket, head) = ask_to_upgrade(address, path, headers);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    (socket, head)
}

/// Asks for an upgrade, and returns the head of the response, whatever it says.
pub(crate) fn ask_to_upgrade(address: &str, path: &str, headers: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = ask_on(&mut socket, address, path, headers).unwrap();
    (socket, head)
}

/// The same on a connection that is open, to this host.
pub(crate) fn ask_on(
    socket: &mut (impl Read + Write),
    host: &str,
    path: &str,
    headers: &str,
) -> std::io::Result<String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{headers}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// A client that sends what no SDK would.
pub(crate) struct Client<S = TcpStream>(pub(crate) S);

impl Client {
    pub(crate) const JSON: &str = "json.webpubsub.azure.v1";

    /// Connects. The reply must repeat the subprotocol as it was offered.
    pub(crate) fn connect(server: &Server, path: &str, subprotocol: &str) -> Self {
        Self::connect_to(&server.addresses[0], path, subprotocol)
    }

    /// The same to one node of several.
    pub(crate) fn connect_to(address: &str, path: &str, subprotocol: &str) -> Self {
        let header = format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
        let (socket, head) = upgrade(address, path, &header);
        let (_, agreed) = head.split_once("sec-websocket-protocol: ").unwrap();
        assert_eq!(agreed.lines().next(), Some(subprotocol));
        Self(socket)
    }

    /// Connects over a socket, with the JSON subprotocol.
    pub(crate) fn over(mut socket: TcpStream, address: &str, path: &str) -> Self {
        let header = format!("Sec-WebSocket-Protocol: {}\r\n", Self::JSON);
        let head = ask_on(&mut socket, address, path, &header).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(socket)
    }

    /// Connects without a subprotocol.
    pub(crate) fn simple(address: &str, path: &str) -> Self {
        Self(upgrade(address, path, "").0)
    }

    /// Connects with further headers.
    pub(crate) fn with_headers(server: &Server, path: &str, headers: &str) -> Self {
        Self(upgrade(&server.addresses[0], path, headers).0)
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, text: &str) {
        self.send_frame(0x81, text.as_bytes());
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(0x82, bytes);
    }

    /// Masked with zeros, as is allowed.
    fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0xff];
        frame.extend((payload.len() as u64).to_be_bytes());
        if let Ok(length) = u16::try_from(payload.len()) {
            frame = vec![first, 0xfe];
            frame.extend(length.to_be_bytes());
        }
        if let Ok(length @ ..126) = u8::try_from(payload.len()) {
            frame = vec![first, 0x80 | length];
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }

    /// The next message, whole or in fragments.
    pub(crate) fn text(&mut self) -> String {
        let (first, mut payload) = self.frame();
        assert!(matches!(first, 0x81 | 0x01), "{first:#x}: {payload:?}");
        let mut is_last = first == 0x81;
        while !is_last {
            let (next, more) = self.frame();
            assert!(matches!(next, 0x80 | 0x00), "{next:#x}: {more:?}");
            payload.extend(more);
            is_last = next == 0x80;
        }
        String::from_utf8(payload).unwrap()
    }

    /// The next message, of bytes.
    pub(crate) fn binary(&mut self) -> Vec<u8> {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x82, "{payload:?}");
        payload
    }

    /// The close frame, which must be next.
    pub(crate) fn close(&mut self) -> (u16, String) {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x88, "{payload:?}");
        let (code, reason) = payload.split_at(2);
        let reason = String::from_utf8(reason.to_vec()).unwrap();
        (u16::from_be_bytes([code[0], code[1]]), reason)
    }

    /// The code of the close frame, after any messages.
    pub(crate) fn close_code(&mut self) -> u16 {
        loop {
            let (first, payload) = self.frame();
            if first == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, short] = self.array();
        let length = match short {
            127 => u64::from_be_bytes(self.array()),
            126 => u16::from_be_bytes(self.array()).into(),
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).unwrap();
        (first, payload)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// Waits between things that happen again and again, on a thread of their own.
#[expect(clippy::disallowed_methods, reason = "it paces what others wait for")]
pub(crate) fn pace(pause: Duration) {
    std::thread::sleep(pause);
}
