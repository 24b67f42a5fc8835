//! [`Upgrade`] as an extractor, for applications with an axum router.
//!
//! ```
//! use axum::{Router, extract::State, response::IntoResponse, routing::get};
//! use tieline::{Accept, Connection, Handler, Message, Node, Upgrade};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     type State = ();
//!
//!     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
//!         connection.emit(message);
//!     }
//! }
//!
//! async fn websocket(State(node): State<Node<Echo>>, upgrade: Upgrade) -> impl IntoResponse {
//!     upgrade.accept(&node, Accept::new(()).user("alice")).await
//! }
//!
//! fn router(node: Node<Echo>) -> Router {
//!     Router::new().route("/ws", get(websocket)).with_state(node)
//! }
//! ```
//!
//! It works with `axum::serve` and with [`Listener`](crate::Listener). With `axum::serve`, the remote address
//! is known if the router is served with `into_make_service_with_connect_info::<SocketAddr>()`; header limits
//! and the handshake timeout are those of `axum::serve`. With another HTTP server, or TLS other than that of
//! [`Listener`](crate::Listener), connections work but cost more memory: their socket stays inside that
//! server's wrapper, and only their own task writes to it.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::upgrade::{Refusal, Upgrade};

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::from_parts(parts)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_http().into_response()
    }
}
