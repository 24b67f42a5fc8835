//! The task of a connection.

use std::{
    future::poll_fn,
    io,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use pin_project_lite::pin_project;
use tieline_websocket::{Action, Message, Protocol};
use tokio::net::tcp::OwnedWriteHalf;

use super::{
    stream::Stream,
    wire::{Event, Wire},
};
use crate::{
    CloseReason, Connection, Handler,
    handler::ConnectionError,
    hub::{Admission, Member, Turn},
    scratch::Chunk,
};

/// A connection and its application, from the upgrade to `on_disconnect`.
pub(crate) struct Session<H: Handler> {
    handler: Arc<H>,
    admission: Admission,
    state: H::State,
    protocol: Protocol,
    wire: Wire,
}

/// How a part of the conversation went.
enum Flow {
    Continue,
    /// Both sides said goodbye, or nothing more can be said.
    End,
    /// We said goodbye and the peer may still be sending.
    Linger,
}

impl<H: Handler> Session<H> {
    pub(crate) fn new(
        handler: Arc<H>,
        admission: Admission,
        state: H::State,
        inflate: bool,
        stream: Stream,
    ) -> Self {
        Self {
            handler,
            admission,
            state,
            protocol: Protocol::new(inflate),
            wire: Wire::new(stream),
        }
    }

    /// Runs the connection to its end. `early` is what the client sent with its upgrade request.
    pub(crate) fn run(
        self,
        write_half: Option<OwnedWriteHalf>,
        early: Chunk,
    ) -> impl Future<Output = ()> + Send {
        InTurns {
            task: self.live(write_half, early),
        }
    }

    async fn live(mut self, write_half: Option<OwnedWriteHalf>, early: Chunk) {
        let member = self.admission.connection().member();
        poll_fn(|cx| Poll::Ready(member.watch(cx.waker()))).await;
        member.attach(write_half);
        let linger = self.converse(early).await;
        self.admission.forget();
        self.wire
            .finish(self.admission.connection().member(), linger)
            .await;
        self.say_goodbye().await;
    }

    /// From `on_connect` to the end of the close handshake; true if the peer may still be sending.
    async fn converse(&mut self, early: Chunk) -> bool {
        let Self {
            handler,
            admission,
            state,
            wire,
            ..
        } = self;
        let connection = admission.connection();
        let mut chunk = early;
        let called = call(wire, connection, &mut chunk, async {
            handler.on_connect(connection, state).await;
        });
        let mut flow = match called.await {
            Called::Dropped => Flow::End,
            Called::Panicked => self.panicked().await,
            Called::Done => Flow::Continue,
        };
        if let Flow::Continue = flow {
            flow = self.take(chunk).await;
        }
        while let Flow::Continue = flow {
            let event = self.wire.next(self.admission.connection().member()).await;
            flow = match event {
                Event::Read(chunk) => self.take(chunk).await,
                Event::Closing => {
                    self.stop_hearing();
                    Flow::Continue
                }
                Event::End(kind) => self.lost(kind).await,
                Event::Deadline => Flow::End,
            };
        }
        matches!(flow, Flow::Linger)
    }

    /// Decodes what came and hands the messages to the handler, one after the other.
    async fn take(&mut self, mut chunk: Chunk) -> Flow {
        while !chunk.is_empty() {
            let member = self.admission.connection().member();
            let received = self.protocol.receive(&member.rules().limits, chunk.rest());
            chunk.advance(received.consumed);
            if let Some(pong) = self.protocol.take_pong() {
                member.pong(pong);
            }
            let flow = match received.action {
                None => Flow::Continue,
                Some(Action::Message(message)) => {
                    member.unfinished(false);
                    self.handle(message, &mut chunk).await
                }
                Some(Action::Close { received, reply }) => {
                    member.close_with(CloseReason::Client(received), Some(reply));
                    Flow::End
                }
                Some(Action::Fail { error, reply }) => {
                    member.close_with(CloseReason::Protocol(error.clone()), reply);
                    self.tell(ConnectionError::Protocol(error)).await;
                    Flow::Linger
                }
                Some(_) => Flow::End,
            };
            if !matches!(flow, Flow::Continue) {
                return flow;
            }
        }
        self.member().unfinished(self.protocol.in_message());
        Flow::Continue
    }

    async fn handle(&mut self, message: Message, chunk: &mut Chunk) -> Flow {
        let Self {
            handler,
            admission,
            state,
            wire,
            ..
        } = self;
        let connection = admission.connection();
        let called = call(wire, connection, chunk, async {
            handler.on_message(connection, state, message).await;
        });
        match called.await {
            Called::Dropped => return Flow::End,
            Called::Panicked => return self.panicked().await,
            Called::Done => {}
        }
        if connection.member().is_closing() {
            self.stop_hearing();
        }
        Flow::Continue
    }

    /// We close: what the client still sends is not for the handler.
    fn stop_hearing(&mut self) {
        self.admission.forget();
        // The close frame itself is in the outbox already, behind what was sent before it.
        let _ = self.protocol.close(None);
    }

    async fn panicked(&mut self) -> Flow {
        self.member().close(CloseReason::Panic);
        self.tell(ConnectionError::Panic).await;
        self.stop_hearing();
        Flow::Continue
    }

    async fn lost(&mut self, kind: io::ErrorKind) -> Flow {
        let closing = self.member().is_closing();
        self.member().abort(CloseReason::Lost(kind));
        // The end of the stream is how many clients leave; only a failure is an error.
        if !closing && kind != io::ErrorKind::UnexpectedEof {
            self.tell(ConnectionError::Io(kind)).await;
        }
        Flow::End
    }

    async fn tell(&mut self, error: ConnectionError) {
        let Self {
            handler,
            admission,
            state,
            wire,
            ..
        } = self;
        let connection = admission.connection();
        let mut nothing = Chunk::default();
        let told = call(wire, connection, &mut nothing, async {
            handler.on_error(connection, state, error).await;
        });
        told.await;
    }

    async fn say_goodbye(&mut self) {
        let Self {
            handler,
            admission,
            state,
            wire,
            ..
        } = self;
        let connection = admission.connection();
        let reason = connection.member().reason();
        let reason = reason.unwrap_or(CloseReason::Lost(io::ErrorKind::UnexpectedEof));
        tracing::debug!(id = %connection.id(), %reason, "connection ended");
        wire.extend_deadline(connection.member());
        let mut nothing = Chunk::default();
        let told = call(wire, connection, &mut nothing, async {
            handler.on_disconnect(connection, state, reason).await;
        });
        told.await;
    }

    fn member(&self) -> &Arc<Member> {
        self.admission.connection().member()
    }
}

enum Called {
    Done,
    Panicked,
    /// The close deadline came first.
    Dropped,
}

/// Runs a callback. Most end in their first poll, and pay for nothing; when one waits, the rest of the
/// chunk is kept for it, silence does not count, and the outbox goes on being written.
async fn call(
    wire: &mut Wire,
    connection: &Connection,
    chunk: &mut Chunk,
    callback: impl Future<Output = ()>,
) -> Called {
    let member = connection.member();
    let mut callback = pin!(AssertUnwindSafe(callback).catch_unwind());
    let mut waits = false;
    let called = poll_fn(|cx| {
        if let Poll::Ready(done) = callback.as_mut().poll(cx) {
            return Poll::Ready(done.map_or(Called::Panicked, |()| Called::Done));
        }
        if !waits {
            waits = true;
            chunk.park();
            member.handling(true);
        }
        wire.poll_writes(cx, member);
        wire.poll_deadline(cx, member).map(|()| Called::Dropped)
    });
    let called = called.await;
    if waits {
        member.handling(false);
    }
    called
}

pin_project! {
    /// A task each of whose polls is a turn.
    struct InTurns<F> {
        #[pin]
        task: F,
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _turn = Turn::enter();
        self.project().task.poll(cx)
    }
}
