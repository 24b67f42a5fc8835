//! One stream of a peer: requests in, outcomes and interest out.
//!
//! Owns the order: requests are received as they arrive, and what is decided at once goes back in that
//! order, one message per batch. HTTP/2 polls the stream when the response can carry more, so that a peer
//! that does not read its outcomes is not read from either.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status, Streaming, codegen::tokio_stream::Stream};

use super::{
    epoch_guard::EpochGuard,
    receiver::{MaybeReady, PeerInfo, Receiver, Response},
    responses::Responses,
};
use crate::link::{
    config::PeerClock,
    interest::Subscription,
    proto::{self, OutcomeCode, PeerRequest, QueryKind, RequestKind},
};

/// Requests handled before other tasks of the thread get a turn.
const REQUESTS_PER_POLL: usize = 1_024;

pub(in crate::link) struct InboundStream {
    receiver: Arc<dyn Receiver>,
    peer: PeerInfo,
    guard: EpochGuard,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    incoming: Streaming<proto::RequestBatch>,
    interest: Subscription,
    clock: Option<Arc<dyn PeerClock>>,
    /// The number of the next request.
    next: u64,
    responses: Responses,
    /// Requests handled since the task last yielded.
    handled: usize,
    phase: StreamPhase,
}

enum StreamPhase {
    Open,
    /// Nothing more is read. The stream ends with this status once what is left has been sent.
    Ending(Status),
    Ended,
}

impl InboundStream {
    pub(super) fn new(
        receiver: Arc<dyn Receiver>,
        peer: PeerInfo,
        guard: EpochGuard,
        incoming: Streaming<proto::RequestBatch>,
        max_size: usize,
        clock: Option<Arc<dyn PeerClock>>,
    ) -> Self {
        let interest = Arc::clone(receiver.interest()).subscribe();
        Self {
            end: Box::pin(guard.end().cancelled_owned()),
            receiver,
            peer,
            guard,
            incoming,
            interest,
            clock,
            next: 0,
            responses: Responses::new(max_size),
            handled: 0,
            phase: StreamPhase::Open,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, StreamPhase::Open)
    }

    /// Reads until there is something to send.
    fn read(&mut self, cx: &mut Context<'_>) {
        while self.is_open() && self.responses.takes_requests() {
            let Poll::Ready(message) = self.incoming.poll_next_unpin(cx) else {
                // Checked only now, so that what arrived before the end is still answered.
                self.poll_end(cx);
                return;
            };
            self.on_message(message);
            if !self.responses.message.is_empty() {
                return;
            }
        }
    }

    fn on_message(&mut self, message: Option<Result<proto::RequestBatch, Status>>) {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(status)) => {
                self.log_read_error(&status);
                self.phase = StreamPhase::Ending(status);
                return;
            }
            None => {
                self.phase = StreamPhase::Ending(Status::ok(""));
                return;
            }
        };
        if message.interest_ack > 0 {
            self.interest.acknowledge(message.interest_ack);
        }
        if message.ping > 0 {
            self.responses.message.pong(message.ping);
        }
        if message.clock > 0
            && let Some(clock) = &self.clock
        {
            clock.observe(message.clock);
        }
        if !message.requests.is_empty() {
            self.receive(message.requests);
        }
    }

    fn receive(&mut self, requests: Vec<PeerRequest>) {
        // Held until the receiver has released all effects of the batch, so that a newer stream cannot
        // overtake them.
        let Some(_current) = self.guard.lock() else {
            self.phase = StreamPhase::Ending(superseded());
            return;
        };
        self.handled += requests.iter().map(weight).sum::<usize>();
        let mut requests = requests.into_iter();
        self.receiver.receive_batch(&mut || {
            for request in requests.by_ref() {
                let number = self.next;
                self.next += 1;
                let response = respond(&*self.receiver, &self.peer, request);
                self.responses.take(number, response);
            }
        });
    }

    fn poll_interest(&mut self, cx: &Context<'_>) {
        if self.is_open()
            && self.responses.has_room()
            && let Some(interest) = self.interest.poll_message(cx)
        {
            self.responses.message.interest(interest);
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) {
        if self.end.poll_unpin(cx).is_ready() {
            self.phase = StreamPhase::Ending(if self.guard.is_superseded() {
                superseded()
            } else {
                Status::unavailable(proto::NODE_SHUTDOWN)
            });
        }
    }

    /// Ends the stream once there is nothing left to send.
    fn poll_finish(&mut self) -> Poll<Option<Result<proto::ResponseBatch, Status>>> {
        let is_finished = match &self.phase {
            StreamPhase::Open => false,
            // Everything read is answered before the node shuts down, within the server's deadline.
            StreamPhase::Ending(status) if is_shutdown(status) => self.responses.is_settled(),
            StreamPhase::Ending(_) | StreamPhase::Ended => true,
        };
        if !is_finished {
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.phase, StreamPhase::Ended) {
            StreamPhase::Ending(status) if status.code() != Code::Ok => {
                Poll::Ready(Some(Err(status)))
            }
            _ => Poll::Ready(None),
        }
    }

    /// Only an oversized or malformed message is the peer's fault; a broken stream is not.
    fn log_read_error(&self, status: &Status) {
        let (peer, why) = (&self.peer, status.message());
        if matches!(status.code(), Code::OutOfRange | Code::Internal) {
            tracing::warn!(?peer, %why, "cannot read a message from a peer");
        } else {
            tracing::debug!(?peer, %why, "stream of a peer ended");
        }
    }
}

impl Stream for InboundStream {
    type Item = Result<proto::ResponseBatch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if matches!(this.phase, StreamPhase::Ended) {
            return Poll::Ready(None);
        }
        if this.handled >= REQUESTS_PER_POLL {
            // What has been returned is sent now, and other tasks run before this one goes on.
            this.handled = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.responses.poll(cx);
        this.poll_interest(cx);
        this.read(cx);
        // Again, for the futures that `read` has added: until they are polled, they cannot wake this task.
        this.responses.poll(cx);
        if let Some(message) = this.responses.take_message() {
            return Poll::Ready(Some(Ok(message)));
        }
        let finish = this.poll_finish();
        if finish.is_pending() {
            this.handled = 0;
        }
        finish
    }
}

/// How many requests it counts for.
fn weight(request: &PeerRequest) -> usize {
    match &request.kind {
        Some(RequestKind::EmitMany(many)) => many.ids.len().max(1),
        _ => 1,
    }
}

/// Refuses what this version does not know; hands everything else to the receiver.
fn respond(receiver: &dyn Receiver, peer: &PeerInfo, request: PeerRequest) -> MaybeReady {
    const INVALID: MaybeReady = MaybeReady::Ready(Response::Code(OutcomeCode::Invalid));
    let PeerRequest { kind, namespace } = request;
    let Ok(namespace) = std::str::from_utf8(&namespace) else {
        return INVALID;
    };
    match kind {
        None => INVALID,
        // A query of a later version: an empty listing would say that there is nothing.
        Some(RequestKind::Query(query)) if query.kind() == QueryKind::Unspecified => INVALID,
        Some(request) => receiver.receive(peer, namespace, request),
    }
}

/// Whether a stream ends because this node shuts down.
fn is_shutdown(status: &Status) -> bool {
    status.message() == proto::NODE_SHUTDOWN
}

fn superseded() -> Status {
    Status::aborted("a newer stream of the same process has started")
}
