//! HTTP/1.1, from the client's side: the requests of a load and the length of their responses.
//!
//! Owns the text of requests, and where a response ends. Must not know sockets.

mod request;
mod response;

pub(crate) use self::{request::Requests, response::Response};
