//! What happens when a client sends more than it may.
//!
//! Owns the consequences: waiting, dropping, closing. Runs in the connection's task, between decoding and the
//! callback; messages within the limits never come here. Invariants: while a client waits, what is sent to it
//! leaves and its silence does not count; a close, and the client's end, end the wait.

use std::{future::poll_fn, io, task::Poll, time::Duration};

use tieline_websocket::Message;
use tokio::time::{Instant, sleep_until};

use super::{
    callback::{CallbackOutcome, call},
    meter::Meter,
    task::{ConnectionTask, Decoded, Flow},
};
use crate::{
    close::CloseReason,
    handler::Handler,
    inbound::{Excess, ExcessVerdict},
};

/// How often a client that waits is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl<H: Handler> ConnectionTask<H> {
    /// Handles what is not simply a message within the limits.
    pub(super) async fn handle_other(&mut self, mut decoded: Decoded) -> Flow {
        if let Some(policy) = self.excess() {
            decoded = match self.restrain(policy, decoded).await {
                Ok(decoded) => decoded,
                Err(interrupted) => return interrupted,
            };
        }
        match decoded {
            Decoded::Message(message) => {
                let outcome = self.handle(message).await;
                self.on_outcome(outcome).await
            }
            Decoded::Chunk(chunk) => self.handle_chunk(*chunk).await,
            Decoded::Failed(error) => self.fail(*error).await,
            Decoded::Nothing => Flow::Continue,
            Decoded::End => Flow::End,
        }
    }

    /// What happens to what was decoded last, if it is more than the client may send.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.limits.as_ref()?.meter.as_ref()?.excess()
    }

    /// Applies the policy to what is too much; a flow if the handler was asked and could not decide.
    async fn restrain(&mut self, policy: Excess, decoded: Decoded) -> Result<Decoded, Flow> {
        let verdict = match (policy, &decoded) {
            // The end is never too much.
            (_, Decoded::End | Decoded::Failed(_)) => ExcessVerdict::Deliver,
            // A message that lacks a piece would be another one, so nobody is asked about pieces.
            (Excess::SlowDown, _) | (Excess::Ask, Decoded::Chunk(_)) => ExcessVerdict::SlowDown,
            (Excess::Close, _) => return Ok(self.refuse(CloseReason::TooFast)),
            (Excess::Ask, Decoded::Message(message)) => match self.ask(message).await {
                (CallbackOutcome::Done, Some(verdict)) => verdict,
                (outcome, _) => return Err(self.on_outcome(outcome).await),
            },
            // The message decides, once it is complete.
            (Excess::Ask, _) => ExcessVerdict::Deliver,
        };
        Ok(match verdict {
            ExcessVerdict::Deliver => decoded,
            ExcessVerdict::Drop => Decoded::Nothing,
            ExcessVerdict::Close(frame) => self.refuse(CloseReason::Application(frame)),
            ExcessVerdict::SlowDown => {
                self.wait_for_meter().await;
                // A message that would come after a close is not for the application.
                let is_open = self.guard.connection().is_open();
                if is_open { decoded } else { self.ignored() }
            }
        })
    }

    /// `on_excess`.
    async fn ask(&mut self, message: &Message) -> (CallbackOutcome, Option<ExcessVerdict>) {
        let connection = self.guard.connection();
        let (handler, state) = (&self.handler, &mut self.state);
        let mut verdict = None;
        let outcome = call(
            &mut self.io,
            connection.inner(),
            &mut self.buffer,
            || async {
                verdict = Some(handler.on_excess(connection, state, message).await);
            },
        );
        let outcome = outcome.await;
        (outcome, verdict)
    }

    /// Waits until the buckets lack nothing, or the connection closes. As while a callback waits, nothing is read;
    /// so it is looked for a client that has left, which may have left much behind.
    async fn wait_for_meter(&mut self) {
        let meter = self.limits.as_ref().and_then(|own| own.meter.as_ref());
        let ready_at = meter.and_then(Meter::ready_at);
        let Some(ready_at) = ready_at else {
            return;
        };
        while Instant::now() < ready_at && self.guard.connection().is_open() {
            let look_at = ready_at.min(Instant::now() + LOOK_EVERY);
            self.pause(look_at).await;
            if self.io.has_left() {
                let reason = CloseReason::Lost(io::ErrorKind::UnexpectedEof);
                self.guard.connection().inner().abort(reason);
            }
        }
    }

    /// Waits until this time, or until the connection closes.
    async fn pause(&mut self, until: Instant) {
        let connection = self.guard.connection();
        let mut passed = Box::pin(sleep_until(until));
        let wait = poll_fn(|cx| {
            if connection.is_open() {
                passed.as_mut().poll(cx)
            } else {
                Poll::Ready(())
            }
        });
        call(&mut self.io, connection.inner(), &mut self.buffer, || wait).await;
    }

    /// Closes instead of handling what has come.
    fn refuse(&mut self, reason: CloseReason) -> Decoded {
        self.guard.connection().inner().close(reason);
        self.ignored()
    }

    fn ignored(&mut self) -> Decoded {
        self.proceed();
        Decoded::Nothing
    }
}
