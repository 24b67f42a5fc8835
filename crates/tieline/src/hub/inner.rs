//! A connection as the hub knows it: its names, its signals, its signs of life.
//!
//! Knows no handler and no protocol state; the connection's task owns those and is told by signals what
//! it must do. What is sent to it is in `send_side`, what its task does with it in `drive`. Its size is part
//! of what an idle connection costs: 240 bytes, so that with its counts it fills one 256-byte block.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::ClientId;
use tieline_websocket::Frame;

use super::{
    context::HubContext,
    groups::Groups,
    outbox::Outbox,
    send_side::{SendSide, WriteMode},
};
use crate::{CloseReason, FinalMessage};

/// What the connection's task must do, or is doing.
pub(super) mod signal {
    /// Frames wait for the task: the socket blocks, or only the task may write to it.
    pub(in crate::hub) const WRITE: u8 = 1;
    /// A close was begun.
    pub(in crate::hub) const CLOSE: u8 = 2;
    /// End at once, without the close handshake.
    pub(in crate::hub) const ABORT: u8 = 4;
    /// The handler is at work; silence does not count.
    pub(in crate::hub) const HANDLING: u8 = 8;
    /// A message is unfinished since the last read that began one.
    pub(in crate::hub) const UNFINISHED: u8 = 16;
    /// A ping is out.
    pub(in crate::hub) const PINGED: u8 = 32;
    /// A close was asked for; it may wait behind messages to many.
    pub(in crate::hub) const LEAVING: u8 = 64;
    /// The task's writer took nothing when it was asked last.
    pub(in crate::hub) const STALLED: u8 = 128;
}

pub(crate) struct ConnectionInner {
    pub(crate) id: ClientId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) remote_addr: Option<SocketAddr>,
    /// Kept after the hub has forgotten the member, so that `on_disconnect` can still read it.
    pub(super) groups: Mutex<Groups>,
    pub(super) final_message: Option<FinalMessage>,
    pub(super) context: Arc<HubContext>,
    pub(super) signals: AtomicU8,
    /// Which of the hub's shards holds it. It fills a gap, and saves a hash for each message.
    pub(super) shard: u16,
    /// Coarse milliseconds of the hub's clock when the client was last heard.
    heard: AtomicU32,
    /// The same, when the unfinished message began.
    begun: AtomicU32,
    pub(super) send_side: Mutex<SendSide>,
}

/// The names that a connection is admitted under.
pub(crate) struct ConnectionInfo {
    pub(crate) id: ClientId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) remote_addr: Option<SocketAddr>,
}

/// What a connection is sent unasked, and how.
pub(crate) struct ConnectionOptions {
    /// Goes out before everything else.
    pub(crate) first: Option<Frame>,
    /// Makes the message that goes before our close frame.
    pub(crate) final_message: Option<FinalMessage>,
    /// Whether the client negotiated compression.
    pub(crate) deflate: bool,
}

impl ConnectionInner {
    pub(super) fn new(
        info: ConnectionInfo,
        options: ConnectionOptions,
        shard: usize,
        context: Arc<HubContext>,
    ) -> Self {
        let deflate = context.deflate.clone().filter(|_| options.deflate);
        let mut outbox = Outbox::new(deflate);
        if let Some(frame) = options.first {
            outbox.push(frame);
        }
        let send_side = SendSide {
            outbox,
            write_mode: WriteMode::BeforeUpgrade,
            waker: None,
            closing: None,
        };
        Self {
            id: info.id,
            user: info.user,
            subprotocol: info.subprotocol,
            remote_addr: info.remote_addr,
            groups: Mutex::new(Groups::of(info.groups)),
            final_message: options.final_message,
            signals: AtomicU8::new(0),
            shard: u16::try_from(shard).expect("there are at most 65,535"),
            heard: AtomicU32::new(context.clock.now()),
            begun: AtomicU32::new(0),
            context,
            send_side: Mutex::new(send_side),
        }
    }

    pub(crate) fn context(&self) -> &HubContext {
        &self.context
    }

    /// Whether a close has begun; nothing more is queued.
    pub(crate) fn is_closing(&self) -> bool {
        self.has(signal::CLOSE)
    }

    /// Notes that a close was asked for; false if one was before.
    pub(super) fn request_close(&self) -> bool {
        let before = self.signals.fetch_or(signal::LEAVING, Ordering::AcqRel);
        before & (signal::LEAVING | signal::CLOSE) == 0
    }

    /// Whether a close was asked for; what was sent before may still be queued.
    pub(crate) fn is_close_requested(&self) -> bool {
        self.has(signal::CLOSE | signal::LEAVING)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.has(signal::ABORT)
    }

    /// Why the connection closes, once it does.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.send_side.lock().closing.as_deref().cloned()
    }

    pub(super) fn has(&self, bits: u8) -> bool {
        self.signals.load(Ordering::Acquire) & bits != 0
    }

    pub(super) fn set(&self, bits: u8, on: bool) {
        if on {
            self.signals.fetch_or(bits, Ordering::AcqRel);
        } else {
            self.signals.fetch_and(!bits, Ordering::AcqRel);
        }
    }
}

/// Signs of life; the sweeper reads them.
impl ConnectionInner {
    /// The client was heard.
    pub(crate) fn record_activity(&self) {
        self.heard
            .store(self.context.clock.now(), Ordering::Relaxed);
    }

    /// Whether the handler is at work; silence counts only while the connection is read.
    pub(crate) fn handling(&self, on: bool) {
        if !on {
            self.record_activity();
        }
        self.set(signal::HANDLING, on);
    }

    /// Whether a message is unfinished. Its clock starts when it is seen first, and anew when another
    /// message was completed meanwhile.
    pub(crate) fn unfinished(&self, on: bool, anew: bool) {
        let was = self.has(signal::UNFINISHED);
        if on && (!was || anew) {
            self.begun
                .store(self.context.clock.now(), Ordering::Relaxed);
        }
        if on != was {
            self.set(signal::UNFINISHED, on);
        }
    }

    /// Pings the client when it has been silent, closes it when it stays so.
    pub(super) fn check_liveness(self: &Arc<Self>, now: u32) {
        if self.has(signal::HANDLING | signal::CLOSE) {
            return;
        }
        let config = &self.context.config;
        let silence = since(now, &self.heard);
        if self.has(signal::UNFINISHED) && since(now, &self.begun) > config.message_timeout {
            self.close(CloseReason::Unfinished);
        } else if silence < config.ping_interval {
            if self.has(signal::PINGED) {
                self.set(signal::PINGED, false);
            }
        } else if !self.has(signal::PINGED) {
            // However long it was silent, from here it has the whole time to answer: the node itself
            // may have stood still.
            self.heard
                .store(before(now, config.ping_interval), Ordering::Relaxed);
            self.set(signal::PINGED, true);
            self.ping();
        } else if silence > config.ping_interval + config.ping_timeout {
            // The frame is for a client that lives and does not answer; a dead one is not waited for.
            self.close(CloseReason::Silent);
            self.abort(CloseReason::Silent);
        }
    }
}

/// How long ago it was by the coarse clock. What happened after `now` was read, it may be by another
/// sweeper's tick, was just now.
#[expect(
    clippy::cast_possible_wrap,
    reason = "differences are far below 24 days"
)]
fn since(now: u32, then: &AtomicU32) -> Duration {
    let passed = now.wrapping_sub(then.load(Ordering::Relaxed)) as i32;
    Duration::from_millis(passed.max(0).unsigned_abs().into())
}

/// The clock's reading a while before `now`; settings are at most a day.
#[expect(clippy::cast_possible_truncation, reason = "the clock wraps")]
fn before(now: u32, time: Duration) -> u32 {
    now.wrapping_sub(time.as_millis() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_and_its_counts_fill_one_block() {
        assert!(
            size_of::<ConnectionInner>() <= 240,
            "{} bytes",
            size_of::<ConnectionInner>()
        );
    }

    #[test]
    fn what_was_heard_after_the_sweeper_looked_was_just_now() {
        let heard = AtomicU32::new(1005);
        assert_eq!(since(1000, &heard), Duration::ZERO);
        assert_eq!(since(1010, &heard), Duration::from_millis(5));
    }

    #[test]
    fn differences_survive_the_wrap_of_the_clock() {
        let then = before(10, Duration::from_millis(30));
        assert_eq!(since(10, &AtomicU32::new(then)), Duration::from_millis(30));
    }
}
