//! Pieces of messages, for connections that stream.
//!
//! Owns the call of `on_chunk` and when the time for the next piece begins. Runs in the connection's task, between
//! decoding and the next read; other connections never reach it. Invariant: no time runs against the client while its
//! piece is handled.

use tieline_websocket::Chunk;

use super::{
    callback::call,
    task::{ConnectionTask, Flow},
};
use crate::handler::Handler;

impl<H: Handler> ConnectionTask<H> {
    /// `on_chunk`. Boxed by its caller, so that it takes no room from messages. The time for the next piece begins when
    /// it has ended.
    pub(super) async fn handle_chunk(&mut self, chunk: Chunk) -> Flow {
        let connection = self.guard.connection();
        let (handler, state) = (&self.handler, &mut self.state);
        let outcome = call(&mut self.io, connection.inner(), &mut self.buffer, || {
            handler.on_chunk(connection, state, chunk)
        })
        .await;
        let partial = self.protocol.in_message();
        self.guard
            .connection()
            .inner()
            .set_message_partial(partial, true);
        self.on_outcome(outcome).await
    }
}
