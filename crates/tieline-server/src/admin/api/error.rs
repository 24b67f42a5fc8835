//! The errors of the API.

use std::borrow::Cow;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tieline::{AskError, StatusCode};

/// Why a request has no other answer.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// What to do.
    message: Cow<'static, str>,
}

impl ApiError {
    pub(super) const READ_ONLY: Self = Self {
        status: StatusCode::FORBIDDEN,
        message: Cow::Borrowed(
            "the admin port is read-only; the operator can change that (admin.read_only)",
        ),
    };

    pub(super) const NOT_JSON: Self = Self {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        message: Cow::Borrowed("send a JSON object with Content-Type: application/json"),
    };

    pub(super) const TOO_LONG: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: Cow::Borrowed("the body has more than 1 MiB"),
    };

    pub(super) const TOO_LATE: Self = Self {
        status: StatusCode::REQUEST_TIMEOUT,
        message: Cow::Borrowed("the body did not arrive within 10 s"),
    };

    pub(super) const METHOD: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: Cow::Borrowed("this path takes another method; see the header Allow"),
    };

    pub(super) const NO_PARAMETERS: Self = Self {
        status: StatusCode::BAD_REQUEST,
        message: Cow::Borrowed("this request takes no parameters in its URL"),
    };

    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such connection or node, as far as the cluster knows.
    pub(super) fn unasked(what: &str, error: &AskError) -> Self {
        match error {
            AskError::Offline => Self::new(StatusCode::NOT_FOUND, format!("there is no {what}")),
            error => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{what} could not be asked ({error}); try again"),
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.message}))).into_response()
    }
}
