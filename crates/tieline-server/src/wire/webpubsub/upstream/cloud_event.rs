//! Events as HTTP requests: `CloudEvents` in binary mode, with the attributes of Web PubSub.
//!
//! Owns the headers of a request. Must not know who gets it. Invariant: a value that a client chose cannot
//! break a header, and says the same to every handler.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tieline::Bytes;

use super::{memory::Memory, signature::signature};
use crate::{app::clock, http_client::Request};

/// What `CloudEvents` encodes in the value of a header, beside what is not ASCII.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Who sends events.
#[derive(Debug)]
pub(super) struct Sender {
    /// The host by which handlers know this server.
    pub(super) host: HeaderValue,
    pub(super) keys: Vec<hmac::Key>,
}

/// An event of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloudEvent<'a> {
    pub(super) hub: &'a str,
    /// `sys`, `user` or `gp`.
    pub(super) category: &'static str,
    pub(super) name: &'a str,
    /// Its place among the events of the connection.
    pub(super) number: u64,
    pub(super) connection_id: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) subprotocol: Option<&'a str>,
    pub(super) content_type: &'static str,
}

impl Sender {
    /// The headers of the question whether a server takes requests from here.
    pub(super) fn validation(&self) -> HeaderMap {
        self.common_headers()
    }

    pub(super) fn request(
        &self,
        uri: Uri,
        event: CloudEvent<'_>,
        memory: &Memory,
        body: Bytes,
    ) -> Request {
        let CloudEvent {
            hub,
            category,
            name,
            number,
            connection_id,
            ..
        } = event;
        let mut headers = self.common_headers();
        let mut add = |header, text: &str| {
            headers.insert(HeaderName::from_static(header), header_value(text));
        };
        add("ce-specversion", "1.0");
        add("ce-type", &format!("azure.webpubsub.{category}.{name}"));
        let source = format!("/hubs/{hub}/client/{connection_id}");
        add("ce-source", &source);
        add("ce-id", &number.to_string());
        let time = humantime::format_rfc3339_millis(clock::now());
        add("ce-time", &time.to_string());
        add("ce-hub", hub);
        add("ce-connectionid", connection_id);
        add("ce-eventname", name);
        if let Some(user) = event.user {
            add("ce-userid", user);
        }
        if let Some(subprotocol) = event.subprotocol {
            add("ce-subprotocol", subprotocol);
        }
        let content_type = HeaderValue::from_static(event.content_type);
        headers.insert(CONTENT_TYPE, content_type);
        if let Some(signature) = signature(&self.keys, connection_id) {
            headers.insert("ce-signature", signature);
        }
        memory.add_to(&mut headers);
        Request {
            method: Method::POST,
            uri,
            headers,
            body,
        }
    }

    fn common_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-request-origin", self.host.clone());
        headers.insert("ce-awpsversion", HeaderValue::from_static("1.0"));
        headers
    }
}

/// A text as the value of a header: as it is if it is plain ASCII, which SDKs do not decode, and otherwise as
/// `CloudEvents` encodes it.
fn header_value(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let text = if is_plain && text.trim() == text {
        Cow::Borrowed(text)
    } else {
        Cow::from(utf8_percent_encode(text, UNSAFE))
    };
    HeaderValue::from_str(&text).expect("visible ASCII and inner blanks are a valid value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_a_header() {
        for (text, value) in [
            ("ada", "ada"),
            ("50% off, \"now\"", "50% off, \"now\""),
            ("", ""),
            (" ada", "%20ada"),
            ("a\r\nb: c", "a%0D%0Ab:%20c"),
            ("ž 5%", "%C5%BE%205%25"),
        ] {
            assert_eq!(header_value(text), value);
        }
    }
}
