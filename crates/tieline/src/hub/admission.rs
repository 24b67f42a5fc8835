//! Admission: how a connection of a cluster node becomes reachable.
//!
//! Owns the step from claimant to member of the hub, and what becomes of the operations that wait for it.
//! Must not know the registry: others decide, by [`Claimant::admit`] and [`Hub::withdraw`], in whatever
//! order; the first one counts. Invariants: before its admission a connection has no id, user or group in
//! the hub, and an older connection with its id keeps them; what waits for it is in its outbox before
//! anything that is sent after its admission; every operation gets its outcome, outside of all locks.

use std::{hash::BuildHasher, sync::Arc};

use super::{
    claimants::{Room, WaitingOp},
    client_op::{ClientOp, OpOutcome},
    content::Cast,
    core::Hub,
    guard::{ConnectionGuard, RegisterError},
    index::{Inserted, ShardIndex},
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
    namespace,
    shard::Shard,
};
use crate::{close::CloseReason, config::Duplicate, delivery::Delivery, receipt::Receipt};

/// A connection that waits for its admission. Dropping it withdraws it.
pub(crate) struct Claimant(Option<ConnectionGuard>);

/// A newer connection has the id.
#[derive(Debug)]
pub(crate) struct Superseded;

/// For the upgrade.
impl Hub {
    /// Registers a connection that becomes reachable by [`Claimant::admit`]. Until then it only counts
    /// against the limit of connections.
    pub(crate) fn register_claimant(
        &self,
        info: ConnectionInfo,
        options: ConnectionOptions,
    ) -> Result<Claimant, RegisterError> {
        let guard = self.reserve(info, options)?;
        let conn = guard.connection().inner();
        let mut index = self.shard(conn).index.lock();
        if self.config().duplicate == Duplicate::Reject
            && (index.claimants.has_live(conn.id.key())
                || self.open_with_id_of(conn, &index).is_some())
        {
            drop(index);
            return Err(RegisterError::Duplicate);
        }
        let superseded = index.claimants.enter(conn);
        // Its peers know its user and groups by the time of its admission.
        index.announce(conn);
        if let Some(superseded) = superseded {
            index.retract(&superseded);
        }
        // What waited for another claimant may have been rendered for another dialect.
        let unrendered = index.claimants.unrendered(conn.id.key());
        drop(index);
        unrendered.iter().for_each(|cast| prepare(conn, cast));
        self.inner.claimants.enter(&conn.id);
        Ok(Claimant(Some(guard)))
    }
}

impl Claimant {
    pub(crate) fn inner(&self) -> &Arc<ConnectionInner> {
        self.guard().connection().inner()
    }

    /// Makes the connection reachable: it takes its id, user and groups, an older connection with the id is
    /// closed, and what waited goes into its outbox.
    ///
    /// # Errors
    /// If it was withdrawn, or a newer connection has arrived.
    pub(crate) fn admit(mut self) -> Result<ConnectionGuard, Superseded> {
        let guard = self.guard();
        let (hub, conn) = (guard.connection().hub(), guard.connection().inner());
        let mut index = hub.shard(conn).index.lock();
        let mut waiting = index.claimants.admit(conn).ok_or(Superseded)?;
        let ops = std::mem::take(&mut waiting.ops);
        let inserted = index.insert(conn, Duplicate::Replace);
        index.retract(conn);
        let limit = hub.config().groups_per_connection;
        let mut close = None;
        let mut carry_out = |WaitingOp { op, done }| {
            let outcome = match op {
                ClientOp::Close(frame) => {
                    // Requested now, so that nothing follows it; begun without the lock, because it calls
                    // the application.
                    close.get_or_insert(CloseReason::Application(frame));
                    conn.request_close();
                    OpOutcome::Sent(Delivery::Delivered)
                }
                op => carry_out(&mut index, conn, op, limit),
            };
            (outcome, done)
        };
        let outcomes: Vec<_> = ops.into_iter().map(&mut carry_out).collect();
        drop(index);
        if let Some(reason) = close {
            conn.close(reason);
        }
        if let Inserted::Replaced(older) = inserted {
            hub.close_replaced(&older);
        }
        for (outcome, done) in outcomes {
            done(outcome);
        }
        drop(waiting);
        hub.inner.claimants.leave(&conn.id);
        Ok(self.0.take().expect("it is taken only here and in drop"))
    }

    fn guard(&self) -> &ConnectionGuard {
        self.0.as_ref().expect("it is taken only at the end")
    }
}

impl Drop for Claimant {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else {
            return;
        };
        let hub = guard.connection().hub().clone();
        let conn = Arc::clone(guard.connection().inner());
        hub.inner.claimants.leave(&conn.id);
        // First, so that its id is released before what waits looks for it elsewhere.
        drop(guard);
        hub.withdraw(&conn);
    }
}

/// For who decides.
impl Hub {
    /// Calls `f`, which claims the id of a claimant; false if it is no claimant any more. Connects and
    /// disconnects of that id wait meanwhile, so `f` must not call the hub.
    pub(crate) fn begin_claim(&self, conn: &Arc<ConnectionInner>, f: impl FnOnce()) -> bool {
        let mut index = self.shard(conn).index.lock();
        let is_claimant = index.claimants.claim(conn);
        if is_claimant {
            f();
        }
        is_claimant
    }

    /// Decides that a claimant is not admitted; false if it is no claimant any more. What waits for it gets
    /// [`OpOutcome::NotAdmitted`]. If its claim was sent, an older connection with the id is closed: the
    /// claim of that one was given up for it.
    pub(crate) fn withdraw(&self, conn: &Arc<ConnectionInner>) -> bool {
        let shard = self.shard(conn);
        let mut index = shard.index.lock();
        let Some(is_claimed) = index.claimants.withdraw(conn) else {
            return false;
        };
        index.retract(conn);
        let older = self.open_with_id_of(conn, &index).filter(|_| is_claimed);
        drop(index);
        if let Some(older) = older {
            self.close_connection(&older, CloseReason::Replaced);
        }
        loop {
            let Some(waiting) = shard.index.lock().claimants.hand_back(conn) else {
                return true;
            };
            for WaitingOp { done, .. } in waiting.ops {
                done(OpOutcome::NotAdmitted);
            }
        }
    }

    /// The open connection that has the id of a claimant.
    fn open_with_id_of(
        &self,
        claimant: &ConnectionInner,
        index: &ShardIndex,
    ) -> Option<Arc<ConnectionInner>> {
        let hash = self.inner.hasher.hash_one(claimant.id.key());
        index.find(hash, claimant.id.key()).filter(is_open)
    }
}

/// For who sends.
impl Hub {
    /// Waits until no connection with this id waits for its admission; `None` if none does.
    pub(crate) fn decision(&self, id: &str) -> Option<impl Future<Output = ()> + use<>> {
        let hash = self.inner.hasher.hash_one(id);
        let mut index = self.inner.shards[self.shard_of(hash)].index.lock();
        let decision = index.claimants.decision(id)?;
        Some(async { drop(decision.await) })
    }

    /// Sends to a client that has no open connection here, if one waits for its admission.
    pub(super) fn emit_when_admitted(&self, id: &str, cast: Cast) -> Receipt {
        let (sender, receipt) = Receipt::channel();
        self.when_admitted(id, ClientOp::Emit(cast), |outcome| {
            sender.send(match outcome {
                OpOutcome::Sent(delivery) => delivery,
                _ => Delivery::Offline,
            });
        });
        receipt
    }

    /// Carries out an operation on a client once its connection is admitted, or at once if it has an open
    /// connection, and calls `done` with the outcome, now or later. `done` must be quick.
    pub(crate) fn when_admitted(
        &self,
        id: &str,
        op: ClientOp,
        done: impl FnOnce(OpOutcome) + Send + 'static,
    ) {
        let hash = self.inner.hasher.hash_one(id);
        let shard = &self.inner.shards[self.shard_of(hash)];
        let mut index = loop {
            if let ClientOp::Emit(cast) = &op {
                self.prepare_for_claimant(shard, id, cast);
            }
            let index = shard.index.lock();
            // If another claimant has come, it may read in another dialect.
            if index.claimants.can_carry_out(id, &op) {
                break index;
            }
        };
        if let Some(conn) = index.find(hash, id).filter(is_open) {
            drop(index);
            return self.carry_out_now(&conn, op, done);
        }
        let outcome = match index.claimants.room(id, op.bytes()) {
            Room::Available => {
                let done = Box::new(done);
                return index.claimants.wait(id, WaitingOp { op, done });
            }
            Room::Full => OpOutcome::Sent(Delivery::QueueFull),
            Room::NoClaimant => OpOutcome::NotAdmitted,
        };
        drop(index);
        done(outcome);
    }

    /// Renders and compresses a message that is about to wait: at the admission a lock is held, which every
    /// message needs.
    fn prepare_for_claimant(&self, shard: &Shard, id: &str, cast: &Cast) {
        if matches!(cast, Cast::Frame(_)) && self.config().compression.is_none() {
            return;
        }
        let claimant = shard.index.lock().claimants.find(id).map(Arc::clone);
        if let Some(conn) = claimant {
            prepare(&conn, cast);
        }
    }

    fn carry_out_now(
        &self,
        conn: &Arc<ConnectionInner>,
        op: ClientOp,
        done: impl FnOnce(OpOutcome) + Send + 'static,
    ) {
        match op {
            ClientOp::Emit(cast) => {
                let receipt = self.emit_to(conn, cast);
                receipt.on_outcome(|delivery| done(OpOutcome::Sent(delivery)));
            }
            ClientOp::Close(frame) => {
                self.close_connection(conn, CloseReason::Application(frame));
                done(OpOutcome::Sent(Delivery::Delivered));
            }
            ClientOp::Join(_) | ClientOp::Leave(_) => {
                let limit = self.config().groups_per_connection;
                let outcome = carry_out(&mut self.shard(conn).index.lock(), conn, op, limit);
                done(outcome);
            }
            ClientOp::Ask(_) => done(OpOutcome::Here),
        }
    }
}

/// Carries out an operation on a connection to which nothing else is on its way.
fn carry_out(
    index: &mut ShardIndex,
    conn: &Arc<ConnectionInner>,
    op: ClientOp,
    group_limit: usize,
) -> OpOutcome {
    match op {
        ClientOp::Emit(_) if !is_open(conn) => OpOutcome::Sent(Delivery::Offline),
        ClientOp::Emit(cast) => OpOutcome::Sent(conn.send(cast)),
        ClientOp::Close(frame) => {
            conn.close(CloseReason::Application(frame));
            OpOutcome::Sent(Delivery::Delivered)
        }
        ClientOp::Join(_) | ClientOp::Leave(_) if !index.contains(conn) => OpOutcome::Closed,
        ClientOp::Join(group) if namespace::check(&group).is_err() => OpOutcome::InvalidName,
        ClientOp::Join(group) => match index.join_within(conn, group, group_limit) {
            Some(true) => OpOutcome::Changed,
            Some(false) => OpOutcome::Unchanged,
            None => OpOutcome::TooManyGroups,
        },
        ClientOp::Leave(group) if index.leave(conn, &group) => OpOutcome::Changed,
        ClientOp::Leave(_) => OpOutcome::Unchanged,
        // Not here: a lock is held.
        ClientOp::Ask(_) => OpOutcome::Here,
    }
}

/// Renders and compresses a message for a connection.
fn prepare(conn: &ConnectionInner, cast: &Cast) {
    if let Some(rendered) = conn.rendered(cast) {
        conn.compress(&rendered.frame);
    }
}

fn is_open(conn: &Arc<ConnectionInner>) -> bool {
    !conn.is_close_requested()
}

#[cfg(test)]
mod tests;
