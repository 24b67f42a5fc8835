//! The task of a connection.
//!
//! Owns the order of a connection's events: callbacks one after the other, decoding between them, the close
//! handshake at the end. Must not know other connections. Its future is most of what an idle connection
//! costs, so the parts that run once, `on_connect` and everything from the close on, are boxed, and the
//! path of a message is kept small.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use tieline_websocket::{Action, Chunk, Message, Protocol, ProtocolError};
use tokio::{net::tcp::OwnedWriteHalf, time::Instant};

use super::{
    callback::{CallbackFuture, CallbackOutcome, call},
    io::{ConnectionIo, IoEvent},
    own_limits::OwnLimits,
    read_buffer::ReadBuffer,
    stream::Stream,
};
use crate::{
    close::CloseReason,
    handler::{ConnectionError, Handler},
    hub::{ConnectionGuard, ConnectionInner, Corked},
};

/// Units of work for one client after which the task yields, about 0.1 ms: a frame or a read is one. If
/// undecoded bytes are left, which would have to be copied, it yields after them, or after twice as many.
const YIELD_AFTER: u8 = 128;

/// Bytes of a message, beyond those just decoded, that are one more unit of work: they were inflated, or
/// collected from frames before.
const BYTES_PER_UNIT: usize = 1024;

/// A connection and its application, from the upgrade to `on_disconnect`.
pub(crate) struct ConnectionTask<H: Handler> {
    pub(super) handler: Arc<H>,
    pub(super) guard: ConnectionGuard,
    pub(super) state: H::State,
    pub(super) protocol: Protocol,
    pub(super) io: ConnectionIo,
    pub(super) buffer: ReadBuffer,
    /// If the client has some of its own, or what it sends is measured.
    pub(super) limits: Option<Box<OwnLimits>>,
    /// Units of work since the task yielded. A field of this size fills a gap of the structure, while a
    /// variable of the task would enlarge its future.
    handled: u8,
}

/// What a connection begins with.
pub(crate) struct NewClient<S> {
    pub(crate) state: S,
    pub(crate) protocol: Protocol,
    pub(crate) limits: Option<Box<OwnLimits>>,
}

/// What the task does next.
pub(super) enum Flow {
    Continue,
    /// End: both sides have closed, or nothing more can be sent.
    End,
    /// End, but read on: we have closed and the client may still be sending.
    Linger,
}

/// What the next bytes contained. No variant has a field of a byte: it would share a place with the first
/// word of the message, which would then be moved in pieces, and the processor stalls on that.
pub(super) enum Decoded {
    Message(Message),
    /// A piece of a message, on a connection that streams.
    Chunk(Box<Chunk>),
    Failed(Box<ProtocolError>),
    /// Nothing for the application.
    Nothing,
    /// Nothing more will come.
    End,
}

impl Decoded {
    fn ends_message(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Chunk(chunk) => chunk.is_last(),
            _ => false,
        }
    }
}

fn ends_message(action: &Action) -> bool {
    match action {
        Action::Message(_) => true,
        Action::Chunk(chunk) => chunk.is_last(),
        _ => false,
    }
}

impl<H: Handler> ConnectionTask<H> {
    /// A task for a stream that was taken over; `early` is what the client sent behind its upgrade request.
    pub(crate) fn new(
        handler: Arc<H>,
        guard: ConnectionGuard,
        client: NewClient<H::State>,
        (stream, write_half, early): (Stream, Option<OwnedWriteHalf>, ReadBuffer),
    ) -> Self {
        let conn = guard.connection().inner();
        conn.attach(write_half);
        conn.context().counters().bytes_in(early.len());
        Self {
            handler,
            guard,
            state: client.state,
            protocol: client.protocol,
            io: ConnectionIo::new(stream),
            buffer: early,
            limits: client.limits,
            handled: 0,
        }
    }

    /// Runs the connection to its end. An async block, because an async function would hold `self` twice.
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        let task = async move {
            let mut flow = Box::pin(self.open()).await;
            while let Flow::Continue = flow {
                flow = match self.next_event().await {
                    IoEvent::Read => Box::pin(self.handle_read()).await,
                    IoEvent::Closing => self.proceed(),
                    IoEvent::End(kind) => self.on_io_end(kind),
                    IoEvent::Deadline => Flow::End,
                };
            }
            Box::pin(self.end(matches!(flow, Flow::Linger))).await;
        };
        Corked::new(task)
    }

    /// Handles what has been read: one callback after the other, until the buffer is empty or reading
    /// pauses. Boxed for as long as that takes, so that a connection which waits does not hold the room
    /// for a callback.
    async fn handle_read(&mut self) -> Flow {
        let (mut flow, mut messages) = (Flow::Continue, 0);
        while let Flow::Continue = flow {
            if self.must_yield() {
                self.buffer.keep_rest();
                tokio::task::yield_now().await;
            }
            flow = match self.decode() {
                // By itself, so that a message is not moved through memory on its way to the handler.
                Some(Decoded::Message(message)) if self.excess().is_none() => {
                    messages += 1;
                    match self.handle(message).await {
                        CallbackOutcome::Done => self.proceed(),
                        outcome => Box::pin(self.on_outcome(outcome)).await,
                    }
                }
                Some(Decoded::Nothing) if self.excess().is_none() => Flow::Continue,
                Some(decoded) => {
                    messages += u64::from(decoded.ends_message());
                    Box::pin(self.handle_other(decoded)).await
                }
                None => break,
            };
        }
        self.inner().context().counters().messages_in(messages);
        flow
    }

    fn must_yield(&mut self) -> bool {
        let over = self.handled >= YIELD_AFTER && self.buffer.is_empty() || self.handled == u8::MAX;
        self.handled = if over {
            0
        } else {
            self.handled.saturating_add(1)
        };
        over
    }

    /// `on_connect`.
    async fn open(&mut self) -> Flow {
        let connection = self.guard.connection();
        poll_fn(|cx| {
            connection.inner().set_waker(cx.waker());
            Poll::Ready(())
        })
        .await;
        let (handler, state) = (&self.handler, &mut self.state);
        let outcome = call(&mut self.io, connection.inner(), &mut self.buffer, || {
            handler.on_connect(connection, state)
        })
        .await;
        self.on_outcome(outcome).await
    }

    /// `on_message`.
    pub(super) fn handle(
        &mut self,
        message: Message,
    ) -> CallbackFuture<'_, impl Future<Output = ()> + Send> {
        let connection = self.guard.connection();
        let (handler, state) = (&self.handler, &mut self.state);
        call(&mut self.io, connection.inner(), &mut self.buffer, || {
            handler.on_message(connection, state, message)
        })
    }

    /// Waits for bytes, a close or the end.
    fn next_event(&mut self) -> impl Future<Output = IoEvent> + Send {
        // By a method, so that the future holds one reference instead of one for each field.
        poll_fn(|cx| self.poll_event(cx))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<IoEvent> {
        let conn = self.guard.connection().inner();
        let event = self.io.poll_next(cx, conn, &mut self.buffer);
        if event.is_pending() {
            // Other tasks run now. If the count went on, the task would yield in the middle of the
            // next read, and its messages would leave in two writes: clients that answer each write
            // would keep them apart for ever.
            self.handled = 0;
            // There is a rest only while reading pauses.
            self.buffer.keep_rest();
        }
        event
    }

    /// Decodes the next part of the read buffer; `None` once it is empty, or while reading pauses.
    fn decode(&mut self) -> Option<Decoded> {
        let conn = self.guard.connection().inner();
        if self.buffer.is_empty() || !conn.may_decode() {
            return None;
        }
        let own = self.limits.as_deref_mut();
        let of_message = own.as_ref().and_then(|own| own.message.as_ref());
        let of_message = of_message.unwrap_or(&conn.context().limits);
        let received = self.protocol.receive(of_message, self.buffer.rest());
        self.buffer.advance(received.consumed);
        if let Some(meter) = own.and_then(|own| own.meter.as_mut()) {
            let is_message = received.action.as_ref().is_some_and(ends_message);
            meter.take(is_message.into(), received.consumed, Instant::now());
        }
        if let Some(pong) = self.protocol.take_pong() {
            conn.observe_ping(&pong);
            conn.pong(pong);
        }
        // While a chunk is handled, no time runs for the rest of its message.
        let is_chunk = matches!(received.action, Some(Action::Chunk(_)));
        let partial = self.protocol.in_message() && !is_chunk;
        conn.set_message_partial(partial, received.action.is_some());
        let Some(action) = received.action else {
            return Some(Decoded::Nothing);
        };
        if conn.is_observed() {
            conn.observe_received(&action);
        }
        if let Action::Message(message) = &action {
            let inflated = message.as_bytes().len().saturating_sub(received.consumed);
            let units = u8::try_from(inflated / BYTES_PER_UNIT).unwrap_or(u8::MAX);
            self.handled = self.handled.saturating_add(units);
        }
        Some(self.on_action(action))
    }

    /// What the protocol asks for: to deliver a message, or to close.
    fn on_action(&self, action: Action) -> Decoded {
        match action {
            Action::Message(message) => Decoded::Message(message),
            Action::Chunk(chunk) => Decoded::Chunk(chunk),
            Action::Close { received, reply } => {
                let reason = CloseReason::Client(received);
                self.inner().close_with(reason, Some(reply));
                Decoded::End
            }
            Action::Fail { error, reply } => {
                let reason = CloseReason::Protocol(error.clone());
                self.inner().close_with(reason, reply);
                Decoded::Failed(Box::new(error))
            }
            _ => Decoded::End,
        }
    }

    /// Continues; without the handler, if a close was requested.
    pub(super) fn proceed(&mut self) -> Flow {
        let inner = self.inner();
        if inner.is_close_requested() && inner.io_error().is_none() {
            self.ignore_input();
        }
        Flow::Continue
    }

    /// Stops passing messages to the handler: we are closing.
    fn ignore_input(&mut self) {
        self.guard.unregister();
        // The close frame itself is in the outbox already, behind what was sent before it.
        let _ = self.protocol.close(None);
    }

    pub(super) async fn on_outcome(&mut self, outcome: CallbackOutcome) -> Flow {
        match outcome {
            CallbackOutcome::Done => self.proceed(),
            CallbackOutcome::Dropped => Flow::End,
            CallbackOutcome::Panicked => {
                self.inner().close(CloseReason::Panic);
                self.report_error(ConnectionError::Panic).await;
                self.proceed()
            }
        }
    }

    pub(super) async fn fail(&mut self, error: ProtocolError) -> Flow {
        self.report_error(ConnectionError::Protocol(error)).await;
        Flow::Linger
    }

    fn on_io_end(&mut self, kind: io::ErrorKind) -> Flow {
        let reason = CloseReason::Lost(kind);
        if kind == io::ErrorKind::UnexpectedEof {
            // Many clients leave like this. They may still read what waits for them.
            self.inner().close(reason);
            return Flow::End;
        }
        self.inner().abort(reason);
        Flow::End
    }

    async fn report_error(&mut self, error: ConnectionError) {
        let connection = self.guard.connection();
        let (handler, state) = (&self.handler, &mut self.state);
        let mut empty = ReadBuffer::default();
        call(&mut self.io, connection.inner(), &mut empty, || {
            handler.on_error(connection, state, error)
        })
        .await;
    }

    /// Reports an I/O error, completes the close handshake and calls `on_disconnect`.
    async fn end(&mut self, linger: bool) {
        self.buffer = ReadBuffer::default();
        if let Some(kind) = self.inner().io_error() {
            self.report_error(ConnectionError::Io(kind)).await;
        }
        self.guard.unregister();
        let connection = self.guard.connection();
        let conn = connection.inner();
        let finished = self.io.finish(conn).await;

        let reason = conn.reason();
        let reason = reason.unwrap_or(CloseReason::Lost(io::ErrorKind::UnexpectedEof));
        // Not at `debug`: an application that logs ends says more about them.
        tracing::trace!(id = %connection.id(), %reason, "connection ended");
        self.io.extend_deadline(conn);
        let (handler, state) = (&self.handler, &mut self.state);
        let mut empty = ReadBuffer::default();
        call(&mut self.io, conn, &mut empty, || {
            handler.on_disconnect(connection, state, reason)
        })
        .await;
        if finished && linger {
            self.io.linger(conn).await;
        }
    }

    fn inner(&self) -> &Arc<ConnectionInner> {
        self.guard.connection().inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Handler for Silent {
        type State = Box<u32>;

        async fn on_message(&self, _: &crate::Connection, _: &mut Box<u32>, _: Message) {}
    }

    fn size_of_future<A, F>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Tokio adds its header and the tracker, 112 bytes, and pads the sum to a multiple of 128.
    #[test]
    fn a_task_that_waits_and_a_state_of_a_pointer_fit_256_bytes() {
        let size = size_of_future(ConnectionTask::<Silent>::run);
        assert!(size <= 144, "{size} bytes");
    }
}
