//! Traces: what a request does, over nodes and the application's servers, as spans that are sent to a collector.
//!
//! Owns the contexts that travel with requests (`context`), what spans have in common (`spans`), and the export over
//! OTLP (`otlp`, a feature). Must not know requests: whoever handles one makes its span, with the target
//! [`TARGET`](spans::TARGET). Invariants: without a collector no span exists, and making one costs the look at a
//! flag; no span has a payload, a token or a query.

pub(crate) mod context;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
pub(crate) mod spans;
