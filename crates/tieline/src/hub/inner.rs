//! A connection as the hub knows it: who it is, its state, when the client last sent something.
//!
//! Owns what the senders, the connection's task and the keepalive share. Must not know the handler or the
//! protocol's state; the task owns those. What is sent goes through `send`, what the task writes through
//! `task_side`. Its size is part of what an idle connection costs: 240 bytes, so that with the counts of
//! its `Arc` it fills one block of 256 bytes.

use std::{
    any::Any,
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tieline_registry::{ClientId, id::DEFAULT_NAMESPACE};
use tieline_websocket::{Deflate, Frame};

use super::{
    content::Cast,
    context::HubContext,
    dialect::{DialectId, Rendered},
    extras::{Data, Extras},
    frame_batch::Reading,
    groups::Groups,
    handlers::HandlerSlot,
    outbox::{Outbox, OwnBounds},
    remote_addr::RemoteAddr,
    scope::OwnedScope,
    send_side::{self, SendGuard, SendSide},
    shared_name::SharedName,
    state::{Activity, Lifecycle, StateCell},
    tick::Listed,
};
use crate::{close::CloseReason, farewell::ChooseFarewell};

pub(crate) struct ConnectionInner {
    pub(crate) id: ClientId,
    /// Its key, as those of the groups. Set once: before the index holds the connection, or by the index, which adds
    /// it to the user's scope in the same step.
    user: OnceLock<Arc<str>>,
    pub(crate) subprotocol: Option<SharedName>,
    remote_addr: Option<RemoteAddr>,
    /// Kept after the connection has left the index, so that `on_disconnect` can still read it.
    pub(super) groups: Mutex<Groups>,
    pub(super) farewell: Option<ChooseFarewell>,
    pub(super) context: Arc<HubContext>,
    pub(super) state: StateCell,
    dialect: DialectId,
    /// Index of the hub's shard that holds it. It fills a gap, and saves a hash for each message.
    pub(super) shard: u16,
    /// Who answers requests about it.
    pub(super) handler: HandlerSlot,
    /// When the client last gave a sign of life, in milliseconds of the hub's coarse clock.
    pub(super) last_activity: AtomicU32,
    /// When the partial message began, by the same clock.
    pub(super) message_start: AtomicU32,
    pub(super) send_side: Mutex<SendSide>,
}

/// Who a connection is, with the keys of its user and groups.
pub(crate) struct ConnectionInfo {
    pub(crate) id: ClientId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) remote_addr: Option<SocketAddr>,
}

/// What the upgrade settled about the sending side.
pub(crate) struct ConnectionOptions {
    /// Sent before everything else.
    pub(crate) first_message: Option<Frame>,
    /// Chooses what the client is sent last.
    pub(crate) farewell: Option<ChooseFarewell>,
    /// Whether the client negotiated compression.
    pub(crate) deflate: bool,
    /// How much may wait for it.
    pub(crate) bounds: OwnBounds,
    pub(crate) dialect: DialectId,
    /// What the application keeps with the connection.
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// Who answers requests about it.
    pub(crate) handler: HandlerSlot,
}

impl ConnectionInner {
    pub(super) fn new(
        info: ConnectionInfo,
        options: ConnectionOptions,
        shard: usize,
        context: Arc<HubContext>,
    ) -> Self {
        let state = StateCell::new();
        state.set(Activity::TAKES_DEFLATE, options.deflate);
        let slot = context.rules.slot(options.bounds);
        let mut outbox = Outbox::new(options.deflate, slot);
        if let Some(frame) = options.first_message {
            outbox.push(frame, &context.rules);
        }
        Self {
            id: info.id,
            user: info.user.map_or_else(OnceLock::new, OnceLock::from),
            subprotocol: info.subprotocol.map(|name| context.names.share(&name)),
            remote_addr: info.remote_addr.map(RemoteAddr::from),
            groups: Mutex::new(Groups::of(info.groups)),
            farewell: options.farewell,
            state,
            dialect: options.dialect,
            handler: options.handler,
            shard: u16::try_from(shard).expect("a hub has at most 65,535 shards"),
            last_activity: AtomicU32::new(context.clock.now()),
            message_start: AtomicU32::new(0),
            context,
            send_side: Mutex::new(SendSide::new(outbox, Extras::new(options.data))),
        }
    }

    /// The key of the user.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        self.user.get()
    }

    /// For the index, with its lock held; only the first user stays.
    pub(super) fn set_user(&self, user: Arc<str>) {
        drop(self.user.set(user));
    }

    pub(super) fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote_addr.map(SocketAddr::from)
    }

    pub(crate) fn context(&self) -> &HubContext {
        &self.context
    }

    /// How messages to this client are compressed. To be done before the send side is locked.
    pub(super) fn deflate(&self) -> Option<&Deflate> {
        let settings = self.context.rules.deflate.as_ref();
        settings.filter(|_| self.state.is(Activity::TAKES_DEFLATE))
    }

    /// In which dialect the client reads.
    pub(super) fn dialect(&self) -> DialectId {
        self.dialect
    }

    /// How the client reads.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            dialects: &self.context.dialects,
            dialect: self.dialect,
            deflate: self.deflate(),
        }
    }

    /// What the client gets; `None` if it gets nothing. To be done before the send side is locked, because it
    /// calls the application.
    #[inline]
    pub(super) fn rendered(&self, cast: &Cast) -> Option<Rendered> {
        cast.rendered(&self.context.dialects, self.dialect)
    }

    /// Notes that a close was requested; false if one was before, or has begun.
    pub(super) fn request_close(&self) -> bool {
        self.state.advance(Lifecycle::CloseRequested) == Lifecycle::Open
    }

    /// Whether a close was requested; what was sent before it may still be queued.
    pub(crate) fn is_close_requested(&self) -> bool {
        self.state.reached(Lifecycle::CloseRequested)
    }

    /// Whether a close has begun; nothing more is queued.
    pub(crate) fn is_closing(&self) -> bool {
        self.state.reached(Lifecycle::Closing)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.state.reached(Lifecycle::Aborted)
    }

    /// Whether it belongs to a scope, as long as the index holds it.
    pub(super) fn belongs_to(&self, scope: &OwnedScope) -> bool {
        match scope {
            OwnedScope::Everyone => self.id.namespace() == DEFAULT_NAMESPACE,
            OwnedScope::Namespace(name) => self.id.namespace() == &**name,
            OwnedScope::User(name) => self.user() == Some(name),
            OwnedScope::Group(name) => self.groups.lock().contains(name),
        }
    }

    /// Why the connection closes, once it does.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.send_side.lock().extras.reason().cloned()
    }

    pub(super) fn data(&self) -> Option<Data> {
        self.send_side.lock().extras.data().cloned()
    }

    /// Bytes that the socket did not take yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        let activity = self.state.activity();
        if activity.contains(Activity::WRITE_PENDING) || activity.contains(Activity::STREAMING) {
            self.send_side.lock().queued().1
        } else {
            0
        }
    }

    /// The error that ended the connection, unless it was closing before.
    pub(crate) fn io_error(&self) -> Option<io::ErrorKind> {
        match self.is_aborted().then(|| self.reason())?? {
            // The end of the stream is no error, even if what waited for the client did not leave.
            CloseReason::Lost(kind) if kind != io::ErrorKind::UnexpectedEof => Some(kind),
            _ => None,
        }
    }

    /// Writes what a cork held back.
    pub(crate) fn flush(&self) {
        self.flush_locked(&mut self.send_side.lock());
    }

    /// As [`ConnectionInner::flush`], with the send side locked.
    pub(super) fn flush_locked(&self, send_side: &mut SendGuard<'_>) {
        send_side::flush(send_side, &self.context.rules, &self.state, true);
    }
}

impl Listed for ConnectionInner {
    fn flush_listed(&self) -> usize {
        let mut send_side = self.send_side.lock();
        self.state.set(Activity::LISTED, false);
        let frames = send_side.outbox.len();
        self.flush_locked(&mut send_side);
        frames
    }
}

/// Signs of life; the keepalive reads them.
impl ConnectionInner {
    /// Records a sign of life of the client.
    pub(crate) fn record_activity(&self) {
        self.last_activity
            .store(self.context.clock.now(), Ordering::Relaxed);
    }

    /// Notes that a callback waits, or has ended. Silence counts only while the connection is read.
    pub(crate) fn set_handler_running(&self, running: bool) {
        if !running {
            self.record_activity();
        }
        self.state.set(Activity::HANDLER_RUNNING, running);
    }

    /// Notes whether reading pauses. Meanwhile only progress in writing is a sign of life, and a partial
    /// message cannot be completed: both times start afresh when it ends.
    pub(super) fn set_read_paused(&self, paused: bool) {
        if !paused {
            self.record_activity();
            self.message_start
                .store(self.context.clock.now(), Ordering::Relaxed);
        }
        self.state.set(Activity::READ_PAUSED, paused);
    }

    /// Notes whether a message is partial. Its clock starts when this is first seen, and restarts if
    /// another message was completed meanwhile.
    pub(crate) fn set_message_partial(&self, partial: bool, restart: bool) {
        let was_partial = self.state.is(Activity::MESSAGE_PARTIAL);
        if partial && (!was_partial || restart) {
            self.message_start
                .store(self.context.clock.now(), Ordering::Relaxed);
        }
        if partial != was_partial {
            self.state.set(Activity::MESSAGE_PARTIAL, partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_and_its_counts_fill_one_block() {
        assert!(
            size_of::<ConnectionInner>() <= 240,
            "{} bytes",
            size_of::<ConnectionInner>()
        );
    }
}
