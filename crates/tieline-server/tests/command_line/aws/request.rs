//! Requests to `@connections`, signed by hand.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::SystemTime,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};

use crate::kit::{DEADLINE, tieline};

pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A command with a key pair.
pub(crate) fn with_keys(arguments: &[&str]) -> Command {
    let mut command = tieline(arguments);
    command.env("TIELINE_AWS__ACCESS_KEY_ID", KEY_ID);
    command.env("TIELINE_AWS__SECRET_ACCESS_KEY", SECRET);
    command
}

/// A request, before it is signed.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As it is sent.
    pub(crate) path: String,
    pub(crate) body: &'a [u8],
    pub(crate) secret: &'a str,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// What SDKs look at to choose an exception.
    pub(crate) fn error(&self) -> (u16, &str) {
        let (_, kind) = self.head.split_once("x-amzn-errortype: ").unwrap();
        let kind = kind.lines().next().unwrap();
        assert!(self.body.contains(kind), "{}", self.body);
        (self.status, kind)
    }
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, id: &str, body: &'a [u8]) -> Self {
        Self {
            method,
            path: format!("/chat/@connections/{id}"),
            body,
            secret: SECRET,
        }
    }

    pub(crate) fn send(&self, address: &str) -> Response {
        let headers = self.signed(address);
        self.send_with(address, &headers)
    }

    /// Sends it with these headers instead of a signature.
    pub(crate) fn send_with(&self, address: &str, headers: &str) -> Response {
        let Self {
            method, path, body, ..
        } = self;
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(body).unwrap();
        let mut response = String::new();
        socket.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Response {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The headers of a signature of now.
    fn signed(&self, host: &str) -> String {
        let now = now();
        let (day, _) = now.split_once('T').unwrap();
        // What is encoded in the tests, apart from the id.
        let path = self.path.replace('%', "%25").replace('@', "%40");
        let request = format!(
            "{}\n{path}\n\nhost:{host}\nx-amz-date:{now}\n\nhost;x-amz-date\n{}",
            self.method,
            hash(self.body)
        );
        let scope = format!("{day}/us-east-1/execute-api/aws4_request");
        let text = format!(
            "AWS4-HMAC-SHA256\n{now}\n{scope}\n{}",
            hash(request.as_bytes())
        );
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/').chain([&*text]) {
            let part_key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            key = hmac::sign(&part_key, part.as_bytes()).as_ref().to_vec();
        }
        format!(
            "X-Amz-Date: {now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, \
             SignedHeaders=host;x-amz-date, Signature={}\r\n",
            hex(&key)
        )
    }
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the times of signatures are those of wall clocks"
)]
fn now() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    now.to_string().replace(['-', ':'], "")
}
