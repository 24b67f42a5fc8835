//! The sending side of a connection: its outbox, its socket, and the reason of its close.
//!
//! Everything that leaves for a client passes here, under one lock per connection. Owns the order of what
//! a client receives and how a close begins. Must not know other connections or the protocol's state.
//! Invariants: after a close has begun nothing but its close frame is queued; the first reason to close
//! stays; a reason is stored if and only if the lifecycle has reached `Closing`.

use std::{
    io::{self, IoSlice},
    task::Waker,
};

use parking_lot::MutexGuard;
use rustix::net::{SendFlags, send};
use tieline_websocket::{AnyFrame, Frame};
use tokio::net::{TcpStream, tcp::OwnedWriteHalf};

use super::{
    extras::Extras,
    line::Line,
    observers::{Direction, Observers},
    outbox::{Outbox, OutboxRules, Written},
    reports::Reports,
    state::{Activity, Lifecycle, StateCell},
};
use crate::{close::CloseReason, written::WriteOutcome};

pub(super) struct SendSide {
    pub(super) outbox: Outbox,
    pub(super) write_mode: WriteMode,
    pub(super) waker: Option<Waker>,
    /// With the reason of the close, and what the application keeps here.
    pub(super) extras: Extras,
}

/// Who writes what is in the outbox.
pub(super) enum WriteMode {
    /// Nobody: the upgrade is not complete, frames wait.
    BeforeUpgrade,
    /// Any thread that queues a frame.
    Direct(OwnedWriteHalf),
    /// The connection's task alone (TLS, or a stream of unknown type).
    TaskOnly,
    /// Nobody: the task has ended.
    Closed,
}

/// The send side, locked.
pub(super) type SendGuard<'a> = MutexGuard<'a, SendSide>;

/// Writes of one flush; what is left then is the task's. A flush ends, whatever others queue meanwhile.
const WRITES: usize = 64;

/// Writes to the socket until nothing waits or it is full; what remains is the task's, which is woken
/// if `wake`. Does nothing while the task has something to write: the order would be lost. The lock is
/// offered to those who wait for it after each write. Whoever waits for the room that this makes is woken.
pub(super) fn flush(
    send_side: &mut SendGuard<'_>,
    rules: &OutboxRules,
    state: &StateCell,
    wake: bool,
) {
    // Only if something left: who has waited in vain would be woken by its own attempt, for ever.
    let changed = write_out(send_side, rules, state, wake);
    send_side.outbox.count_delivered(rules);
    if changed {
        wake_waiting(send_side, rules, state);
    }
}

/// As [`flush`]; returns whether bytes left or the connection failed.
fn write_out(
    send_side: &mut SendGuard<'_>,
    rules: &OutboxRules,
    state: &StateCell,
    wake: bool,
) -> bool {
    let mut changed = false;
    for _ in 0..WRITES {
        let mut reports = Reports::default();
        if send_side.outbox.is_empty() || state.is(Activity::WRITE_PENDING) {
            return changed;
        }
        let SendSide {
            outbox, write_mode, ..
        } = &mut **send_side;
        let written = match write_mode {
            WriteMode::BeforeUpgrade | WriteMode::Closed => return changed,
            // Not refused by a socket, and in most cases gone in a moment.
            WriteMode::TaskOnly if !outbox.is_half_full(rules) => break,
            WriteMode::TaskOnly => Ok(Written::Blocked),
            WriteMode::Direct(socket) => {
                outbox.write(rules, &mut reports, &mut |slices| match slices {
                    [one] => socket.try_write(one),
                    many => socket.try_write_vectored(many),
                })
            }
        };
        let is_blocked = matches!(written, Ok(Written::Blocked));
        if is_blocked {
            outbox.count(rules);
        }
        changed |= !is_blocked;
        tell(send_side, reports);
        match written {
            Ok(Written::All) => {
                // The task waits for the close frame to leave.
                if state.reached(Lifecycle::Closing) {
                    send_side.wake();
                }
                return changed;
            }
            Ok(Written::Some) => MutexGuard::bump(send_side),
            Ok(Written::Blocked) => break,
            Err(e) => {
                send_side.abort(state, CloseReason::Lost(e.kind()));
                return changed;
            }
        }
    }
    state.set(Activity::WRITE_PENDING, true);
    if wake {
        send_side.wake();
    }
    changed
}

/// Writes what waits as far as the socket takes it, even if the task waits for room and has not yet been told
/// that there is some. Returns whether bytes left. Only for sockets that any thread may write to.
pub(super) fn try_now(
    send_side: &mut SendGuard<'_>,
    rules: &OutboxRules,
    state: &StateCell,
) -> bool {
    let mut sent = false;
    for _ in 0..WRITES {
        let SendSide {
            outbox, write_mode, ..
        } = &mut **send_side;
        let WriteMode::Direct(socket) = write_mode else {
            break;
        };
        let mut write = |slices: &[IoSlice<'_>]| {
            let n = send_now(socket.as_ref(), slices)?;
            sent |= n > 0;
            Ok(n)
        };
        let mut reports = Reports::default();
        let written = outbox.write(rules, &mut reports, &mut write);
        tell(send_side, reports);
        match written {
            Ok(Written::Some) => MutexGuard::bump(send_side),
            Ok(Written::All | Written::Blocked) => break,
            Err(e) => {
                send_side.abort(state, CloseReason::Lost(e.kind()));
                break;
            }
        }
    }
    if sent || state.reached(Lifecycle::Closing) {
        wake_waiting(send_side, rules, state);
    }
    sent
}

/// Tells those who wait for tracked frames what became of them. The lock is released meanwhile, as in
/// [`wake_waiting`].
#[inline]
pub(super) fn tell(send_side: &mut SendGuard<'_>, reports: Reports) {
    if !reports.is_empty() {
        tell_now(send_side, reports);
    }
}

/// Apart, so that the check is small enough to be inlined.
#[cold]
fn tell_now(send_side: &mut SendGuard<'_>, reports: Reports) {
    MutexGuard::unlocked(send_side, || reports.tell());
}

/// Wakes who waits for room, if there is some: one at a time, who lets the next one be woken, or all if
/// nothing is left to be written. If the connection closes, all of them and those who wait for that. To be
/// called after every write and every close. The lock is released meanwhile, because a waker may run what it
/// wakes, and that may send.
pub(super) fn wake_waiting(send_side: &mut SendGuard<'_>, rules: &OutboxRules, state: &StateCell) {
    if send_side.extras.is_empty() {
        return;
    }
    let is_closing = state.reached(Lifecycle::Closing);
    wake_writer(send_side, rules, is_closing);
    let SendSide { outbox, extras, .. } = &mut **send_side;
    let in_message = extras.outgoing().is_some();
    if is_closing {
        let all = extras.line().map(Line::dissolve);
        let closing = extras.take_closing();
        MutexGuard::unlocked(send_side, || {
            all.into_iter().flatten().for_each(Waker::wake);
            if let Some(closing) = closing {
                closing.cancel();
            }
        });
    } else if !outbox.is_half_full(rules)
        && let Some(line) = extras.line()
        && let Some(next) = line.tell_next(in_message)
    {
        let rest = if outbox.is_empty() {
            line.tell_all()
        } else {
            Vec::new()
        };
        MutexGuard::unlocked(send_side, || {
            next.wake();
            rest.into_iter().for_each(Waker::wake);
        });
    }
}

/// As [`wake_waiting`], for the writer of a message that is sent in pieces: others cannot be sent before its end.
fn wake_writer(send_side: &mut SendGuard<'_>, rules: &OutboxRules, is_closing: bool) {
    let SendSide { outbox, extras, .. } = &mut **send_side;
    if (is_closing || !outbox.is_half_full(rules))
        && let Some(outgoing) = extras.outgoing()
        && let Some(waker) = outgoing.stop_waiting()
    {
        MutexGuard::unlocked(send_side, || waker.wake());
    }
}

/// Wakes those who wait to observe a frame. To be called once it is in the outbox: the lock is released meanwhile, as
/// in [`wake_waiting`].
pub(super) fn wake_observers(send_side: &mut SendGuard<'_>) {
    let observers = send_side.extras.observers();
    let wakers = observers.map_or_else(Vec::new, Observers::take_wakers);
    if !wakers.is_empty() {
        MutexGuard::unlocked(send_side, || wakers.into_iter().for_each(Waker::wake));
    }
}

/// Writes to a socket whatever its readiness, as far as the runtime knows it: the runtime learns of room
/// only when it looks at its sockets again.
pub(crate) fn send_now(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let first = slices.iter().find(|slice| !slice.is_empty());
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(send(socket, first.map_or(&[], |slice| slice), flags)?)
}

impl SendSide {
    pub(super) fn new(outbox: Outbox, extras: Extras) -> Self {
        Self {
            outbox,
            write_mode: WriteMode::BeforeUpgrade,
            waker: None,
            extras,
        }
    }

    /// How many frames wait, and how many bytes.
    pub(super) fn queued(&mut self) -> (usize, usize) {
        let (mut frames, mut bytes) = (self.outbox.len(), self.outbox.bytes());
        if let Some(outgoing) = self.extras.outgoing() {
            frames += outgoing.held.len();
            bytes += outgoing.held.bytes();
        }
        (frames, bytes)
    }

    /// Notes a frame for those who observe. [`wake_observers`] is still to be called.
    pub(super) fn observe_sent(&mut self, frame: &AnyFrame) {
        if let Some(observers) = self.extras.observers() {
            let kind = (frame.kind(), frame.begins_message());
            observers.push(Direction::Sent, kind, frame.payload());
        }
    }

    /// Appends a frame that waits for no message in pieces to end, and notes it for those who observe.
    pub(super) fn push(&mut self, frame: AnyFrame, rules: &OutboxRules) {
        self.observe_sent(&frame);
        self.outbox.push(frame, rules);
    }

    /// Begins a close: the final message and the close frame go behind what waits, and the task is woken.
    /// `frame` is the close frame, if it is not that of the reason. Returns what is to be told.
    pub(super) fn close(
        &mut self,
        state: &StateCell,
        reason: CloseReason,
        frame: Option<AnyFrame>,
        final_message: Option<Frame>,
        rules: &OutboxRules,
    ) -> Reports {
        let mut reports = Reports::default();
        if state.reached(Lifecycle::Closing) {
            // One close frame a side: where closes cross, each is the other's answer.
            return reports;
        }
        let final_message = self.cut_off(final_message, rules, &mut reports);
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::Silent) {
            self.outbox.discard_waiting(rules, &mut reports);
        }
        let close_frame = frame.or_else(|| Some(AnyFrame::close(Some(&reason.frame()?))));
        if let Some(close_frame) = close_frame {
            if let Some(final_message) = final_message {
                self.push(final_message.into(), rules);
            }
            self.push(close_frame, rules);
        }
        self.enter(state, Lifecycle::Closing, reason);
        reports
    }

    /// Cuts off the message that is sent in pieces, if there is one: of a message that has begun, what waits for its
    /// end cannot be sent, nor can a final message.
    fn cut_off(
        &mut self,
        final_message: Option<Frame>,
        rules: &OutboxRules,
        reports: &mut Reports,
    ) -> Option<Frame> {
        let Some(outgoing) = self.extras.outgoing() else {
            return final_message;
        };
        if outgoing.has_begun {
            outgoing.held.clear(rules, reports);
            return None;
        }
        self.outbox
            .append(std::mem::take(&mut outgoing.held), rules);
        final_message
    }

    /// Ends the connection without a close handshake; the task ends at its next poll.
    pub(super) fn abort(&mut self, state: &StateCell, reason: CloseReason) {
        self.enter(state, Lifecycle::Aborted, reason);
    }

    /// Gives up socket and outbox; the task has ended. Returns what is to be told.
    pub(super) fn end(&mut self, rules: &OutboxRules, state: &StateCell) -> Reports {
        let mut reports = Reports::default();
        self.waker = None;
        let reason = CloseReason::Lost(io::ErrorKind::NotConnected);
        self.enter(state, Lifecycle::Ended, reason);
        self.write_mode = WriteMode::Closed;
        reports.add(self.extras.take_staged(), WriteOutcome::Lost);
        if let Some(outgoing) = self.extras.outgoing() {
            outgoing.held.clear(rules, &mut reports);
        }
        self.outbox.clear(rules, &mut reports);
        reports
    }

    fn enter(&mut self, state: &StateCell, lifecycle: Lifecycle, reason: CloseReason) {
        self.extras.set_reason(reason);
        state.advance(lifecycle);
        self.wake();
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
