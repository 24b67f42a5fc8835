//! The server side of WebSocket, RFC 6455 and RFC 7692, without I/O.
//!
//! This crate turns bytes that came from a client into messages, and messages into bytes for
//! clients. It opens no socket, starts no task and reads no clock: whoever drives it feeds it
//! what was read and writes out what it hands back. It serves any runtime, and is tested byte by
//! byte.
//!
//! | to | use |
//! |---|---|
//! | check an upgrade request and answer it | [`handshake::Request`] |
//! | decode what a client sends | [`Protocol::receive`] |
//! | encode what the server sends | [`Frame`], once for any number of receivers |
//! | compress what the server sends | [`Deflate`], passed to [`Frame::encoded`] |
//! | end a connection | [`Protocol::close`] |
//!
//! # One connection
//!
//! ```
//! use tieline_websocket::{Action, Frame, Limits, Message, Protocol, handshake};
//!
//! // 1. The HTTP server read a request; check it and answer 101.
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
//! // 2. Feed whatever the socket yields, in any portions.
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
//!             // 3. An echo takes the message's buffer over; any number of connections may
//!             //    write the same frame.
//!             let frame = Frame::from(message);
//!             let encoded = frame.encoded(None);
//!             out.extend_from_slice(encoded.header);
//!             out.extend_from_slice(encoded.payload);
//!         }
//!         Some(_) => { /* send the reply, if there is one, and end the connection */ }
//!         None => {}
//!     }
//!     rest = &mut rest[received.consumed..];
//! }
//! assert_eq!(out, b"\x81\x05Hello");
//!
//! // 4. A ping that arrived leaves at most one pong to send.
//! assert!(protocol.take_pong().is_none());
//! # Ok::<(), handshake::HandshakeError>(())
//! ```
//!
//! # What it holds, what it refuses
//!
//! An idle connection costs one [`Protocol`], at most 32 bytes, and no buffer; an unfinished frame
//! or message costs what has arrived of it. Compression state is the thread's, never a
//! connection's. Nothing that a client sends can panic this crate, make it reserve memory on the
//! strength of a header, or inflate a message beyond [`Limits::message`].
//!
//! Deliberately absent: the client role, HTTP/2 (RFC 8441), context takeover, and the policies of
//! a server (origins, deadlines, queues), which need a clock or a socket.

mod close_frame;
mod deflate;
mod error;
mod frame;
pub mod handshake;
mod header;
mod limits;
mod mask;
mod message;
mod message_buffer;
mod protocol;

pub use close_frame::{CloseCode, CloseFrame};
pub use deflate::Deflate;
pub use error::ProtocolError;
pub use frame::{EncodedFrame, Frame, FrameKind};
pub use limits::Limits;
pub use message::Message;
pub use protocol::{Action, Phase, Protocol, Received};
