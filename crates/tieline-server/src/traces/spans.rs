//! The spans that are exported: their target, and those that several wires make.
//!
//! Must not know where they are exported to.

use http::HeaderMap;
use tracing::{Span, field::Empty};

use super::context::TraceContext;

/// The target of the spans that are exported. Those of other crates are not.
pub(crate) const TARGET: &str = "tieline::traces";

/// The span of a backend's request, in the trace that its headers name. Only for a request whose token or signature
/// has been checked: a stranger must not choose what is recorded.
pub(crate) fn backend_request(
    (wire, route): (&'static str, &str),
    hub: &str,
    headers: &HeaderMap,
) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "rest",
        otel.kind = "server",
        wire,
        route,
        hub,
        http.response.status_code = Empty,
    );
    if let Some(context) = TraceContext::of(headers) {
        context.adopt(&span);
    }
    span
}

/// The span of a client's upgrade. In no trace of the client's: a stranger must not choose what is recorded.
pub(crate) fn upgrade(wire: &'static str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "upgrade",
        otel.kind = "server",
        wire,
        id = Empty,
        http.response.status_code = Empty,
    )
}
