//! The outgoing half of a stream: HTTP/2 takes the next batch when it can carry it.
//!
//! So what waits coalesces without a timer, and nothing is counted as sent before the stream takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::codegen::tokio_stream::Stream;

use super::link::{Shared, complete_all};
use crate::link::{codec::Batch, outcome::Completion, proto};

pub(super) struct OutboundStream<T> {
    shared: Arc<Shared<T>>,
    epoch: u64,
    hello: Option<proto::Hello>,
}

impl<T> OutboundStream<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, epoch: u64) -> Self {
        let hello = Some(proto::Hello::new(&shared.config, epoch));
        Self {
            shared,
            epoch,
            hello,
        }
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
        let mut completions = Vec::new();
        let next = self
            .shared
            .state
            .lock()
            .poll_outgoing(self.epoch, &mut completions, cx);
        complete_all(&mut completions);
        next
    }
}
