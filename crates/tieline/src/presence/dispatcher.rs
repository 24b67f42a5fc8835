//! What a dispatcher is told: the transitions of all groups, by one node for the cluster.

use std::{error::Error, fmt, future::Future, sync::Arc};

use tieline_registry::Position;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Why a [`Dispatcher`] could not take events.
pub type DispatchError = Box<dyn Error + Send + Sync>;

/// Takes the transitions of all groups, as for webhooks: the cluster has one at a time, whichever node that is.
///
/// Events come in the order of the registry. None is left out; some may come twice, if the node that dispatched them
/// died or stood still before it said so: drop what is not after the last [version](PresenceEvent::version) that you have
/// seen, or let the receiver bear it.
///
/// ```
/// use tieline::{DispatchError, Dispatcher, PresenceEvent};
///
/// struct Log;
///
/// impl Dispatcher for Log {
///     async fn dispatch(&self, events: &[PresenceEvent]) -> Result<(), DispatchError> {
///         for event in events {
///             println!("{event:?}");
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Dispatcher: Send + Sync + 'static {
    /// Takes events, one to 512. After an error, the same come again, after a pause of up to five seconds.
    fn dispatch(
        &self,
        events: &[PresenceEvent],
    ) -> impl Future<Output = Result<(), DispatchError>> + Send;

    /// How far it is done, `taken` being the last event that it was given. If this node dies, the next dispatcher
    /// begins after that, so whatever takes longer than [`dispatch`](Self::dispatch), as a request in the background,
    /// comes again. Asked after each call and every 50 ms. `None` if it is done with nothing yet.
    ///
    /// By default, it is done with what it was given. A position that is too far behind leaves the journal, which
    /// keeps about 65,536 events; then the next dispatcher begins with a [reset](PresenceEvent::Reset).
    fn done(&self, taken: &Position) -> Option<Position> {
        Some(taken.clone())
    }

    /// The node has lost its place, or the registry: what it is not done with comes again, to this dispatcher or to that
    /// of another node, which may have seen more by now. Whoever works in the background drops it.
    fn handed_over(&self) {}
}

/// A transition of any group of any namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresenceEvent {
    /// What came before may be incomplete: the cluster is new, or the registry has lost data. Ask
    /// [`Presence::occupied`](crate::Presence::occupied) which groups are occupied now.
    Reset {
        /// The place from which events are complete again.
        version: Position,
    },
    /// A user has come into a group: the first connection in the cluster.
    Joined {
        /// The namespace of the group.
        namespace: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The information about it.
        info: Arc<str>,
        /// How many members the group has from then on; 1 if it was empty.
        members: u64,
        /// The place in the order of all events.
        version: Position,
    },
    /// A user has gone from a group: the last connection in the cluster.
    Left {
        /// The namespace of the group.
        namespace: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// How many members the group has from then on; 0 if it is empty.
        members: u64,
        /// The place in the order of all events.
        version: Position,
    },
    /// The information about a member has changed.
    Changed {
        /// The namespace of the group.
        namespace: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The information about it.
        info: Arc<str>,
        /// The place in the order of all events.
        version: Position,
    },
    /// A group for which somebody calls [`Presence::occupy`](crate::Presence::occupy) is occupied: by the first
    /// connection in the cluster.
    Occupied {
        /// The namespace of the group.
        namespace: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// The place in the order of all events.
        version: Position,
    },
    /// Such a group is vacated: its last connection in the cluster is gone.
    Vacated {
        /// The namespace of the group.
        namespace: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// The place in the order of all events.
        version: Position,
    },
}

impl PresenceEvent {
    /// The place in the order of all events.
    pub fn version(&self) -> &Position {
        match self {
            Self::Reset { version }
            | Self::Joined { version, .. }
            | Self::Left { version, .. }
            | Self::Changed { version, .. }
            | Self::Occupied { version, .. }
            | Self::Vacated { version, .. } => version,
        }
    }
}

/// Dispatches, or waits to take over, until it is dropped. From [`Presence::dispatch`](crate::Presence::dispatch).
///
/// The end in order: [`stop_taking`](Self::stop_taking), wait until the dispatcher has nothing under way,
/// [`end`](Self::end), and [`Presence::drain`](crate::Presence::drain), so that another node takes over at once, behind
/// what was done here.
pub struct Dispatching {
    pub(super) mode: watch::Sender<Mode>,
    pub(super) task: AbortOnDropHandle<()>,
}

/// What a dispatching task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Taking,
    /// It notes how far the dispatcher is done with what it has.
    Stopped,
    Ended,
}

impl Dispatching {
    /// Hands no more events on; a call of [`Dispatcher::dispatch`] that is under way is completed. How far the dispatcher
    /// is [done](Dispatcher::done) is noted as before, and this node keeps the place.
    pub fn stop_taking(&self) {
        self.mode.send_replace(Mode::Stopped);
    }

    /// Ends it, after how far the dispatcher is done was noted once more: one request to the registry. What it is not
    /// done with comes to the next one.
    pub async fn end(self) {
        self.mode.send_replace(Mode::Ended);
        // An error would be that of a task which has panicked, and was reported.
        drop(self.task.await);
    }
}

impl fmt::Debug for Dispatching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatching").finish_non_exhaustive()
    }
}
