//! Connections that wait for their admission, and what waits with them.
//!
//! Owns one claimant for each id, and the operations that came for it, in order and within bounds. Must not
//! know who decides about the admission, nor how an operation is carried out. Invariants: a claimant leaves
//! by admission or by withdrawal, once; while operations are being handed back after a withdrawal, further
//! ones still queue behind them, so that none overtakes another.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use tieline_registry::ClientId;
use tokio::sync::oneshot;

use super::{
    client_op::{ClientOp, OpOutcome},
    content::Cast,
    inner::ConnectionInner,
};

/// Operations that wait for one claimant, at most: they are carried out under the lock of the shard.
const MAX_WAITING: usize = 1024;

/// Ids that an empty map keeps room for.
const KEPT_CAPACITY: usize = 64;

/// The claimants of a shard.
#[derive(Default)]
pub(super) struct Claimants(HashMap<ClientId, Claimant>);

struct Claimant {
    conn: Arc<ConnectionInner>,
    /// Whether its claim was sent, or that of a claimant that it has superseded.
    is_claimed: bool,
    /// It will not be admitted; what waits is being handed back.
    is_withdrawn: bool,
    waiting: Waiting,
}

/// What waits for a claimant.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) ops: Vec<WaitingOp>,
    /// Dropped once it is decided whether the claimant is admitted.
    undecided: Vec<oneshot::Sender<Infallible>>,
    bytes: usize,
}

/// An operation that waits for an admission.
pub(super) struct WaitingOp {
    pub(super) op: ClientOp,
    /// Gets the outcome, once.
    pub(super) done: Box<dyn FnOnce(OpOutcome) + Send>,
}

/// Whether an operation can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Available,
    Full,
    /// No claimant has this id.
    NoClaimant,
}

impl Claimants {
    /// Whether an id has a claimant.
    pub(super) fn contains(&self, id: &str) -> bool {
        !self.0.is_empty() && self.0.contains_key(id)
    }

    /// The claimant of an id.
    pub(super) fn find(&self, id: &str) -> Option<&Arc<ConnectionInner>> {
        self.0.get(id).map(|claimant| &claimant.conn)
    }

    /// Whether a connection with this id may be admitted.
    pub(super) fn has_live(&self, id: &str) -> bool {
        self.0
            .get(id)
            .is_some_and(|claimant| !claimant.is_withdrawn)
    }

    /// Adds a claimant. Returns the one that it supersedes, which will not be admitted; what waited for
    /// that one waits for the new one.
    pub(super) fn enter(&mut self, conn: &Arc<ConnectionInner>) -> Option<Arc<ConnectionInner>> {
        let Some(claimant) = self.0.get_mut(conn.id.key()) else {
            let claimant = Claimant {
                conn: Arc::clone(conn),
                is_claimed: false,
                is_withdrawn: false,
                waiting: Waiting::default(),
            };
            self.0.insert(conn.id.clone(), claimant);
            return None;
        };
        let superseded = std::mem::replace(&mut claimant.conn, Arc::clone(conn));
        let was_withdrawn = std::mem::replace(&mut claimant.is_withdrawn, false);
        (!was_withdrawn).then_some(superseded)
    }

    /// Notes that the claim of a claimant is sent; false if this connection is no claimant any more.
    pub(super) fn claim(&mut self, conn: &Arc<ConnectionInner>) -> bool {
        let claimant = self.live(conn);
        claimant.is_some_and(|claimant| {
            claimant.is_claimed = true;
            true
        })
    }

    /// Whether one more operation of this size can wait for the claimant of an id. One always fits.
    pub(super) fn room(&self, id: &str, bytes: usize) -> Room {
        let Some(claimant) = self.0.get(id) else {
            return Room::NoClaimant;
        };
        // Half of the outbox, so that it takes everything when the claimant is admitted.
        let Waiting {
            ops,
            bytes: waiting,
            ..
        } = &claimant.waiting;
        let (conn, bytes) = (&claimant.conn, waiting + bytes);
        let holds = || {
            let outbox = &conn.send_side.lock().outbox;
            outbox.half_holds(ops.len(), bytes, &conn.context.rules)
        };
        if ops.is_empty() || ops.len() < MAX_WAITING && holds() {
            Room::Available
        } else {
            Room::Full
        }
    }

    /// Whether an operation needs no call of the application to be carried out on the claimant of an id, if there
    /// is one.
    pub(super) fn can_carry_out(&self, id: &str, op: &ClientOp) -> bool {
        match (self.0.get(id), op) {
            (Some(claimant), ClientOp::Emit(cast)) => cast.is_rendered(claimant.conn.dialect()),
            _ => true,
        }
    }

    /// The messages that wait for the claimant of an id and were not rendered for its dialect.
    pub(super) fn unrendered(&self, id: &str) -> Vec<Cast> {
        let Some(claimant) = self.0.get(id) else {
            return Vec::new();
        };
        let casts = claimant.waiting.ops.iter().filter_map(|op| match &op.op {
            ClientOp::Emit(cast) => Some(cast),
            _ => None,
        });
        let dialect = claimant.conn.dialect();
        let unrendered = casts.filter(|cast| !cast.is_rendered(dialect));
        unrendered.cloned().collect()
    }

    /// Adds an operation for which there is [`room`](Self::room).
    pub(super) fn wait(&mut self, id: &str, op: WaitingOp) {
        if let Some(claimant) = self.0.get_mut(id) {
            claimant.waiting.bytes += op.op.bytes();
            claimant.waiting.ops.push(op);
        }
    }

    /// What ends once it is decided whether the claimant of an id, or one that supersedes it, is admitted;
    /// `None` without a claimant.
    pub(super) fn decision(&mut self, id: &str) -> Option<oneshot::Receiver<Infallible>> {
        let claimant = self.0.get_mut(id)?;
        let (sender, decision) = oneshot::channel();
        claimant.waiting.undecided.push(sender);
        Some(decision)
    }

    /// Removes a claimant to admit it, with what waits for it; `None` if it is no claimant any more.
    pub(super) fn admit(&mut self, conn: &Arc<ConnectionInner>) -> Option<Waiting> {
        self.live(conn)?;
        self.remove(conn.id.key()).map(|claimant| claimant.waiting)
    }

    /// Decides that a claimant is not admitted. Whether its claim was sent; `None` if it is no claimant any
    /// more. The caller hands back what waits: see [`Claimants::hand_back`].
    pub(super) fn withdraw(&mut self, conn: &Arc<ConnectionInner>) -> Option<bool> {
        let claimant = self.live(conn)?;
        claimant.is_withdrawn = true;
        Some(claimant.is_claimed)
    }

    /// What waits for a withdrawn claimant, to be handed back without the lock. `None` once nothing waits
    /// and the claimant is removed, or once a newer one has superseded it.
    pub(super) fn hand_back(&mut self, conn: &Arc<ConnectionInner>) -> Option<Waiting> {
        let claimant = self.0.get_mut(conn.id.key())?;
        if !claimant.is_withdrawn || !Arc::ptr_eq(&claimant.conn, conn) {
            return None;
        }
        let waiting = std::mem::take(&mut claimant.waiting);
        if waiting.ops.is_empty() && waiting.undecided.is_empty() {
            self.remove(conn.id.key());
            return None;
        }
        Some(waiting)
    }

    fn live(&mut self, conn: &Arc<ConnectionInner>) -> Option<&mut Claimant> {
        let claimant = self.0.get_mut(conn.id.key())?;
        (!claimant.is_withdrawn && Arc::ptr_eq(&claimant.conn, conn)).then_some(claimant)
    }

    fn remove(&mut self, id: &str) -> Option<Claimant> {
        let claimant = self.0.remove(id);
        if self.0.is_empty() && self.0.capacity() > KEPT_CAPACITY {
            self.0 = HashMap::new();
        }
        claimant
    }
}
