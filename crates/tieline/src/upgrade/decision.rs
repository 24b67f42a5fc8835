//! What the application decides about an upgrade.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use tieline_websocket::Frame;

use crate::{ClientId, close::FinalMessage};

/// An accepted upgrade: who the client is.
///
/// ```
/// use tieline::Accept;
///
/// let accept = Accept::new(()).user("alice").group("lobby");
/// ```
#[derive(Debug)]
#[must_use = "an acceptance does nothing until the upgrade is answered with it"]
pub struct Accept<S> {
    pub(super) state: S,
    pub(super) id: Option<ClientId>,
    pub(super) user: Option<Arc<str>>,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) subprotocol: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) first: Option<Frame>,
    pub(super) final_message: Option<FinalMessage>,
}

impl<S> Accept<S> {
    /// Accepts with a state that the handler sees, and a random id.
    pub fn new(state: S) -> Self {
        Self {
            state,
            id: None,
            user: None,
            groups: Vec::new(),
            subprotocol: None,
            headers: Vec::new(),
            first: None,
            final_message: None,
        }
    }

    /// Names the connection.
    pub fn id(mut self, id: ClientId) -> Self {
        self.id = Some(id);
        self
    }

    /// Names the user, a name that many connections may share. 1 to 1,024 bytes; else 400.
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Joins a group from the first moment. 1 to 1,024 bytes; else 400.
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        let group = group.into();
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        self
    }

    /// Agrees on a subprotocol; one that the client did not offer is left out of the answer, as RFC
    /// 6455, 4.2.2 demands.
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends this before everything else, whoever else sends to the client meanwhile. Under
    /// [`SlowConsumer::DropOldest`](crate::SlowConsumer) a client that never reads may lose it like any
    /// other frame.
    pub fn first(mut self, frame: impl Into<Frame>) -> Self {
        self.first = Some(frame.into());
        self
    }

    /// Sends a last message before the close frame, whenever it is our side that closes.
    pub fn final_message(mut self, final_message: FinalMessage) -> Self {
        self.final_message = Some(final_message);
        self
    }
}

/// A refused upgrade: an HTTP status and a body that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    body: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// Refuses with a status and a plain-text body.
    pub fn new(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to send; with axum a refusal is a response by itself.
    pub fn into_http(self) -> Response<String> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response.headers_mut().extend(self.headers);
        response
    }
}
