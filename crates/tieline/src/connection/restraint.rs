//! What happens when a client sends more than it may.
//!
//! Owns the consequences: waiting, dropping, closing. Runs in the connection's task, between decoding and the
//! callback; without limits it is never reached. Invariant: while a client waits, what is sent to it leaves,
//! its silence does not count, and a close ends the wait.

use std::{future::poll_fn, task::Poll};

use tieline_websocket::Message;
use tokio::time::{Instant, sleep_until};

use super::{
    callback::{CallbackOutcome, call},
    task::{ConnectionTask, Decoded, Flow},
};
use crate::{
    close::CloseReason,
    handler::Handler,
    inbound::{Excess, ExcessVerdict},
};

impl<H: Handler> ConnectionTask<H> {
    /// Lets pass what is within the limits, and applies the policy to the rest; a flow if the handler was asked
    /// and could not decide.
    pub(super) async fn restrain(&mut self, decoded: Decoded) -> Result<Decoded, Flow> {
        let is_excess = self.meter.as_ref().is_some_and(|meter| meter.is_excess());
        let conn = self.guard.connection().inner();
        let verdict = match (conn.context().config.inbound.excess, &decoded) {
            _ if !is_excess => ExcessVerdict::Deliver,
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

    /// Waits until the buckets lack nothing, or the connection closes. As while a callback waits, nothing is read.
    async fn wait_for_meter(&mut self) {
        let ready_at = self.meter.as_ref().and_then(|meter| meter.ready_at());
        let Some(ready_at) = ready_at.filter(|at| *at > Instant::now()) else {
            return;
        };
        let connection = self.guard.connection();
        let mut filled = Box::pin(sleep_until(ready_at));
        let wait = poll_fn(|cx| {
            if connection.is_open() {
                filled.as_mut().poll(cx)
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
