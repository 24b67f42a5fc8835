//! Successful responses: always 200 but for one old route, always JSON, because libraries take nothing else.

use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};

/// The body of a response that says nothing.
pub(super) const EMPTY: &str = "{}";

/// A response with this text.
pub(super) fn json_response(json: impl Into<Body>) -> Response {
    let mut response = Response::new(json.into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
