//! Sending to many: the connections of a scope, without those left out.
//!
//! Owns the choice between sending inline and queueing. Must not know the public handle of a connection.

use std::{hash::BuildHasher, sync::Arc};

use super::{
    batch::QueuedCast,
    content::{Cast, Content},
    context::HubContext,
    core::Hub,
    dialect::DialectId,
    filter::Filter,
    inner::ConnectionInner,
    members::Members,
    scope::{ExcludedIds, Hashed, Scope},
};
use crate::{
    delivery::{Delivery, Reached},
    receipt::{OutcomeSum, Receipt},
};

/// The most receivers of a message that its caller serves itself, in all shards together: waking a worker
/// would cost as much as the sends.
const INLINE_RECEIVERS: usize = 32;

/// Who of a scope is left out.
#[derive(Clone, Copy)]
struct LeftOut<'a> {
    ids: Option<&'a ExcludedIds>,
    filter: Option<&'a Arc<Filter>>,
}

impl Hub {
    /// Sends what a call of the application was given to a scope.
    pub(super) fn multicast(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        content: Content,
    ) -> Receipt<Reached> {
        self.send_to_scope(scope, except, &content.into_multicast(scope, None))
    }

    /// Sends to a scope: at once if it has few receivers and nothing is pending, else through the queues.
    pub(crate) fn send_to_scope<T>(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
    ) -> Receipt<T>
    where
        T: From<Reached> + Send + 'static,
    {
        let filter = match self.filter_of(cast) {
            Ok(filter) => filter,
            Err(refused) => return Receipt::counted(refused),
        };
        let left_out = LeftOut {
            ids: except,
            filter: filter.as_ref(),
        };
        let (scope, cast) = (Hashed::new(scope, &self.inner.hasher), cast.unfiltered());
        let (reached, shards) = self.send_inline(scope, left_out, cast);
        if shards.is_empty() {
            return Receipt::counted(reached);
        }
        let (sum, receipt) = OutcomeSum::new(shards.len(), reached);
        self.queue_in(&shards, scope, left_out, cast, &sum);
        receipt
    }

    /// As [`Hub::send_to_scope`], but calls `callback` with the outcome, now or later; never if the hub
    /// ends first.
    #[cfg(feature = "cluster")]
    pub(crate) fn send_with_callback(
        &self,
        scope: Scope<'_>,
        except: Option<&ExcludedIds>,
        cast: &Cast,
        callback: impl FnOnce(Reached) + Send + 'static,
    ) {
        let filter = match self.filter_of(cast) {
            Ok(filter) => filter,
            Err(refused) => return callback(refused),
        };
        let left_out = LeftOut {
            ids: except,
            filter: filter.as_ref(),
        };
        let (scope, cast) = (Hashed::new(scope, &self.inner.hasher), cast.unfiltered());
        let (reached, shards) = self.send_inline(scope, left_out, cast);
        if shards.is_empty() {
            return callback(reached);
        }
        let sum = OutcomeSum::with_callback(shards.len(), reached, Box::new(callback));
        self.queue_in(&shards, scope, left_out, cast, &sum);
    }

    /// Delivers at once if there are few receivers, in the shards where nothing is pending. Returns the
    /// shards where the message has to be queued.
    fn send_inline(
        &self,
        scope: Hashed<Scope<'_>>,
        left_out: LeftOut<'_>,
        cast: &Cast,
    ) -> (Reached, Vec<usize>) {
        let mut reached = Reached::default();
        let (mut few, mut pending) = (FewReceivers::default(), Vec::new());
        for i in self.inner.maps.shards_of(scope) {
            let shard = &self.inner.shards[i];
            let index = shard.index.lock();
            let Some(members) = index.members(scope) else {
                continue;
            };
            if !shard.queue.is_idle() {
                pending.push(i);
            } else if !few.add(members) {
                drop(index);
                return (reached, self.inner.maps.shards_of(scope).collect());
            }
        }
        if few.len == 0 {
            return (reached, pending);
        }
        let tick = self.inner.context.ticks.current();
        for conn in few.iter() {
            if left_out.contains(conn) {
                continue;
            }
            if let Some(rendered) = conn.rendered(cast) {
                reached.record(conn.send_one_of_many(rendered, tick));
            }
        }
        (reached, pending)
    }

    /// Queues in these shards; each adds its part to the sum.
    fn queue_in(
        &self,
        shards: &[usize],
        scope: Hashed<Scope<'_>>,
        left_out: LeftOut<'_>,
        cast: &Cast,
        sum: &Arc<OutcomeSum>,
    ) {
        let ids = left_out.ids.into_iter().flat_map(|ids| ids.iter());
        let hashed = ids.map(|id| {
            let hash = self.inner.hasher.hash_one(&**id);
            (self.shard_of(hash), hash, &**id)
        });
        let hashed: Vec<_> = hashed.collect();
        self.compress_for(shards, scope, cast);
        for &shard in shards {
            let here = hashed.iter().filter(|(of, ..)| *of == shard);
            let excluded = here.map(|&(_, hash, id)| (hash, id));
            let message = QueuedCast {
                cast: cast.clone(),
                filter: left_out.filter.cloned(),
                sum: Arc::clone(sum),
            };
            let refused = self.inner.shards[shard].queue_broadcast(scope, excluded, message);
            let counters = self.inner.context.counters();
            counters.deliveries(Delivery::QueueFull, refused);
        }
    }
}

/// Members of a scope, in each shard, that are asked whether they take compressed messages.
const SAMPLE: usize = 32;

/// Compression.
impl Hub {
    /// Compresses a message once, here, if it looks as if a receiver wanted that: the workers of several
    /// shards would otherwise do it at the same time. Of a note, what the first of them reads.
    fn compress_for(&self, shards: &[usize], scope: Hashed<Scope<'_>>, cast: &Cast) {
        let HubContext {
            rules, dialects, ..
        } = &*self.inner.context;
        let Some(deflate) = &rules.deflate else {
            return;
        };
        let dialect = |&shard: &usize| {
            let index = self.inner.shards[shard].index.lock();
            let members = index.members(scope).map(Members::iter);
            let mut sample = members.into_iter().flatten().take(SAMPLE);
            let found = sample.find(|conn| conn.deflate().is_some());
            found.map(|conn| conn.dialect())
        };
        // The index is not locked any more where the application renders.
        let dialect: Option<DialectId> = shards.iter().find_map(dialect);
        if let Some(frame) = dialect.and_then(|dialect| cast.frame(dialects, dialect)) {
            frame.encoded(Some(deflate));
        }
    }
}

impl LeftOut<'_> {
    fn contains(&self, conn: &Arc<ConnectionInner>) -> bool {
        self.ids
            .is_some_and(|ids| ids.iter().any(|id| **id == *conn.id.key()))
            || self.filter.is_some_and(|filter| !filter.admits(conn))
    }
}

/// The receivers of a message that its caller serves. They are copied, because the lock of a shard is not
/// held while sockets are written to; to the stack, because this is the path of most messages.
#[derive(Default)]
struct FewReceivers {
    conns: [Option<Arc<ConnectionInner>>; INLINE_RECEIVERS],
    len: usize,
}

impl FewReceivers {
    /// Adds the members of a shard; false if that are too many.
    fn add(&mut self, members: &Members<ConnectionInner>) -> bool {
        let rest = &mut self.conns[self.len..];
        if members.len() > rest.len() {
            return false;
        }
        for (place, conn) in rest.iter_mut().zip(members.iter()) {
            *place = Some(Arc::clone(conn));
        }
        self.len += members.len();
        true
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<ConnectionInner>> {
        self.conns[..self.len].iter().flatten()
    }
}
