//! HTTP requests to the application's own servers.
//!
//! Owns retries, breakers and the number of requests under way. Must not know what a request
//! says or which wire it is for. Invariants: no redirect is followed; an answer is bounded in size, and a
//! call in time, whatever the other side does; no log or error has a query, a header or a body.

mod breaker;
mod delivery;
pub(crate) mod endpoint;
mod history;
mod validation;
