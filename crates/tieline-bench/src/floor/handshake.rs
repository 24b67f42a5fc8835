//! The handshake of the baseline server: reads key and id from the request, and makes the response.
//!
//! Must not know sockets. Checks only that there is a key; nothing else in a request is validated.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1_smol::Sha1;

/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 26\r\n\r\n\
                       this speaks WebSocket only";

/// The relevant parts of a request.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Its length in bytes.
    pub(super) length: usize,
    /// `Sec-WebSocket-Key`; `None` if this is not an upgrade request.
    pub(super) key: Option<Vec<u8>>,
    /// The query parameter `id`.
    pub(super) id: Option<Vec<u8>>,
}

impl Handshake {
    /// Parses a request; `None` if it is incomplete.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let end = input.windows(4).position(|four| four == b"\r\n\r\n")?;
        let mut lines = input[..end].split(|byte| *byte == b'\n');
        let target = lines
            .next()
            .and_then(|line| line.split(|byte| *byte == b' ').nth(1));
        Some(Self {
            length: end + 4,
            id: target.and_then(id),
            key: lines.find_map(key),
        })
    }

    pub(super) fn response(&self) -> Vec<u8> {
        let Some(key) = &self.key else {
            return REFUSAL.into();
        };
        let mut sha1 = Sha1::from(key);
        sha1.update(GUID);
        let accept = STANDARD.encode(sha1.digest().bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {accept}\r\n\r\n"
        )
        .into()
    }
}

fn id(target: &[u8]) -> Option<Vec<u8>> {
    let query = target.splitn(2, |byte| *byte == b'?').nth(1)?;
    let mut fields = query.split(|byte| *byte == b'&');
    fields.find_map(|field| Some(field.strip_prefix(b"id=")?.to_vec()))
}

fn key(line: &[u8]) -> Option<Vec<u8>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    name.eq_ignore_ascii_case(b"sec-websocket-key")
        .then(|| value.trim_ascii().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_the_rfc_says() {
        let request = b"GET /ws?a=1&id=client-7 HTTP/1.1\r\nhost: x\r\n\
                        sec-websocket-KEY:  dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nrest";
        let handshake = Handshake::parse(request).expect("it is complete");
        assert_eq!(handshake.length, request.len() - 4);
        assert_eq!(handshake.id.as_deref(), Some(&b"client-7"[..]));
        let response = String::from_utf8(handshake.response()).expect("it is text");
        assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn a_request_without_a_key_is_refused() {
        let handshake = Handshake::parse(b"GET / HTTP/1.1\r\n\r\n").expect("it is complete");
        assert!(handshake.response().starts_with(b"HTTP/1.1 400"));
        assert!(Handshake::parse(b"GET / HTTP/1.1\r\n").is_none());
    }
}
