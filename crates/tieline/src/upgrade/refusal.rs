//! The decision to turn a client away: [`Refusal`].
//!
//! Plain values; knows no request and no node.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use tieline_websocket::handshake::HandshakeError;

use crate::farewell::Farewell;

/// A refused upgrade: an HTTP status and a body that says what to do, as plain text unless a header names
/// another content type.
///
/// ```
/// use tieline::{Refusal, StatusCode};
///
/// let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "the token has expired; log in again\n");
/// assert_eq!(refusal.status(), 401);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    body: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    farewell: Option<Box<Farewell>>,
}

impl Refusal {
    /// Refuses with a status and a plain-text body.
    pub fn new(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
            farewell: None,
        }
    }

    /// Adds a header to the response.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tells the client after the upgrade, by a message and a close frame, instead of by the HTTP status: browsers show
    /// scripts neither the status nor the body, and many SDKs understand close codes only.
    ///
    /// The client gets 101 with the first subprotocol that it offers, without which browsers would fail the connection;
    /// then the message and the close frame. It never enters the hub: it has no id, no callback runs for it, and it does
    /// not count against [`Config::max_connections`](crate::Config::max_connections). So it is told by a node that is
    /// full or drains, too. What it sends is discarded. Its socket is dropped when it has answered the close, after
    /// [`Config::close_timeout`](crate::Config::close_timeout), or after 256 KiB from it. A node tells at most a quarter
    /// as many clients at a time as [`Config::max_handshakes`](crate::Config::max_handshakes); others get the status.
    ///
    /// This is carried out by [`Upgrade::refuse`](crate::Upgrade::refuse), and by [`Node::service`](crate::Node::service)
    /// if its function returns the refusal. As the response of an axum handler, a refusal is its status.
    ///
    /// ```
    /// use tieline::{CloseCode, CloseFrame, Farewell, Refusal, StatusCode};
    ///
    /// /// For SDKs that know the code 4001.
    /// fn unknown_app() -> Option<Refusal> {
    ///     let close = CloseFrame::new(CloseCode::new(4001)?, "there is no such app");
    ///     let farewell = Farewell::new(close).message(r#"{"event":"error","code":4001}"#);
    ///     let refusal = Refusal::new(StatusCode::NOT_FOUND, "there is no such app\n");
    ///     Some(refusal.after_upgrade(farewell))
    /// }
    /// # assert!(unknown_app().is_some());
    /// ```
    pub fn after_upgrade(mut self, farewell: Farewell) -> Self {
        self.farewell = Some(Box::new(farewell));
        self
    }

    /// What the client is told after the upgrade.
    pub(super) fn farewell(&self) -> Option<&Farewell> {
        self.farewell.as_deref()
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response to send: the status, also if the client were to be told [after the upgrade](Self::after_upgrade). In
    /// axum handlers a refusal is a response itself.
    pub fn into_http(self) -> Response<String> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        headers
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        let (parts, body) = error.response().into_parts();
        let named = parts
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)));
        named.fold(Self::new(parts.status, body), |refusal, (name, value)| {
            refusal.header(name, value)
        })
    }
}

/// The body of a refusal by a node that drains.
pub(super) const DRAINING: &str = "the node is draining; reconnect\n";

/// A refusal that may not last: 503, to be retried in a second.
pub(super) fn unavailable(body: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, body)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_types(refusal: Refusal) -> Vec<HeaderValue> {
        let response = refusal.into_http();
        let values = response.headers().get_all(header::CONTENT_TYPE).iter();
        values.cloned().collect()
    }

    #[test]
    fn a_response_has_one_content_type() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "no\n");
        assert_eq!(content_types(refusal.clone()), [&plain]);
        let json = HeaderValue::from_static("application/json");
        let refusal = refusal.header(header::CONTENT_TYPE, json.clone());
        assert_eq!(content_types(refusal), [json]);
        let refusal = Refusal::from(HandshakeError::NotAnUpgrade);
        assert_eq!(content_types(refusal), [plain]);
    }
}
