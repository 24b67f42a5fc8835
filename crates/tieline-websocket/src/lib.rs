//! The server side of WebSocket (RFC 6455) and permessage-deflate (RFC 7692), without I/O.
//!
//! This crate decodes bytes from a client into messages, and encodes messages into bytes for clients.
//! It opens no socket, starts no task and reads no clock: pass it the bytes that you read, and write
//! the bytes that it returns. It works with any runtime, and without one in tests.
//!
//! | To | use |
//! |---|---|
//! | check an upgrade request and respond to it | [`handshake::Request`] |
//! | decode the input of a client | [`Protocol::receive`] |
//! | bound what a client may send | [`Limits`] |
//! | get long messages in pieces | [`Protocol::streaming`] |
//! | encode a message, once for all receivers | [`Frame`] |
//! | compress it | [`Deflate`], passed to [`AnyFrame::encoded`] |
//! | close a connection | [`Protocol::close`] with a [`CloseFrame`] |
//!
//! # One connection
//!
//! ```
//! use tieline_websocket::{Action, Frame, Limits, Message, Protocol, handshake};
//!
//! // 1. Check the request that the HTTP server has parsed, and respond with 101.
//! let mut headers = http::HeaderMap::new();
//! for (name, value) in [
//!     ("host", "example.com"),
//!     ("upgrade", "websocket"),
//!     ("connection", "Upgrade"),
//!     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
//!     ("sec-websocket-version", "13"),
//! ] {
//!     headers.insert(name, http::HeaderValue::from_static(value));
//! }
//! let request = handshake::Request::parse(&http::Method::GET, http::Version::HTTP_11, &headers)?;
//! let response = request.respond(None, false);
//! assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//!
//! // 2. Decode the bytes from the socket, however they are split.
//! let limits = Limits::default();
//! let mut protocol = Protocol::new(false);
//! let mut input = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let mut rest = &mut input[..];
//! let mut out = Vec::new();
//! while !rest.is_empty() {
//!     let received = protocol.receive(&limits, rest);
//!     match received.action {
//!         Some(Action::Message(message)) => {
//!             assert_eq!(message, Message::Text("Hello".into()));
//!             // 3. Encode the reply. The frame takes the buffer of the message; any number of
//!             //    connections may send it.
//!             let frame = Frame::from(message);
//!             let encoded = frame.encoded(None);
//!             out.extend_from_slice(encoded.header);
//!             out.extend_from_slice(encoded.payload);
//!         }
//!         Some(_) => { /* send the reply, if there is one, and close the connection */ }
//!         None => {}
//!     }
//!     rest = &mut rest[received.consumed..];
//! }
//! assert_eq!(out, b"\x81\x05Hello");
//!
//! // 4. Send the pong, if a ping has arrived.
//! assert!(protocol.take_pong().is_none());
//! # Ok::<(), handshake::HandshakeError>(())
//! ```
//!
//! # Memory and limits
//!
//! An idle connection costs one [`Protocol`], at most 32 bytes, and no buffer; an incomplete frame or
//! message costs the bytes that have arrived. Compression state belongs to the thread, not to a
//! connection. No input can make this crate panic, reserve memory for bytes that a header only
//! declares, or inflate a message beyond [`Limits::message`].
//!
//! # Non-goals
//!
//! The client role, HTTP/2 (RFC 8441), context takeover, and a server's policies (origins, deadlines,
//! queues), which need a clock or a socket.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod chunk;
mod close_code;
mod close_frame;
mod deflate;
mod error;
mod frame;
pub mod handshake;
mod header;
#[cfg(feature = "json")]
mod json;
mod limits;
mod mask;
mod message;
mod message_buffer;
mod protocol;
mod readme;

pub use chunk::Chunk;
pub use close_code::CloseCode;
pub use close_frame::CloseFrame;
pub use deflate::Deflate;
pub use error::ProtocolError;
pub use frame::{AnyFrame, EncodedFrame, Frame, FrameKind};
#[cfg(feature = "json")]
pub use json::JsonError;
pub use limits::Limits;
pub use message::Message;
pub use protocol::{Action, Protocol, ProtocolState, Received};
