//! The client's side of the opening handshake (RFC 6455, section 4.1).
//!
//! Owns the text of the request, and the check of status and `Sec-WebSocket-Accept`; the rest of a
//! response is ignored. Must not know sockets: the caller passes the bytes so far.

use crate::{plan::Plan, url::Url};

/// The example of the RFC, for every connection: the key only detects caches, and a constant one needs
/// no digest to check the response.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A longer response head is an error.
const MAX_HEAD: usize = 64 * 1024;
/// How many bytes of a refusal's body to quote.
const MAX_EXCERPT: usize = 120;

/// The upgrade request.
pub(crate) fn request(url: &Url, plan: &Plan) -> String {
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
        url.target, url.authority
    );
    if let Some(subprotocol) = &plan.subprotocol {
        let field = ["Sec-WebSocket-Protocol: ", subprotocol, "\r\n"];
        request.extend(field);
    }
    for header in &plan.headers {
        request.extend([header, "\r\n"]);
    }
    request.push_str("\r\n");
    request
}

/// Checks a response: yields its length, `None` if it is incomplete, or why it does not open a
/// WebSocket. A `subprotocol` that the load depends on must have been chosen.
pub(crate) fn response(bytes: &[u8], subprotocol: Option<&str>) -> Result<Option<usize>, String> {
    if !b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]) {
        return Err(format!("not an HTTP response: {}", excerpt(bytes)));
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match bytes.len() {
            ..MAX_HEAD => Ok(None),
            _ => Err("the response head does not end".to_owned()),
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let (status, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    if status.split(' ').nth(1) != Some("101") {
        return Err(format!("{status}: {}", excerpt(&bytes[end + 4..])));
    }
    if field(fields, "sec-websocket-accept") != Some(ACCEPT) {
        return Err("the response has a wrong Sec-WebSocket-Accept".to_owned());
    }
    if let Some(name) = subprotocol
        && field(fields, "sec-websocket-protocol") != Some(name)
    {
        return Err(format!("the server did not choose the subprotocol {name}"));
    }
    Ok(Some(end + 4))
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The start of a response, on one line.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_EXCERPT)]);
    let words: Vec<_> = text.split_whitespace().collect();
    let plain = words.join(" ").replace(|c: char| c.is_control(), ".");
    match plain.as_str() {
        "" => "no explanation".to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_response_opens() {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      sec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(response(answer.as_bytes(), None), Ok(Some(answer.len())));
        let more = [answer.as_bytes(), b"\x81\x02hi"].concat();
        assert_eq!(response(&more, None), Ok(Some(answer.len())));
        for cut in 0..answer.len() {
            assert_eq!(response(&answer.as_bytes()[..cut], None), Ok(None));
        }
    }

    #[test]
    fn a_refusal_is_quoted() {
        let refused = "HTTP/1.1 404 Not Found\r\n\r\ntry /ws?id=you\nor /echo\n";
        assert_eq!(
            response(refused.as_bytes(), None),
            Err("HTTP/1.1 404 Not Found: try /ws?id=you or /echo".to_owned())
        );
        assert!(response(b"SSH-2.0-x\r\n", None).is_err());
        assert!(
            response(
                b"HTTP/1.1 101 Fine\r\nsec-websocket-accept: no\r\n\r\n",
                None
            )
            .is_err()
        );
        let endless = format!("HTTP/1.1 101 {}", "x".repeat(MAX_HEAD));
        assert!(response(endless.as_bytes(), None).is_err());
    }

    #[test]
    fn a_subprotocol_that_is_needed_must_be_chosen() {
        let answer = |field: &str| {
            let text = format!(
                "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{field}\r\n"
            );
            response(text.as_bytes(), Some("a.b"))
        };
        assert!(answer("Sec-WebSocket-Protocol: a.b\r\n").is_ok());
        for field in ["", "Sec-WebSocket-Protocol: c\r\n"] {
            assert!(answer(field).unwrap_err().contains("subprotocol a.b"));
        }
    }
}
