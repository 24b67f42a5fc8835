//! Errors as SDKs of AWS read them.
//!
//! Owns the status, the type and the body of each. Must not know what went wrong inside: callers choose. The
//! header `x-amzn-ErrorType` decides which exception an SDK raises; the body has the type too, for SDKs that look
//! there.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::app::limits::TooManyRequests;

/// A request that failed.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            kind,
            message,
            retry_after: None,
        }
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ForbiddenException", message)
    }

    /// No client has the id, on any node.
    pub(super) fn gone() -> Self {
        let message = "no client has this connection id";
        Self::new(StatusCode::GONE, "GoneException", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "PayloadTooLargeException", message)
    }

    /// SDKs try again after a while.
    pub(super) fn too_many(message: &str) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "LimitExceededException", message)
    }

    /// Nothing was done. SDKs try again.
    pub(super) fn unavailable(message: &str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "ServiceUnavailableException", message)
    }

    /// It is not known what was done. SDKs try again.
    pub(super) fn unknown(message: &str) -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        Self::new(status, "GatewayTimeoutException", message)
    }
}

impl From<TooManyRequests> for ApiError {
    fn from(error: TooManyRequests) -> Self {
        Self {
            retry_after: Some(error.retry_after()),
            ..Self::too_many(error.message())
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            kind,
            message,
            retry_after,
        } = self;
        let body = Json(json!({"__type": kind, "message": message}));
        let retry_after = retry_after.map(|seconds| [(RETRY_AFTER, HeaderValue::from(seconds))]);
        (status, [("x-amzn-errortype", kind)], retry_after, body).into_response()
    }
}
