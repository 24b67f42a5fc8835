//! The outgoing half of a stream. HTTP/2 takes the next batch when it can carry one.
//!
//! Therefore waiting requests share a batch without a timer, and no request counts as sent before the
//! stream takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tonic::codegen::tokio_stream::Stream;

use super::shared::Shared;
use crate::link::{codec::Batch, outcome::Completion, proto};

pub(super) struct OutboundStream<T> {
    shared: Arc<Shared<T>>,
    epoch: u64,
    hello: Option<proto::Hello>,
}

impl<T> OutboundStream<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, epoch: u64) -> Self {
        let hello = Some(shared.config.hello(epoch));
        Self {
            shared,
            epoch,
            hello,
        }
    }
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
        if let Some(hello) = self.hello.take() {
            let control = proto::RequestBatch {
                hello: Some(hello),
                ..proto::RequestBatch::default()
            };
            return Poll::Ready(Some(Batch {
                control,
                ..Batch::default()
            }));
        }
        let epoch = self.epoch;
        let poll = self
            .shared
            .with_state(|state| state.poll_batch(epoch, Instant::now(), cx));
        poll.map(|batch| batch.map(|batch| self.with_clock(batch)))
    }
}
