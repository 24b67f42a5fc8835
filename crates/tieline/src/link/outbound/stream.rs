//! The outgoing half of a stream. HTTP/2 takes the next batch when it can carry one.
//!
//! Therefore waiting requests share a batch without a timer, and no request counts as sent before the
//! stream takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tokio::{sync::oneshot, time::Instant};
use tonic::codegen::tokio_stream::Stream;

use super::shared::Shared;
use crate::link::{codec::Batch, outcome::Completion, proto};

pub(super) struct OutboundStream<T> {
    shared: Arc<Shared<T>>,
    epoch: u64,
    phase: Phase,
}

enum Phase {
    Hello(proto::Hello, oneshot::Receiver<proto::Confirmation>),
    /// Waits for the verdict on the peer's hello.
    Confirmation(oneshot::Receiver<proto::Confirmation>),
    Requests,
    Ended,
}

impl<T> OutboundStream<T> {
    /// A stream that sends this hello, then the verdict on the peer's, then requests.
    pub(super) fn new(
        shared: Arc<Shared<T>>,
        hello: proto::Hello,
        verdict: oneshot::Receiver<proto::Confirmation>,
    ) -> Self {
        Self {
            shared,
            epoch: hello.epoch,
            phase: Phase::Hello(hello, verdict),
        }
    }

    /// The next message of the greeting.
    fn poll_greeting(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Hello(hello, verdict) => {
                self.phase = Phase::Confirmation(verdict);
                without_requests(proto::RequestBatch {
                    hello: Some(hello),
                    ..proto::RequestBatch::default()
                })
            }
            Phase::Confirmation(mut verdict) => match verdict.poll_unpin(cx) {
                Poll::Pending => {
                    self.phase = Phase::Confirmation(verdict);
                    Poll::Pending
                }
                // The greeting was given up.
                Poll::Ready(Err(_)) => Poll::Ready(None),
                Poll::Ready(Ok(confirmation)) => {
                    if confirmation.refusal() == proto::Refusal::None {
                        self.phase = Phase::Requests;
                    }
                    without_requests(proto::RequestBatch {
                        confirmation: Some(confirmation),
                        ..proto::RequestBatch::default()
                    })
                }
            },
            Phase::Requests | Phase::Ended => Poll::Ready(None),
        }
    }
}

fn without_requests(control: proto::RequestBatch) -> Poll<Option<Batch>> {
    Poll::Ready(Some(Batch {
        control,
        ..Batch::default()
    }))
}

impl<T> OutboundStream<T> {
    /// A ping carries this node's clock.
    fn with_clock(&self, mut batch: Batch) -> Batch {
        if batch.control.ping > 0
            && let Some(clock) = &self.shared.config.clock
        {
            batch.control.clock = clock.now();
        }
        batch
    }
}

impl<T: Completion> Stream for OutboundStream<T> {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if !matches!(self.phase, Phase::Requests) {
            return self.poll_greeting(cx);
        }
        let epoch = self.epoch;
        let poll = self
            .shared
            .with_state(|state| state.poll_batch(epoch, Instant::now(), cx));
        poll.map(|batch| batch.map(|batch| self.with_clock(batch)))
    }
}
