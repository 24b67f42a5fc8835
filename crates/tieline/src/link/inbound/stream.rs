//! One stream of a peer: posts in, outcomes and interest out.
//!
//! Owns the order: posts are received as they came, what is decided at once goes back in that order, all of
//! one batch together. It is polled by HTTP/2 when the response can carry more, so a peer that does not read
//! its outcomes is not read from either.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming, codegen::tokio_stream::Stream};

use super::{
    epoch_guard::EpochGuard,
    receiver::{BoxFuture, MaybeReady, PeerInfo, Receiver, Response},
    response::ResponseBuilder,
};
use crate::{
    hub::Cork,
    link::{
        interest::Subscription,
        proto::{self, OutcomeCode, PeerRequest, QueryKind, RequestKind},
    },
};

/// Answers that are awaited at once; beyond it the stream is not read. Each is a message to many under way,
/// and the shards' own queues are shorter.
const LATER: usize = 4_096;
/// Outcomes and answers in one message, unless a single answer is larger.
const REPLY_BYTES: usize = 256 << 10;
/// Posts handled before other tasks of the thread get a turn.
const POSTS_PER_POLL: usize = 1_024;

type Numbered = BoxFuture<(u64, Response)>;

pub(in crate::link) struct InboundStream {
    receiver: Arc<dyn Receiver>,
    peer: PeerInfo,
    guard: EpochGuard,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    incoming: Streaming<proto::RequestBatch>,
    interest: Subscription,
    hello: Option<proto::Hello>,
    /// The number of the next post.
    next: u64,
    later: FuturesUnordered<Numbered>,
    reply: ResponseBuilder,
    /// The largest message that the peer reads.
    largest: usize,
    handled: usize,
    /// Nothing more is read; the stream ends so when what it has to say is said.
    end: Option<Status>,
    ended: bool,
}

impl InboundStream {
    pub(super) fn new(
        receiver: Arc<dyn Receiver>,
        peer: PeerInfo,
        guard: EpochGuard,
        incoming: Streaming<proto::RequestBatch>,
        hello: proto::Hello,
        largest: usize,
    ) -> Self {
        let interest = Arc::clone(receiver.interest()).subscribe(peer.version);
        Self {
            ending: Box::pin(guard.ending().cancelled_owned()),
            receiver,
            peer,
            guard,
            incoming,
            interest,
            hello: Some(hello),
            next: 0,
            later: FuturesUnordered::new(),
            reply: ResponseBuilder::default(),
            largest,
            handled: 0,
            end: None,
            ended: false,
        }
    }

    /// Reads one message.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let message = match ready!(self.incoming.poll_next_unpin(cx)) {
            Some(Ok(message)) => message,
            Some(Err(status)) => {
                self.log_unread(&status);
                self.end = Some(status);
                return Poll::Ready(());
            }
            None => {
                self.end = Some(Status::ok(""));
                return Poll::Ready(());
            }
        };
        if message.interest_seen > 0 {
            self.interest.seen(message.interest_seen);
        }
        if message.ping > 0 {
            self.reply.pong(message.ping);
        }
        self.handle(message.requests);
        Poll::Ready(())
    }

    fn handle(&mut self, requests: Vec<PeerRequest>) {
        if requests.is_empty() {
            return;
        }
        let Some(_open) = self.guard.hold() else {
            self.end = Some(superseded());
            return;
        };
        self.handled += requests.len();
        // Dropped before the gate: receivers are flushed before a newer stream begins.
        let _cork = Cork::new();
        for request in requests {
            let number = self.next;
            self.next += 1;
            let reply = match request.kind {
                None => MaybeReady::Ready(Response::Code(OutcomeCode::Invalid)),
                Some(RequestKind::Query(ask)) if ask.kind() == QueryKind::Nothing => {
                    MaybeReady::Ready(Response::Listing {
                        names: Vec::new(),
                        more: false,
                    })
                }
                Some(request) => self.receiver.receive(&self.peer, request),
            };
            match reply {
                MaybeReady::Ready(answer) => self.reply.answer(number, answer, self.largest),
                MaybeReady::Later(answer) => {
                    self.later.push(Box::pin(answer.map(move |a| (number, a))));
                }
            }
        }
    }

    fn is_reading(&self) -> bool {
        self.end.is_none() && self.later.len() < LATER && self.reply.bytes() < REPLY_BYTES
    }

    /// Takes in the answers that are decided by now.
    fn poll_later(&mut self, cx: &mut Context<'_>) {
        while self.reply.bytes() < REPLY_BYTES
            && let Poll::Ready(Some((number, answer))) = self.later.poll_next_unpin(cx)
        {
            self.reply.answer(number, answer, self.largest);
        }
    }

    /// What is too large or no message at all is a fault of the peer; that streams break is not.
    fn log_unread(&self, status: &Status) {
        let (peer, why) = (&self.peer, status.message());
        if matches!(
            status.code(),
            tonic::Code::OutOfRange | tonic::Code::Internal
        ) {
            tracing::warn!(?peer, %why, "what a peer sent cannot be read");
        } else {
            tracing::debug!(?peer, %why, "a peer's stream has ended");
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) {
        if self.end.is_none() && self.ending.poll_unpin(cx).is_ready() {
            self.end = Some(if self.guard.is_superseded() {
                superseded()
            } else {
                Status::unavailable(proto::NODE_ENDS)
            });
        }
    }
}

impl Stream for InboundStream {
    type Item = Result<proto::ResponseBatch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(hello) = this.hello.take() {
            return Poll::Ready(Some(Ok(proto::ResponseBatch {
                hello: Some(hello),
                ..proto::ResponseBatch::default()
            })));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        if this.handled >= POSTS_PER_POLL {
            // What is decided leaves now, and others run before this goes on.
            this.handled = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.poll_later(cx);
        if this.end.is_none()
            && this.reply.bytes() < REPLY_BYTES
            && let Some(news) = this.interest.poll_message(cx)
        {
            this.reply.interest(news);
        }
        while this.is_reading() {
            if this.poll_incoming(cx).is_pending() {
                // Only now, so that what was read before the node's end is answered.
                this.poll_end(cx);
                break;
            }
            if this.reply.bytes() > 0 {
                break;
            }
        }
        // Again, for what this call has put there: until it is polled, nothing wakes this task for it.
        this.poll_later(cx);
        if let Some(reply) = this.reply.take() {
            return Poll::Ready(Some(Ok(reply)));
        }
        if this.end.as_ref().is_some_and(is_orderly) && !this.later.is_empty() {
            // What was read is answered before the node's end; the port's own deadline bounds it.
            return Poll::Pending;
        }
        if let Some(status) = this.end.take() {
            this.ended = true;
            return Poll::Ready((status.code() != tonic::Code::Ok).then_some(Err(status)));
        }
        this.handled = 0;
        Poll::Pending
    }
}

/// Whether a stream ends because its node does.
fn is_orderly(status: &Status) -> bool {
    status.message() == proto::NODE_ENDS
}

fn superseded() -> Status {
    Status::aborted("a newer stream of the same process has come")
}
