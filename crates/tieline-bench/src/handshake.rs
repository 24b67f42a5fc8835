//! The client's half of the opening handshake, RFC 6455 section 4.1.

use crate::{plan::Plan, url::Url};

/// The key is the RFC's own for every connection: it is there to tell caches from servers, and one
/// answer can be compared without a digest.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A head beyond this is garbage.
const LONGEST: usize = 64 * 1024;
/// How much of a refusal's body is told.
const TOLD: usize = 120;

/// The request that opens a WebSocket.
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

/// Judges a response: its length once it is complete and opens a WebSocket, what is wrong otherwise.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<usize>, String> {
    if !b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]) {
        return Err(format!("no HTTP answer: {}", tell(bytes)));
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match bytes.len() {
            ..LONGEST => Ok(None),
            _ => Err("the head of the answer does not end".to_owned()),
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let (status, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    if status.split(' ').nth(1) != Some("101") {
        return Err(format!("{status}: {}", tell(&bytes[end + 4..])));
    }
    if field(fields, "sec-websocket-accept") != Some(ACCEPT) {
        return Err("the answer's Sec-WebSocket-Accept is wrong".to_owned());
    }
    Ok(Some(end + 4))
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The beginning of what was answered, on one line.
fn tell(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TOLD)]);
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
    fn a_complete_answer_opens() {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      sec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(response(answer.as_bytes()), Ok(Some(answer.len())));
        let more = [answer.as_bytes(), b"\x81\x02hi"].concat();
        assert_eq!(response(&more), Ok(Some(answer.len())));
        for cut in 0..answer.len() {
            assert_eq!(response(&answer.as_bytes()[..cut]), Ok(None));
        }
    }

    #[test]
    fn refusals_are_told_in_words() {
        let refused = "HTTP/1.1 404 Not Found\r\n\r\ntry /ws?id=you\nor /echo\n";
        assert_eq!(
            response(refused.as_bytes()),
            Err("HTTP/1.1 404 Not Found: try /ws?id=you or /echo".to_owned())
        );
        assert!(response(b"SSH-2.0-x\r\n").is_err());
        assert!(response(b"HTTP/1.1 101 Fine\r\nsec-websocket-accept: no\r\n\r\n").is_err());
        let endless = format!("HTTP/1.1 101 {}", "x".repeat(LONGEST));
        assert!(response(endless.as_bytes()).is_err());
    }
}
