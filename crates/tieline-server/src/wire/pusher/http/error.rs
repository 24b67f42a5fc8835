//! Responses that are not what was asked for: a status, and a text that libraries show to the developer.
//!
//! Must not know routes.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::signature::{InvalidQuery, Unauthorized};
use crate::{
    app::limits::TooManyRequests,
    wire::body::{self, BodyError},
};

/// The longest body, in bytes: as JSON may escape the largest data of ten events.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            message,
            retry_after: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// No app is known by what the request names.
    pub(super) fn no_app() -> Self {
        let message =
            "this server has no app with this id; see [[pusher.app]] in its configuration";
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn no_hub() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "the hub of this app does not exist any more",
        )
    }

    pub(super) fn disabled() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this app is disabled")
    }

    /// Data of an event that is longer than it may be.
    pub(super) fn too_large(length: usize, max: usize) -> Self {
        let message = format!("the data of an event has {length} bytes, and may have {max}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// An event that is too long to be kept, or whose channel has a name that is.
    pub(super) fn cannot_keep(why: impl std::fmt::Display) -> Self {
        let message = format!("a cache channel cannot keep the event: {why}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Nothing was done; it can be repeated.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}

impl From<TooManyRequests> for ApiError {
    fn from(error: TooManyRequests) -> Self {
        Self {
            retry_after: Some(error.retry_after()),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, error.message())
        }
    }
}

impl From<InvalidQuery> for ApiError {
    fn from(error: InvalidQuery) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<Unauthorized> for ApiError {
    fn from(error: Unauthorized) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {MAX_BODY} bytes"),
            ),
            BodyError::Late => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body has not come within {} s",
                    body::DEADLINE.as_secs()
                ),
            ),
            BodyError::Broken => Self::bad_request("the body ended early"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.message));
        *response.status_mut() = self.status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, text);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
