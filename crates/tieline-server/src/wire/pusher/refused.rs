//! Why a client may not connect: what it is told after the upgrade, what a browser or curl is told instead, and the
//! word for it in the log.
//!
//! Must not know who decides. Invariants: codes below 4100 send a client away for good, so that they never stand for
//! what may be over soon; a client that is refused is never told to come back at once (4200).

use tieline::{Farewell, Refusal, StatusCode};

use super::farewell;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    /// For those who did not ask for a WebSocket.
    pub(super) status: StatusCode,
    /// A code of this protocol.
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) reason: &'static str,
}

/// Neither a signature nor the page permits it.
pub(super) const UNAUTHORIZED: u16 = 4009;

/// The client may try again in a while.
const OVER_CAPACITY: u16 = 4100;

impl Refused {
    pub(super) fn tls_only() -> Self {
        let message = "this app accepts connections over TLS only: connect to wss://";
        Self::new(StatusCode::FORBIDDEN, 4000, message, "tls")
    }

    pub(super) fn unknown_app() -> Self {
        let message = "there is no app with this key on this server";
        Self::new(StatusCode::NOT_FOUND, 4001, message, "app")
    }

    pub(super) fn disabled() -> Self {
        let message = "this app is disabled";
        Self::new(StatusCode::FORBIDDEN, 4003, message, "app")
    }

    pub(super) fn full_app() -> Self {
        let message = "this app has as many connections as it may have on a node";
        Self::new(StatusCode::TOO_MANY_REQUESTS, 4004, message, "limit")
    }

    pub(super) fn path() -> Self {
        let message = "the path is /app/KEY, with the key of an app";
        Self::new(StatusCode::NOT_FOUND, 4005, message, "path")
    }

    pub(super) fn version() -> Self {
        let message = "the version of the client is at most 64 letters, digits, dots, - and +";
        Self::new(StatusCode::BAD_REQUEST, 4006, message, "version")
    }

    pub(super) fn protocol() -> Self {
        let message = "this version of the protocol is not supported: use protocol=7, or 4 to 6";
        Self::new(StatusCode::BAD_REQUEST, 4007, message, "protocol")
    }

    pub(super) fn no_protocol() -> Self {
        let message = "the query has no version of the protocol: add protocol=7";
        Self::new(StatusCode::BAD_REQUEST, 4008, message, "protocol")
    }

    pub(super) fn origin() -> Self {
        let message = "pages of this origin may not connect to this app";
        Self::new(StatusCode::FORBIDDEN, UNAUTHORIZED, message, "origin")
    }

    /// What may be over soon.
    pub(super) fn over_capacity(message: impl Into<String>, reason: &'static str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, OVER_CAPACITY, message, reason)
    }

    fn new(
        status: StatusCode,
        code: u16,
        message: impl Into<String>,
        reason: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            reason,
        }
    }

    /// The node itself refuses: it is full, or drains.
    pub(super) fn by_node(refusal: &Refusal) -> Self {
        let response = refusal.clone().into_http();
        Self::over_capacity(response.body().trim_end(), "node")
    }

    /// For those who did not ask for a WebSocket.
    pub(super) fn refusal(&self) -> Refusal {
        Refusal::new(self.status, format!("{}\n", self.message))
    }

    /// For those who did: by a message, which some SDKs read, and by the code of the close, which others do.
    pub(super) fn after_upgrade(&self) -> Refusal {
        match self.farewell() {
            Some(farewell) => self.refusal().after_upgrade(farewell),
            None => self.refusal(),
        }
    }

    pub(super) fn farewell(&self) -> Option<Farewell> {
        farewell::with_code(self.code, &self.message)
    }
}
