//! Responses that are not what was asked for.
//!
//! Owns their statuses, codes and bodies. Must not know operations. Invariant: the code is in a header too, which
//! is all that a response to HEAD can say.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::app::limits::TooManyRequests;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Which part of the request is wrong.
    target: Option<&'static str>,
    header: ExtraHeader,
}

/// What a response has beside code and body.
#[derive(Debug)]
enum ExtraHeader {
    None,
    /// How to ask.
    Challenge,
    /// When to ask again, in seconds.
    RetryAfter(u64),
    /// The methods of the path.
    Allow(String),
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
}

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            target: None,
            header: ExtraHeader::None,
        }
    }

    pub(super) fn bad_request(target: &'static str, message: impl Into<String>) -> Self {
        Self {
            target: Some(target),
            ..Self::new(StatusCode::BAD_REQUEST, "Error.BadRequest", message)
        }
    }

    /// No token, or one that is not good for this. Says nothing: whoever guesses learns nothing.
    pub(super) fn unauthorized() -> Self {
        Self {
            header: ExtraHeader::Challenge,
            ..Self::new(StatusCode::UNAUTHORIZED, "Error.Unauthorized", "")
        }
    }

    pub(super) fn no_connection() -> Self {
        let message = "no connection has this id";
        Self::new(StatusCode::NOT_FOUND, "Info.Connection.NotExisted", message)
    }

    /// As for a connection that is gone: whoever asks does not learn which of both it is.
    pub(super) fn not_permitted() -> Self {
        let message = "the connection does not exist, or does not have this permission";
        Self::new(StatusCode::NOT_FOUND, "Info.Connection.NotExisted", message)
    }

    pub(super) fn no_user() -> Self {
        let message = "the user has no connection";
        Self::new(StatusCode::NOT_FOUND, "Info.User.NotExisted", message)
    }

    pub(super) fn no_group() -> Self {
        let message = "the group has no member";
        Self::new(StatusCode::NOT_FOUND, "Info.Group.NotExisted", message)
    }

    pub(super) fn no_hub() -> Self {
        let message = "this server has no hub of that name";
        Self::new(StatusCode::NOT_FOUND, "Error.Hub.NotExisted", message)
    }

    pub(super) fn no_route() -> Self {
        let message = "there is no operation at this path";
        Self::new(StatusCode::NOT_FOUND, "Error.NotFound", message)
    }

    pub(super) fn method(allowed: &str) -> Self {
        let message = format!("there is no such operation at this path; its methods are {allowed}");
        Self {
            header: ExtraHeader::Allow(allowed.to_owned()),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Error.MethodNotAllowed",
                message,
            )
        }
    }

    pub(super) fn slow_body(seconds: u64) -> Self {
        let message = format!("the body did not arrive within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "Error.RequestTimeout", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Error.Connection.Conflict", message)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is longer than {limit} bytes");
        Self {
            target: Some("body"),
            ..Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Error.PayloadTooLarge",
                message,
            )
        }
    }

    pub(super) fn media_type(expected: &str) -> Self {
        Self {
            target: Some("Content-Type"),
            ..Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Error.UnsupportedMediaType",
                format!("the type of the body must be {expected}"),
            )
        }
    }

    pub(super) fn not_implemented(message: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// SDKs repeat a request that gets this.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            header: ExtraHeader::RetryAfter(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Error.ServiceUnavailable",
                message,
            )
        }
    }
}

/// SDKs repeat a request that gets this, after the time that it says.
impl From<TooManyRequests> for Error {
    fn from(error: TooManyRequests) -> Self {
        Self {
            header: ExtraHeader::RetryAfter(error.retry_after()),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Error.TooManyRequests",
                error.message(),
            )
        }
    }
}

impl ExtraHeader {
    fn named(&self) -> Option<(HeaderName, HeaderValue)> {
        Some(match self {
            Self::None => return None,
            Self::Challenge => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::RetryAfter(seconds) => (header::RETRY_AFTER, (*seconds).into()),
            Self::Allow(methods) => (header::ALLOW, HeaderValue::from_str(methods).ok()?),
        })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code));
        if let Some((name, value)) = self.header.named() {
            headers.insert(name, value);
        }
        if self.message.is_empty() {
            return response;
        }
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let body = serde_json::to_vec(&ErrorBody {
            code: self.code,
            message: &self.message,
            target: self.target,
        });
        *response.body_mut() = body.expect("text serializes").into();
        response
    }
}
