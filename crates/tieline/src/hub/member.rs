//! A connection as the hub knows it: its names, its outbox, and the socket the outbox writes to.
//!
//! Owns the order of what a client receives: every frame goes through the one lock of its egress.
//! Knows no handler and no protocol state; the connection's task owns those and is told by signals
//! what it must do. Invariants: after a close is begun nothing but its close frame is queued; the
//! first reason to close stays; the socket is given up when the task ends, whoever else still holds
//! the member.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tieline_websocket::Frame;
use tokio::{io::AsyncWrite, net::tcp::OwnedWriteHalf};

use super::{
    broadcast::Run,
    groups::Groups,
    outbox::{Flushed, Outbox},
    rules::Rules,
    turn::Turn,
};
use crate::{ClientId, CloseReason, Config, Delivery, Farewell, SlowConsumer};

/// What the connection's task must do, or is doing.
mod signal {
    /// Frames wait for the task: the socket blocks, or only the task may write to it.
    pub(super) const WRITE: u8 = 1;
    /// A close was begun.
    pub(super) const CLOSE: u8 = 2;
    /// End at once, without the close handshake.
    pub(super) const ABORT: u8 = 4;
    /// The handler is at work; silence does not count.
    pub(super) const HANDLING: u8 = 8;
    /// A message is unfinished since the last read that began one.
    pub(super) const UNFINISHED: u8 = 16;
    /// A ping is out.
    pub(super) const PINGED: u8 = 32;
    /// Listed for the end of a turn. Changed under the lock of the egress only.
    pub(super) const TOUCHED: u8 = 64;
}

pub(crate) struct Member {
    pub(crate) id: ClientId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) peer: Option<SocketAddr>,
    /// Kept after the hub has forgotten the member, so that `on_disconnect` can still read it.
    pub(super) groups: Mutex<Groups>,
    farewell: Option<Farewell>,
    rules: Arc<Rules>,
    signals: AtomicU8,
    /// Coarse milliseconds of the hub's clock when the client was last heard.
    heard: AtomicU32,
    /// The same, when the unfinished message began.
    begun: AtomicU32,
    egress: Mutex<Egress>,
}

struct Egress {
    outbox: Outbox,
    sink: Sink,
    waker: Option<Waker>,
    closing: Option<Box<CloseReason>>,
}

/// Where the outbox writes.
enum Sink {
    /// The upgrade is not complete; frames wait.
    Detached,
    /// Whoever queues a frame may write it.
    Direct(OwnedWriteHalf),
    /// Only the connection's task writes (TLS, or a stream of unknown type).
    Task,
    /// The task has ended.
    Gone,
}

/// The names that a connection is admitted under.
pub(crate) struct Names {
    pub(crate) id: ClientId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) peer: Option<SocketAddr>,
}

/// What a connection is sent unasked, and how.
pub(crate) struct Greeting {
    /// Goes out before everything else.
    pub(crate) first: Option<Frame>,
    /// Makes the message that goes before our close frame.
    pub(crate) farewell: Option<Farewell>,
    /// Whether the client negotiated compression.
    pub(crate) deflate: bool,
}

impl Member {
    pub(super) fn new(names: Names, greeting: Greeting, rules: Arc<Rules>) -> Self {
        let deflate = rules.deflate.clone().filter(|_| greeting.deflate);
        let mut outbox = Outbox::new(deflate);
        if let Some(frame) = greeting.first {
            outbox.push(frame);
        }
        let egress = Egress {
            outbox,
            sink: Sink::Detached,
            waker: None,
            closing: None,
        };
        Self {
            id: names.id,
            user: names.user,
            subprotocol: names.subprotocol,
            peer: names.peer,
            groups: Mutex::new(Groups::of(names.groups)),
            farewell: greeting.farewell,
            signals: AtomicU8::new(0),
            heard: AtomicU32::new(rules.clock.now()),
            begun: AtomicU32::new(0),
            rules,
            egress: Mutex::new(egress),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Queues a frame, or applies the policy of a full outbox. Inside a turn it leaves when the turn
    /// ends, else at once.
    pub(crate) fn push(self: &Arc<Self>, frame: Frame) -> Delivery {
        let mut egress = self.egress.lock();
        let delivery = self.enqueue(&mut egress, frame);
        self.flush_or_defer(&mut egress);
        delivery
    }

    /// Queues a run of frames, written as one where nothing waits; counts what was not delivered.
    pub(super) fn push_run(self: &Arc<Self>, run: &Run) -> Vec<(usize, Delivery)> {
        let mut egress = self.egress.lock();
        let mut written = self.write_joined(&mut egress, run);
        let mut failed = Vec::new();
        for (i, frame) in run.frames().enumerate() {
            let length = frame.wire(egress.outbox.deflate()).len();
            if written >= length {
                written -= length;
            } else if written > 0 {
                egress
                    .outbox
                    .push_rest(frame.clone(), std::mem::take(&mut written));
            } else {
                let delivery = self.enqueue(&mut egress, frame.clone());
                if !delivery.is_delivered() {
                    failed.push((i, delivery));
                }
            }
        }
        if !egress.outbox.is_empty() {
            self.flush_or_defer(&mut egress);
        }
        failed
    }

    /// Writes the run straight to the socket where that keeps the order; says how many bytes left.
    fn write_joined(&self, egress: &mut Egress, run: &Run) -> usize {
        let Sink::Direct(socket) = &egress.sink else {
            return 0;
        };
        if egress.closing.is_some() || !egress.outbox.is_empty() || self.has(signal::WRITE) {
            return 0;
        }
        // An error is met again, and dealt with, by the flush that follows.
        run.joined(egress.outbox.deflate())
            .map_or(0, |bytes| socket.try_write(bytes).unwrap_or(0))
    }

    fn enqueue(&self, egress: &mut Egress, frame: Frame) -> Delivery {
        if egress.closing.is_some() {
            return Delivery::Offline;
        }
        let Config {
            outbox_bytes: bytes,
            outbox_frames: frames,
            slow_consumer,
            ..
        } = self.rules.config;
        if !egress.outbox.fits(&frame, bytes, frames) {
            self.flush(egress, true);
        }
        while !egress.outbox.fits(&frame, bytes, frames) {
            match slow_consumer {
                SlowConsumer::DropOldest if egress.outbox.discard_oldest() => {}
                SlowConsumer::DropOldest | SlowConsumer::DropNewest => return Delivery::Refused,
                SlowConsumer::Disconnect => {
                    self.begin_close(egress, CloseReason::SlowConsumer, None);
                    return Delivery::Refused;
                }
            }
        }
        if egress.closing.is_some() {
            return Delivery::Offline;
        }
        egress.outbox.push(frame);
        Delivery::Delivered
    }

    /// Begins a close: the reason's close frame goes behind what waits, and the task is told. Later
    /// calls change nothing.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// The same with a close frame that the protocol made.
    pub(crate) fn close_with(self: &Arc<Self>, reason: CloseReason, frame: Option<Frame>) {
        let mut egress = self.egress.lock();
        self.begin_close(&mut egress, reason, frame);
        self.flush_or_defer(&mut egress);
    }

    fn begin_close(&self, egress: &mut Egress, reason: CloseReason, frame: Option<Frame>) {
        if egress.closing.is_some() {
            // Both sides may close at once; the peer's close is answered even so.
            if let Some(frame) = frame {
                egress.outbox.push(frame);
            }
            return;
        }
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::Silent) {
            egress.outbox.discard_waiting();
        }
        if let (Some(farewell), false) = (self.farewell, matches!(reason, CloseReason::Client(_))) {
            egress.outbox.push(farewell(&reason));
        }
        if let Some(frame) = frame.or_else(|| Some(Frame::close(Some(&reason.frame()?)))) {
            egress.outbox.push(frame);
        }
        egress.closing = Some(Box::new(reason));
        self.signal(egress, signal::CLOSE);
    }

    /// Ends the connection without a handshake; the task ends at its next poll.
    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut egress = self.egress.lock();
        self.begin_abort(&mut egress, reason);
    }

    fn begin_abort(&self, egress: &mut Egress, reason: CloseReason) {
        egress.closing.get_or_insert_with(|| Box::new(reason));
        self.signal(egress, signal::CLOSE | signal::ABORT);
    }

    /// Queues a pong; it leaves with the next flush, before what waits. One that still waits is
    /// written first, and replaced only where the socket takes nothing: every ping is answered, and
    /// pings without reading pile nothing up.
    pub(crate) fn pong(self: &Arc<Self>, pong: Frame) {
        let mut egress = self.egress.lock();
        if egress.closing.is_none() {
            if egress.outbox.has_pong() {
                self.flush(&mut egress, true);
            }
            egress.outbox.set_pong(pong);
            self.flush_or_defer(&mut egress);
        }
    }

    fn ping(self: &Arc<Self>) {
        let mut egress = self.egress.lock();
        if egress.closing.is_none() {
            egress.outbox.push(self.rules.ping.clone());
            self.flush(&mut egress, true);
        }
    }

    fn flush_or_defer(self: &Arc<Self>, egress: &mut Egress) {
        if self.has(signal::TOUCHED) {
            return;
        }
        if Turn::defer(self) {
            self.set(signal::TOUCHED, true);
        } else {
            self.flush(egress, true);
        }
    }

    /// The end of a turn that touched this connection.
    pub(super) fn flush_touched(&self) {
        let mut egress = self.egress.lock();
        self.set(signal::TOUCHED, false);
        self.flush(&mut egress, true);
    }

    fn flush(&self, egress: &mut Egress, wake: bool) {
        if egress.outbox.is_empty() || self.has(signal::WRITE) {
            return;
        }
        let flushed = match &egress.sink {
            Sink::Detached | Sink::Gone => return,
            Sink::Task => Ok(Flushed::Blocked),
            Sink::Direct(socket) => egress.outbox.flush(&mut |slices| match slices {
                [one] => socket.try_write(one),
                many => socket.try_write_vectored(many),
            }),
        };
        match flushed {
            Ok(Flushed::Empty) if egress.closing.is_none() => {}
            Ok(Flushed::Empty) => self.wake(egress),
            Ok(Flushed::Blocked) => {
                self.signals.fetch_or(signal::WRITE, Ordering::AcqRel);
                if wake {
                    self.wake(egress);
                }
            }
            Err(e) => self.begin_abort(egress, CloseReason::Lost(e.kind())),
        }
    }

    fn signal(&self, egress: &Egress, bits: u8) {
        self.signals.fetch_or(bits, Ordering::AcqRel);
        self.wake(egress);
    }

    #[expect(clippy::unused_self, reason = "reads as what happens to the member")]
    fn wake(&self, egress: &Egress) {
        if let Some(waker) = &egress.waker {
            waker.wake_by_ref();
        }
    }

    fn has(&self, bits: u8) -> bool {
        self.signals.load(Ordering::Acquire) & bits != 0
    }

    fn set(&self, bits: u8, on: bool) {
        if on {
            self.signals.fetch_or(bits, Ordering::AcqRel);
        } else {
            self.signals.fetch_and(!bits, Ordering::AcqRel);
        }
    }
}

/// What the connection's task does with its member.
impl Member {
    /// Gives the outbox its socket, or `None` where only the task may write.
    pub(crate) fn attach(&self, socket: Option<OwnedWriteHalf>) {
        let mut egress = self.egress.lock();
        egress.sink = socket.map_or(Sink::Task, Sink::Direct);
        self.flush(&mut egress, true);
    }

    /// Gives up socket and queue; the task has ended.
    pub(crate) fn detach(&self) {
        let mut egress = self.egress.lock();
        egress
            .closing
            .get_or_insert_with(|| Box::new(CloseReason::Lost(io::ErrorKind::NotConnected)));
        egress.sink = Sink::Gone;
        egress.outbox = Outbox::default();
        egress.waker = None;
    }

    /// Remembers whom to wake. The task calls it once: a spawned task keeps its waker.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.egress.lock().waker = Some(waker.clone());
    }

    /// Writes what waits for the task, as far as the socket takes it, and registers for the rest.
    pub(crate) fn drive(
        &self,
        cx: &mut Context<'_>,
        writer: Option<&mut (dyn AsyncWrite + Unpin + Send)>,
    ) {
        if !self.has(signal::WRITE) {
            return;
        }
        let mut egress = self.egress.lock();
        let result = match writer {
            Some(writer) => self.drive_writer(&mut egress, cx, writer),
            None => self.drive_socket(&mut egress, cx),
        };
        if let Err(e) = result {
            self.begin_abort(&mut egress, CloseReason::Lost(e.kind()));
        }
    }

    fn drive_socket(
        &self,
        egress: &mut MutexGuard<'_, Egress>,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        while self.has(signal::WRITE) {
            let Sink::Direct(socket) = &egress.sink else {
                return Ok(());
            };
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            // The peer's kernel took bytes: that is a sign of life too.
            self.heard();
            self.set(signal::WRITE, false);
            self.flush(egress, false);
        }
        Ok(())
    }

    fn drive_writer(
        &self,
        egress: &mut MutexGuard<'_, Egress>,
        cx: &mut Context<'_>,
        writer: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> io::Result<()> {
        let mut writer = Pin::new(writer);
        let flushed = egress.outbox.flush(&mut |slices| match writer
            .as_mut()
            .poll_write_vectored(cx, slices)
        {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        })?;
        if flushed == Flushed::Empty && writer.poll_flush(cx)?.is_ready() {
            self.set(signal::WRITE, false);
            self.heard();
        }
        Ok(())
    }

    /// Whether everything queued has left.
    pub(crate) fn is_drained(&self) -> bool {
        !self.has(signal::WRITE) && self.egress.lock().outbox.is_empty()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.has(signal::CLOSE)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.has(signal::ABORT)
    }

    /// Why the connection closes, once it does.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.egress.lock().closing.as_deref().cloned()
    }
}

/// Signs of life; the sweeper reads them.
impl Member {
    /// The client was heard.
    pub(crate) fn heard(&self) {
        self.heard.store(self.rules.clock.now(), Ordering::Relaxed);
    }

    /// Whether the handler is at work; silence counts only while the connection is read.
    pub(crate) fn handling(&self, on: bool) {
        if !on {
            self.heard();
        }
        self.set(signal::HANDLING, on);
    }

    /// Whether a message is unfinished. Its clock starts when it is seen first, and anew when another
    /// message was completed meanwhile.
    pub(crate) fn unfinished(&self, on: bool, anew: bool) {
        let was = self.has(signal::UNFINISHED);
        if on && (!was || anew) {
            self.begun.store(self.rules.clock.now(), Ordering::Relaxed);
        }
        if on != was {
            self.set(signal::UNFINISHED, on);
        }
    }

    /// Pings the client when it has been silent, closes it when it stays so.
    pub(super) fn sweep(self: &Arc<Self>, now: u32) {
        if self.has(signal::HANDLING | signal::CLOSE) {
            return;
        }
        let config = &self.rules.config;
        let since = |then: &AtomicU32| {
            Duration::from_millis(now.wrapping_sub(then.load(Ordering::Relaxed)).into())
        };
        let silence = since(&self.heard);
        if self.has(signal::UNFINISHED) && since(&self.begun) > config.message_timeout {
            self.close(CloseReason::Unfinished);
        } else if silence < config.ping_interval {
            if self.has(signal::PINGED) {
                self.set(signal::PINGED, false);
            }
        } else if !self.has(signal::PINGED) {
            self.set(signal::PINGED, true);
            self.ping();
        } else if silence > config.ping_interval + config.ping_timeout {
            self.close(CloseReason::Silent);
        }
    }
}
