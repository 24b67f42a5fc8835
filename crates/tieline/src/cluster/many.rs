//! One message to many ids: one request for each node that has some of them.
//!
//! Owns how ids are gathered into requests. Must not know the order of messages: for the ordering queue, each id is a
//! message of its own, which comes back alone if its client has left. Invariant: an id whose route is not cached, or
//! that has to wait, goes its own way, as by an emit.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tieline_registry::{MAX_NAME, id};

use super::{
    ordering::Started,
    outcome::ResultSender,
    pending::{ManyUnicasts, PendingReply, Route, Unicast},
    router::MessageRouter,
    unicast::{LookupReason, LookupResult},
    wire_content::WireContent,
};
use crate::{
    deliveries::{Deliveries, DeliveriesBuilder},
    delivery::Delivery,
    hub::{Cast, ClientOp, Namespace, check_key},
    link::{NamespacedRef, RequestKind, proto},
    receipt::Receipt,
};

/// Ids of one request, and their bytes: it holds up no other request for long.
const MAX_IDS: usize = 1024;
const MAX_ID_BYTES: usize = 64 << 10;

/// Messages that nothing is before, for one node.
#[derive(Default)]
struct Batch {
    unicasts: Vec<(Route, Box<Unicast>)>,
    bytes: usize,
}

impl MessageRouter {
    /// Sends to each of these ids of a namespace.
    pub(super) fn emit_many(
        self: &Arc<Self>,
        names: &Namespace,
        ids: &[Arc<str>],
        cast: &Cast,
    ) -> Receipt<Deliveries> {
        let mut builder = DeliveriesBuilder::default();
        let mut batches: HashMap<Arc<str>, Batch> = HashMap::new();
        for id in ids {
            let key = &names.shared_key(id);
            if self.emit_here(id, key, cast, &mut builder) {
                continue;
            }
            let reply = ResultSender::Part(builder.expect(Arc::clone(id)));
            let op = ClientOp::Emit(cast.clone());
            let hash = self.routes.hash(key);
            let unicast = Unicast::new(key, hash, op, reply);
            let cached = self.routes.get(hash, key).map(LookupResult::Cached);
            match (self.ordering.start(unicast, cached.as_ref()), cached) {
                (Started::Forward(unicast), Some(LookupResult::Cached(route)))
                    if route.peer.link.takes_many(cast.len() + MAX_ID_BYTES) =>
                {
                    let batch = batches.entry(Arc::clone(&route.peer.address)).or_default();
                    batch.bytes += unicast.id.len();
                    batch.unicasts.push((route, unicast));
                    if batch.unicasts.len() == MAX_IDS || batch.bytes >= MAX_ID_BYTES - MAX_NAME {
                        self.forward_many(names.name(), std::mem::take(batch), cast);
                    }
                }
                (started, cached) => self.on_started(started, cached),
            }
        }
        for batch in batches.into_values() {
            self.forward_many(names.name(), batch, cast);
        }
        builder.finish()
    }

    /// Whether the outcome for this id is known without another node.
    fn emit_here(
        &self,
        id: &Arc<str>,
        key: &str,
        cast: &Cast,
        builder: &mut DeliveriesBuilder,
    ) -> bool {
        if let Some(conn) = self.local_connection(key)
            && !self.must_wait(key)
        {
            let mut receipt = self.hub.emit_to(&conn, cast.clone());
            match receipt.try_outcome() {
                // It left this moment: it may be elsewhere by now.
                Some(Delivery::Offline) => {}
                Some(delivery) => {
                    builder.record(Arc::clone(id), delivery);
                    return true;
                }
                None => {
                    builder.add(Arc::clone(id), receipt);
                    return true;
                }
            }
        }
        let is_nobodys = check_key(key).is_err();
        if is_nobodys {
            builder.record(Arc::clone(id), Delivery::Offline);
        }
        is_nobodys
    }

    /// As [`forward`](Self::forward), for many that go to the same node.
    fn forward_many(self: &Arc<Self>, namespace: &str, batch: Batch, cast: &Cast) {
        let (mut ids, mut sent, mut peer) = (Vec::new(), Vec::new(), None);
        for (route, mut unicast) in batch.unicasts {
            if self.local_connection(&unicast.id).is_some() {
                self.take_back(unicast, LookupReason::CameHere);
                continue;
            }
            let (_, id) = id::split(&unicast.id);
            ids.push(Bytes::copy_from_slice(id.as_bytes()));
            peer = Some(Arc::clone(&route.peer));
            unicast.on_forward(route, true);
            sent.push(unicast);
        }
        let Some(peer) = peer else {
            return;
        };
        let content = WireContent::of(cast);
        let message = Some(proto::Emit {
            id: Bytes::new(),
            data: Bytes::copy_from_slice(content.data),
            binary: content.binary,
            kind: content.kind,
            about: Bytes::copy_from_slice(content.about),
            report: 0,
        });
        let request = NamespacedRef {
            namespace,
            request: &RequestKind::EmitMany(proto::EmitMany { ids, message }),
        };
        let reply = ManyUnicasts::new(Arc::<Self>::clone(self), sent);
        peer.link
            .send(&request, PendingReply::Many(Box::new(reply)));
    }
}
