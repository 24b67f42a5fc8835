//! How a close of one connection begins, for whatever reason.
//!
//! Owns what the client is sent last, and what is discarded. Must not know why a connection closes. Invariants: the
//! first reason counts; the application is called without the lock.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::MutexGuard;
use tieline_websocket::AnyFrame;

use super::{
    extras::Data,
    inner::ConnectionInner,
    reports::Reports,
    send_side::{self, SendGuard},
};
use crate::{
    close::CloseReason,
    farewell::{ChooseFarewell, Closing, Farewell},
};

/// Bytes that may still wait for a client that is closed to free memory.
const KEPT_WHEN_SHED: usize = 64 * 1024;

impl ConnectionInner {
    /// Begins a close: the close frame goes behind what waits, and the task is woken. Later calls change
    /// nothing.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// As [`ConnectionInner::close`], with a close frame that the protocol made.
    pub(crate) fn close_with(self: &Arc<Self>, reason: CloseReason, frame: Option<AnyFrame>) {
        let mut send_side = self.send_side.lock();
        self.begin_close(&mut send_side, reason, frame);
        self.flush_or_cork(&mut send_side);
    }

    pub(super) fn begin_close(
        &self,
        send_side: &mut SendGuard<'_>,
        reason: CloseReason,
        frame: Option<AnyFrame>,
    ) {
        let gets_it = !matches!(reason, CloseReason::Client(_) | CloseReason::Lost(_));
        let choose = self.farewell.filter(|_| gets_it && !self.is_closing());
        let farewell = choose.and_then(|choose| {
            let data = send_side.extras.data().cloned();
            // The application's code, and compression: not under the lock.
            MutexGuard::unlocked(send_side, || {
                self.choose_farewell(choose, &reason, data.as_ref())
            })
        });
        let (message, close) = farewell.map_or((None, None), |it| (it.message, Some(it.close)));
        let close = close.map(|close| AnyFrame::close(Some(&close)));
        let rules = &self.context.rules;
        let reports = send_side.close(&self.state, reason, close.or(frame), message, rules);
        send_side::wake_observers(send_side);
        send_side::tell(send_side, reports);
        self.wake_waiting(send_side);
    }

    /// What the application wants the client to be sent last; `None` if nothing of its own, or it panics.
    fn choose_farewell(
        &self,
        choose: ChooseFarewell,
        reason: &CloseReason,
        data: Option<&Data>,
    ) -> Option<Farewell> {
        let closing = Closing::new(reason, data.map(|data| &**data))?;
        let farewell = catch_unwind(AssertUnwindSafe(|| choose(&closing))).ok()??;
        if let Some(message) = &farewell.message {
            self.compress(message);
        }
        Some(farewell)
    }

    /// Closes without waiting for the client, which may be gone: the close frame leaves if the socket takes
    /// it now.
    pub(super) fn close_now(&self, reason: CloseReason) {
        let mut send_side = self.send_side.lock();
        self.begin_close(&mut send_side, reason.clone(), None);
        self.flush_locked(&mut send_side);
        send_side.abort(&self.state, reason);
    }

    /// Closes to free memory. What would still take much of it is discarded, and the connection ends without a
    /// close frame: a frame that has begun to leave would stay until the client has read it, and others
    /// would be closed instead.
    pub(super) fn shed(&self) {
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        if !self.is_closing() {
            rules.budget.count_shed();
            self.begin_close(&mut send_side, CloseReason::SlowConsumer, None);
            self.flush_locked(&mut send_side);
        }
        if send_side.outbox.bytes() > KEPT_WHEN_SHED {
            let mut reports = Reports::default();
            send_side.outbox.clear(rules, &mut reports);
            send_side.abort(&self.state, CloseReason::SlowConsumer);
            send_side::tell(&mut send_side, reports);
        }
    }

    /// Ends the connection without a close handshake; the task ends at its next poll.
    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut send_side = self.send_side.lock();
        send_side.abort(&self.state, reason);
        self.wake_waiting(&mut send_side);
    }
}
