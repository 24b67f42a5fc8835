//! The REST API: what a backend asks for on one node, about clients of another.

mod announced;
mod closes;
mod encodings;
mod groups;
mod lists;
mod permissions;
mod refusals;
mod repeats;
mod sends;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use jsonwebtoken::Algorithm;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tieline_test_servers::redis::Redis;

use super::{
    kit::{Client, DEADLINE, Server, tieline},
    tokens::{KEY, now, signed},
};

/// The paths of the hub's operations.
const API: &str = "/api/hubs/chat";

/// Two nodes of a cluster. Backends ask the first, and clients are on the second.
pub(crate) struct Nodes {
    first: Server,
    second: Server,
    _redis: Redis,
}

impl Nodes {
    fn start() -> Self {
        let nodes = Self::with_lease("5");
        // A new registry could be one that has lost its entries: who is not there is not known at first.
        eventually("the registry knows who is not there", || {
            nodes.call("HEAD", "/connections/none").status == 404
        });
        nodes
    }

    /// Starts them with a lease in seconds, until they know each other.
    fn with_lease(lease: &str) -> Self {
        Self::with_flags(&["--lease", lease], &[])
    }

    /// The same with flags of the second node.
    pub(crate) fn with_flags_of_second(flags: &[&str]) -> Self {
        Self::with_flags(&["--lease", "5"], flags)
    }

    /// The same with flags of both nodes, and of the second.
    pub(crate) fn with_flags(flags: &[&str], of_second: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let redis = runtime.block_on(Redis::start());
        let registry = redis.url();
        let node = |own: &[&str]| {
            let cluster = ["--registry", &registry, "--peers-listen", "127.0.0.1:0"];
            serve(&[&cluster[..], flags, own].concat())
        };
        let nodes = Self {
            first: node(&[]),
            second: node(of_second),
            _redis: redis,
        };
        // Then the nodes know each other.
        nodes.client(json!({"sub": "linked"}));
        nodes
    }

    /// Asks the first node.
    pub(crate) fn call(&self, method: &str, path: &str) -> Response {
        call(&self.first, method, path)
    }

    /// Asks the first node, with further headers and without a body.
    pub(crate) fn call_with(&self, method: &str, path: &str, headers: &str) -> Response {
        request(&self.first, method, path, headers, b"")
    }

    pub(crate) fn send(&self, path: &str, media_type: &str, body: &str) -> Response {
        post(&self.first, path, media_type, body)
    }

    /// Where the first node listens.
    pub(crate) fn first_address(&self) -> &str {
        &self.first.addresses[0]
    }

    /// Sends a signal to the second node.
    pub(crate) fn signal_second(&self, name: &str) {
        self.second.signal(name);
    }

    /// Where the second node listens.
    pub(crate) fn second_address(&self) -> &str {
        &self.second.addresses[0]
    }

    /// Connects a client to the second node, with claims besides the audience.
    pub(crate) fn client(&self, claims: Value) -> JsonClient {
        let user = claims["sub"].as_str();
        let user = user.map(|user| utf8_percent_encode(user, NON_ALPHANUMERIC).to_string());
        let client = JsonClient::connect(&self.second, claims);
        if let Some(user) = user {
            let path = format!("/users/{user}");
            eventually("the first node knows the user", || {
                self.call("HEAD", &path).status == 200
            });
        }
        client
    }
}

fn serve(flags: &[&str]) -> Server {
    let mut command = tieline(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
    command.env("TIELINE_KEY", KEY);
    Server::start(command, drop)
}

/// A client of the subprotocol, with the id that it was given.
pub(crate) struct JsonClient {
    pub(crate) id: String,
    client: Client,
}

impl JsonClient {
    fn connect(server: &Server, claims: Value) -> Self {
        let path = client_path(claims);
        let mut client = Client::connect(server, &path, Client::JSON);
        let connected: Value = serde_json::from_str(&client.text()).unwrap();
        let id = connected["connectionId"].as_str().unwrap().to_owned();
        Self { id, client }
    }

    pub(crate) fn send(&mut self, frame: &str) {
        self.client.send(frame);
    }

    pub(crate) fn next(&mut self) -> Value {
        serde_json::from_str(&self.client.text()).unwrap()
    }

    /// The data of the next message.
    fn data(&mut self) -> Value {
        self.next()["data"].take()
    }
}

pub(crate) fn client_path(mut claims: Value) -> String {
    claims["aud"] = "http://any.example/client/hubs/chat".into();
    let token = signed(Algorithm::HS256, KEY, claims);
    format!("/client/hubs/chat?access_token={token}")
}

/// What a server responds.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }

    /// The headers that say how far a message went.
    fn reach(&self) -> [&str; 3] {
        ["delivered", "refused", "missed"].map(|what| {
            let value = self.header(&format!("tieline-{what}"));
            value.unwrap_or("none")
        })
    }

    /// Checks an error: its status, its code in header and body, and what it is about.
    #[track_caller]
    fn is_error(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("x-ms-error-code"), Some(code), "{self:?}");
        if self.body.is_empty() {
            return String::new();
        }
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["code"], code, "{self:?}");
        body["message"].as_str().unwrap().to_owned()
    }
}

/// Asks a node, with a token for the request.
fn call(server: &Server, method: &str, path: &str) -> Response {
    request(server, method, path, "", b"")
}

fn post(server: &Server, path: &str, media_type: &str, body: &str) -> Response {
    let headers = format!("Content-Type: {media_type}\r\n");
    request(server, "POST", path, &headers, body.as_bytes())
}

pub(crate) fn request(
    server: &Server,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Response {
    let bearer = bearer(server, path);
    let headers = format!("{bearer}{headers}Content-Length: {}\r\n", body.len());
    raw(server, method, &format!("{API}{path}"), &headers, body)
}

/// The header with a token for a path of the hub, as the SDKs make it.
fn bearer(server: &Server, path: &str) -> String {
    token_for(server, &format!("{API}{path}"))
}

/// The same for any path of the API.
pub(crate) fn token_for(server: &Server, path: &str) -> String {
    let url = format!("http://{}{path}", server.addresses[0]);
    let token = signed(
        Algorithm::HS256,
        KEY,
        json!({"aud": url, "exp": now() + 60}),
    );
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) fn raw(
    server: &Server,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Response {
    let address = &server.addresses[0];
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
    );
    // The server may refuse before it has read all.
    let _ = socket.write_all(head.as_bytes());
    let _ = socket.write_all(body);
    read_response(socket)
}

fn read_response(mut socket: TcpStream) -> Response {
    let mut response = Vec::new();
    // It may be reset behind the response, if the body was not read.
    let _ = socket.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "not in time: {what}");
    }
}
