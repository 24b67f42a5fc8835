//! What a connection's task does on its sending side: attaches the socket, writes what waits, ends it.
//!
//! Must not know what is sent or why. The task writes what other threads could not: what a full socket
//! left over, and everything on streams that only the task may touch.

use std::{
    cell::RefCell,
    io,
    task::{Context, Poll, Waker},
};

use tokio::net::tcp::OwnedWriteHalf;

use super::{
    inner::ConnectionInner,
    reports::Reports,
    send_side::{self, SendGuard, WriteMode},
    state::{Activity, Lifecycle},
    tick,
};
use crate::{close::CloseReason, written::WriteOutcome};

/// Bytes that the task takes from the outbox at once for a stream that only it may write to, while it holds
/// the lock. A record of TLS has at most as many.
const CHUNK: usize = 16 * 1024;

/// Chunks that are written before other tasks get a turn: 1 MiB.
const CHUNKS: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(CHUNK));
}

/// A stream that only the connection's task may write to.
pub(crate) trait TaskStream {
    /// Takes bytes to send, and encrypts them if it does. Called once everything taken before was sent.
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sends what was staged, and adds to `sent` the bytes that left. Ready once nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>, sent: &mut usize) -> Poll<io::Result<()>>;
}

impl ConnectionInner {
    /// Gives the outbox its socket, or `None` if only the task may write.
    pub(crate) fn attach(&self, socket: Option<OwnedWriteHalf>) {
        let mut send_side = self.send_side.lock();
        send_side.write_mode = socket.map_or(WriteMode::TaskOnly, WriteMode::Direct);
        self.context.counters().opened();
        self.flush_locked(&mut send_side);
        // Most connections get a first message, and are idle then.
        send_side.outbox.release_all();
    }

    /// Gives up socket and outbox; the task has ended. What was to leave with the tick does so before.
    pub(crate) fn end(&self) {
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        if self.state.is(Activity::LISTED) {
            self.flush_locked(&mut send_side);
        }
        let was_open = !matches!(send_side.write_mode, WriteMode::BeforeUpgrade);
        let reports = send_side.end(rules, &self.state);
        if was_open && let Some(reason) = send_side.extras.reason() {
            self.context.counters().ended(reason);
        }
        let observers = send_side.extras.take_observers();
        send_side::tell(&mut send_side, reports);
        self.wake_waiting(&mut send_side);
        drop(send_side);
        if let Some(observers) = observers {
            observers.end();
        }
    }

    /// Sets whom to wake. The task calls it once: a spawned task keeps its waker, and its runtime.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        self.send_side.lock().waker = Some(waker.clone());
        self.state
            .set(Activity::HAS_TICKS, self.context.ticks.drive_this_task());
    }

    /// Says on which runtime the poll is that runs, one of this task. It must be corked.
    pub(crate) fn note_runtime(&self) {
        if self.state.is(Activity::HAS_TICKS) {
            tick::set_runtime(Some(self.context.ticks.runtime()));
        }
    }

    /// Writes what waits for the task, as far as the socket takes it, and registers for the rest.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>, stream: Option<&mut dyn TaskStream>) {
        if !self.state.is(Activity::WRITE_PENDING) {
            return;
        }
        let result = match stream {
            Some(stream) => SPARE.with_borrow_mut(|chunk| self.flush_stream(cx, stream, chunk)),
            None => self.flush_socket(cx),
        };
        if let Err(e) = result {
            let reason = CloseReason::Lost(e.kind());
            self.abort(reason);
        }
    }

    fn flush_socket(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        if self.state.is(Activity::SUSPECTED)
            && send_side::try_now(&mut send_side, rules, &self.state)
        {
            self.record_activity();
        }
        while self.state.is(Activity::WRITE_PENDING) {
            let WriteMode::Direct(socket) = &send_side.write_mode else {
                return Ok(());
            };
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            // The client's kernel took bytes: that is a sign of life too.
            self.record_activity();
            self.state.set(Activity::WRITE_PENDING, false);
            send_side::flush(&mut send_side, rules, &self.state, false);
        }
        Ok(())
    }

    /// Takes a chunk at a time under the lock, and writes it without.
    fn flush_stream(
        &self,
        cx: &mut Context<'_>,
        stream: &mut dyn TaskStream,
        chunk: &mut Vec<u8>,
    ) -> io::Result<()> {
        for _ in 0..CHUNKS {
            let mut sent = 0;
            let sending = stream.poll_send(cx, &mut sent);
            if sent > 0 && self.state.is(Activity::WRITE_STALLED) {
                // The socket had refused bytes and takes some now: the client's kernel took others.
                self.record_activity();
            }
            self.state
                .set(Activity::WRITE_STALLED, sending.is_pending());
            match sending {
                Poll::Pending => {
                    self.note_attempt();
                    return Ok(());
                }
                Poll::Ready(result) => result?,
            }
            if !self.take_chunk(chunk)? {
                return Ok(());
            }
            stream.stage(chunk)?;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Notes that the socket was tried with what waits, and did not take it.
    fn note_attempt(&self) {
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        send_side.outbox.count(rules);
        let is_full = send_side.outbox.is_full(rules);
        self.state.set(Activity::TRIED_FULL, is_full);
    }

    /// Takes the next bytes out of the outbox, now that all bytes taken before were sent; false if there are none, and
    /// so nothing more to write.
    fn take_chunk(&self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        chunk.clear();
        let rules = &self.context.rules;
        let mut send_side = self.send_side.lock();
        tell_staged(&mut send_side);
        if send_side.outbox.is_empty() {
            self.state.set(Activity::WRITE_PENDING, false);
            self.state.set(Activity::TRIED_FULL, false);
            return Ok(false);
        }
        let mut taken = Reports::default();
        send_side.outbox.write(rules, &mut taken, &mut |slices| {
            for slice in slices {
                let room = CHUNK - chunk.len();
                chunk.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            Ok(chunk.len())
        })?;
        if !taken.is_empty() {
            send_side.extras.stage(taken.into_trackers());
        }
        self.wake_waiting(&mut send_side);
        Ok(true)
    }

    /// Whether the client is not to be read from: half of its outbox is in use. A client that asks and
    /// does not read would otherwise fill all of it.
    pub(crate) fn pauses_reading(&self) -> bool {
        self.is_paused(false)
    }

    /// Whether what was read may be decoded: not while reading pauses.
    pub(crate) fn may_decode(&self) -> bool {
        !self.is_paused(true)
    }

    fn is_paused(&self, decodes: bool) -> bool {
        let activity = self.state.activity();
        let is_paused = activity.contains(Activity::WRITE_PENDING) && !self.is_closing() && {
            let outbox = &mut self.send_side.lock().outbox;
            let allows = outbox.allows_reading(&self.context.rules);
            if allows && decodes {
                outbox.note_reading();
            }
            !allows
        };
        if is_paused != activity.contains(Activity::READ_PAUSED) {
            self.set_read_paused(is_paused);
        }
        is_paused
    }

    /// Whether everything queued has left, the close frame of a requested close included.
    pub(crate) fn is_drained(&self) -> bool {
        self.state.lifecycle() != Lifecycle::CloseRequested
            && !self.state.is(Activity::WRITE_PENDING)
            && self.send_side.lock().outbox.is_empty()
    }
}

/// Tells that the frames which were taken out of the outbox have left.
fn tell_staged(send_side: &mut SendGuard<'_>) {
    if !send_side.extras.is_empty() {
        let mut reports = Reports::default();
        reports.add(send_side.extras.take_staged(), WriteOutcome::Written);
        send_side::tell(send_side, reports);
    }
}
