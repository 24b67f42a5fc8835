//! Requests of backends, signed by hand.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use aws_lc_rs::hmac;
use md5::{Digest, Md5};

use crate::{kit::DEADLINE, tokens::now};

pub(crate) const KEY: &str = "278d425bdf160c739803";
pub(crate) const SECRET: &str = "7ad3773142a6692b25b8";

/// A request to a server at `address`, before it is signed.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As it is sent.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) key: &'a str,
    pub(crate) secret: &'a str,
    /// In seconds since 1970.
    pub(crate) timestamp: u64,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let header = lines.find(|(other, _)| *other == name);
        header.map(|(_, value)| value)
    }

    /// The body of a success, which all libraries take.
    #[track_caller]
    pub(crate) fn json(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        &self.body
    }

    /// The text of an error.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        let content_type = self.header("content-type");
        assert_eq!(content_type, Some("text/plain; charset=utf-8"));
        assert!(!self.body.contains(SECRET), "{self:?}");
        &self.body
    }
}

impl<'a> Request<'a> {
    pub(crate) fn get(path: &'a str, query: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            query,
            body: b"",
            key: KEY,
            secret: SECRET,
            timestamp: now(),
        }
    }

    pub(crate) fn post(path: &'a str, body: &'a str) -> Self {
        Self {
            method: "POST",
            body: body.as_bytes(),
            ..Self::get(path, "")
        }
    }

    /// The query with everything that is signed, and the signature.
    pub(crate) fn signed(&self) -> String {
        let md5 = hex(&Md5::digest(self.body));
        let Self { key, timestamp, .. } = self;
        let mut pairs = vec![
            format!("auth_key={key}"),
            format!("auth_timestamp={timestamp}"),
            "auth_version=1.0".into(),
            format!("body_md5={md5}"),
        ];
        let own = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.extend(own.map(str::to_owned));
        pairs.sort_unstable();
        let query = pairs.join("&");
        let text = format!("{}\n{}\n{query}", self.method, self.path);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hex(hmac::sign(&secret, text.as_bytes()).as_ref());
        format!("{query}&auth_signature={signature}")
    }

    pub(crate) fn send(&self, address: &str) -> Response {
        self.send_with(address, &self.signed())
    }

    /// Sends it with this query.
    pub(crate) fn send_with(&self, address: &str, query: &str) -> Response {
        let Self {
            method, path, body, ..
        } = self;
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "{method} {path}?{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // The server may refuse before it has read all.
        let _ = socket.write_all(head.as_bytes());
        let _ = socket.write_all(body);
        let mut response = Vec::new();
        let _ = socket.read_to_end(&mut response);
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").expect("a response");
        Response {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}
