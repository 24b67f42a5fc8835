//! The outgoing half of a stream: HTTP/2 takes the next batch when it can carry it.
//!
//! So what waits coalesces without a timer, and nothing is counted as sent before the stream takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::codegen::tokio_stream::Stream;

use super::{Shared, tell};
use crate::link::{outcome::Ticket, posting::Batch, wire};

pub(super) struct Sending<T> {
    shared: Arc<Shared<T>>,
    epoch: u64,
    hello: Option<wire::Hello>,
}

impl<T> Sending<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, epoch: u64) -> Self {
        let hello = Some(wire::Hello::new(&shared.settings, epoch));
        Self {
            shared,
            epoch,
            hello,
        }
    }
}

impl<T: Ticket> Stream for Sending<T> {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if let Some(hello) = self.hello.take() {
            let beside = wire::Outgoing {
                hello: Some(hello),
                ..wire::Outgoing::default()
            };
            return Poll::Ready(Some(Batch {
                beside,
                ..Batch::default()
            }));
        }
        let mut told = Vec::new();
        let next = self
            .shared
            .state
            .lock()
            .poll_outgoing(self.epoch, &mut told, cx);
        tell(&mut told);
        next
    }
}
