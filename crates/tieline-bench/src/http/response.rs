//! Where a response ends, and its status.
//!
//! Must not know which request it answers. Invariant: bytes are taken only as a whole response.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Status};

/// More header fields are an error.
const MAX_FIELDS: usize = 64;
/// A longer head is an error.
const MAX_HEAD: usize = 64 * 1024;
/// A longer body is an error.
const MAX_BODY: usize = 1 << 30;
/// How many bytes of a body to quote.
const MAX_EXCERPT: usize = 120;

/// Why bytes are not a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("not an HTTP response: {0}")]
    Syntax(#[from] httparse::Error),
    #[error("the head of a response is longer than {MAX_HEAD} bytes")]
    Head,
    #[error("a response has neither a length nor chunks, so it ends with the connection")]
    NoLength,
    #[error("the length of a response is invalid")]
    Length,
}

/// A response within a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The head and the body.
    pub(crate) bytes: Range<usize>,
    /// The body, with the lines between its chunks.
    pub(crate) body: Range<usize>,
}

impl Response {
    /// Parses the response at `at`; `None` if it is incomplete.
    pub(crate) fn at(buffer: &[u8], at: usize) -> Result<Option<Self>, ResponseError> {
        let bytes = &buffer[at..];
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let begin = match head.parse(bytes)? {
            Status::Complete(length) => length,
            Status::Partial if bytes.len() > MAX_HEAD => return Err(ResponseError::Head),
            Status::Partial => return Ok(None),
        };
        let status = head.code.unwrap_or_default();
        let length = match status {
            100..200 | 204 | 304 => Some(0),
            _ => body_length(head.headers, &bytes[begin..])?,
        };
        let whole = length.filter(|length| *length <= bytes.len() - begin);
        Ok(whole.map(|length| Self {
            status,
            bytes: at..at + begin + length,
            body: at + begin..at + begin + length,
        }))
    }

    /// The status of a complete response.
    #[inline]
    pub(crate) fn status(response: &[u8]) -> Option<u16> {
        let digits = response.get("HTTP/1.1 ".len()..)?.first_chunk::<3>()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Status and beginning of the body, on one line.
    pub(crate) fn describe(&self, buffer: &[u8]) -> String {
        let body = &buffer[self.body.clone()];
        let text = String::from_utf8_lossy(&body[..body.len().min(MAX_EXCERPT)]);
        let words: Vec<_> = text.split_whitespace().collect();
        let words = words.join(" ").replace(|c: char| c.is_control(), ".");
        let status = self.status;
        if words.is_empty() {
            return format!("{status} without a body");
        }
        format!("{status}: {words}")
    }
}

/// The length of the body that `rest` begins with; `None` if that is not known yet.
fn body_length(
    fields: &[httparse::Header<'_>],
    rest: &[u8],
) -> Result<Option<usize>, ResponseError> {
    let field = |name: &str| {
        let found = fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value)
    };
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return chunks(rest);
    }
    let length = field("content-length").ok_or(ResponseError::NoLength)?;
    let length = std::str::from_utf8(length)
        .ok()
        .and_then(|text| text.parse().ok());
    match length {
        Some(length @ ..=MAX_BODY) => Ok(Some(length)),
        _ => Err(ResponseError::Length),
    }
}

/// The length of all chunks, without trailers, which no server sends unasked.
fn chunks(rest: &[u8]) -> Result<Option<usize>, ResponseError> {
    let mut at = 0;
    loop {
        let size = httparse::parse_chunk_size(&rest[at..]).map_err(|_| ResponseError::Length)?;
        let Status::Complete((line, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(|_| ResponseError::Length)?;
        if size > MAX_BODY || at > MAX_BODY {
            return Err(ResponseError::Length);
        }
        // The line of the size, the chunk, and the end of its line.
        at += line + size + 2;
        if at > rest.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nDate: now\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn a_response_ends_where_it_says() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let counted = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nno\n token";
        let empty = "HTTP/1.1 204 No Content\r\n\r\n";
        for (text, status) in [
            (ACCEPTED, 202),
            (chunked, 200),
            (counted, 401),
            (empty, 204),
        ] {
            let twice = [text, text].concat();
            let first = Response::at(twice.as_bytes(), 0).unwrap().unwrap();
            assert_eq!((first.status, first.bytes.clone()), (status, 0..text.len()));
            assert_eq!(Response::status(text.as_bytes()), Some(status));
            let second = Response::at(twice.as_bytes(), text.len()).unwrap().unwrap();
            assert_eq!(second.bytes, text.len()..twice.len());
            for cut in 0..text.len() {
                assert_eq!(Response::at(&text.as_bytes()[..cut], 0), Ok(None), "{cut}");
            }
        }
        let first = Response::at(counted.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(first.describe(counted.as_bytes()), "401: no token");
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let refused = |text: &str| Response::at(text.as_bytes(), 0).unwrap_err();
        assert!(matches!(refused("SSH-2.0-x\r\n"), ResponseError::Syntax(_)));
        assert_eq!(refused("HTTP/1.1 200 OK\r\n\r\n"), ResponseError::NoLength);
        for length in ["-1", "x", "99999999999999999999"] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(refused(&text), ResponseError::Length);
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert_eq!(refused(chunked), ResponseError::Length);
        assert_eq!(
            refused(&format!("HTTP/1.1 200 {}", "x".repeat(MAX_HEAD))),
            ResponseError::Head
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_accepted(bytes: Vec<u8>, chunked: bool) {
            let head = if chunked { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" } else { "HTTP/1.1 " };
            let bytes = [head.as_bytes(), &bytes].concat();
            let _ = Response::at(&bytes, 0);
        }
    }
}
