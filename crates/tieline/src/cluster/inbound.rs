//! What peers ask of this node.
//!
//! Owns the meaning of posts: each is carried out on the hub as if the call had been made here. Knows no
//! streams. What cannot be read is answered `INVALID` and does nothing.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use tieline_websocket::{CloseCode, CloseFrame, Frame};

use super::{
    Inner, NodeRegistrar,
    multicast::OwnedScope,
    unicast::{Applied, ClientOp, DECIDED_WITHIN, code},
};
use crate::{
    Delivery, Reached,
    hub::ExcludedIds,
    link::{BoxFuture, Interest, MaybeReady, PeerInfo, Receiver, RequestKind, Response, proto},
};

/// The receiver of this node's port. The port must not keep the cluster alive.
#[derive(Default)]
pub(super) struct NodeInbox {
    cluster: OnceLock<Weak<Inner>>,
    interest: Arc<Interest>,
}

impl NodeInbox {
    pub(super) fn begin(&self, cluster: &Arc<Inner>) {
        // A cluster begins once.
        let _ = self.cluster.set(Arc::downgrade(cluster));
    }

    fn cluster(&self) -> Option<Arc<Inner>> {
        self.cluster.get()?.upgrade()
    }
}

impl Receiver for NodeInbox {
    fn receive(&self, _: &PeerInfo, request: RequestKind) -> MaybeReady {
        match self.cluster() {
            Some(cluster) => cluster.receive(request),
            None => MaybeReady::Ready(Response::Code(proto::OutcomeCode::NotHere)),
        }
    }

    fn greeted(&self, peer: &PeerInfo) {
        // Whoever has a port and speaks to us is to be spoken to, before the registry names it.
        if let Some(cluster) = self.cluster()
            && let Some(address) = &peer.address
            && cluster.address.as_ref() != Some(address)
        {
            let peer = cluster.peers.get_or_connect(address, &cluster);
            if !peer.link.is_up() {
                peer.link.dial_now();
            }
        }
    }

    fn interest(&self) -> &Arc<Interest> {
        &self.interest
    }

    fn unary_emit(&self, id: &str, data: Bytes) -> BoxFuture<Delivery> {
        let Some(cluster) = self.cluster() else {
            return Box::pin(async { Delivery::Offline });
        };
        let Some(conn) = cluster.here(id) else {
            cluster.missed(id);
            return Box::pin(async { Delivery::Offline });
        };
        let receipt = cluster.hub.emit_to(&conn, as_ancestor(&data));
        Box::pin(receipt)
    }

    fn unary_online(&self, id: &str) -> bool {
        self.cluster()
            .is_some_and(|cluster| cluster.here(id).is_some())
    }

    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached> {
        match self.cluster() {
            Some(cluster) => Box::pin(cluster.hub.broadcast(as_ancestor(&data))),
            None => Box::pin(async { Reached::default() }),
        }
    }
}

impl Inner {
    fn receive(self: &Arc<Self>, request: RequestKind) -> MaybeReady {
        let reply = match request {
            RequestKind::Emit(emit) => {
                self.one(&emit.id, frame(&emit.data, emit.binary).map(ClientOp::Emit))
            }
            RequestKind::Close(close) => {
                self.one(&close.id, close_frame(&close).map(ClientOp::Close))
            }
            RequestKind::Membership(change) => {
                let group = text(&change.group).map(Arc::from);
                let op = if change.leave {
                    ClientOp::Leave
                } else {
                    ClientOp::Join
                };
                self.one(&change.id, group.map(op))
            }
            RequestKind::Multicast(many) => self.many(&many),
            RequestKind::Evict(evict) => {
                if let Some(registrar) = self.registrar() {
                    registrar.on_evict(evict.ids.iter().filter_map(text));
                }
                Some(MaybeReady::Ready(Response::Code(
                    proto::OutcomeCode::Delivered,
                )))
            }
            RequestKind::Query(ask) => {
                let (names, more) = self.list_here(&ask);
                let names = names
                    .iter()
                    .map(|name| Bytes::copy_from_slice(name.as_bytes()));
                let names = names.collect();
                Some(MaybeReady::Ready(Response::Listing { names, more }))
            }
        };
        reply.unwrap_or(MaybeReady::Ready(Response::Code(
            proto::OutcomeCode::Invalid,
        )))
    }

    /// Does something to one client.
    fn one(self: &Arc<Self>, id: &Bytes, op: Option<ClientOp>) -> Option<MaybeReady> {
        let (id, op) = (text(id)?, op?);
        let applied = match self.here(id) {
            Some(conn) => self.apply(&conn, &op),
            None => Applied::Done(proto::OutcomeCode::NotHere),
        };
        Some(match applied {
            // Whoever asked may send to the group at once.
            Applied::Done(code @ proto::OutcomeCode::Delivered)
                if matches!(op, ClientOp::Join(_)) =>
            {
                let interest = Arc::clone(&self.interest);
                MaybeReady::Later(Box::pin(async move {
                    interest.settled(DECIDED_WITHIN / 2).await;
                    Response::Code(code)
                }))
            }
            Applied::Done(code) => {
                if code == proto::OutcomeCode::NotHere {
                    self.missed(id);
                }
                MaybeReady::Ready(Response::Code(code))
            }
            Applied::Later(receipt) => {
                MaybeReady::Later(Box::pin(async { Response::Code(code(receipt.await)) }))
            }
        })
    }

    fn many(&self, many: &proto::Multicast) -> Option<MaybeReady> {
        let frame = frame(&many.data, many.binary)?;
        let name = text(&many.name)?;
        let scope = match proto::Scope::try_from(many.scope).ok()? {
            proto::Scope::Everyone => OwnedScope::Everyone,
            proto::Scope::User => OwnedScope::User(name.into()),
            proto::Scope::Group => OwnedScope::Group(name.into()),
        };
        let except = many.except.iter().map(|id| text(id).map(Arc::from));
        let except: ExcludedIds = except.collect::<Option<_>>()?;
        let except = Some(&except).filter(|ids| !ids.is_empty());
        let mut receipt = self.hub.send_to_scope(scope.scope(), except, &frame);
        Some(match receipt.try_outcome() {
            Some(reached) => MaybeReady::Ready(Response::Reached(reached)),
            None => MaybeReady::Later(Box::pin(async { Response::Reached(receipt.await) })),
        })
    }

    /// A peer looked here for a client who is not.
    fn missed(&self, id: &str) {
        if let Some(registrar) = self.registrar() {
            NodeRegistrar::on_missing_client(registrar, id);
        }
    }
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Text stays text and binary stays binary.
fn frame(data: &Bytes, binary: bool) -> Option<Frame> {
    if binary {
        return Some(Frame::binary(data.to_vec()));
    }
    text(data).map(Frame::text)
}

/// The unary service cannot say what the data are; what reads as text is sent as text, as the ancestor
/// does.
fn as_ancestor(data: &Bytes) -> Frame {
    text(data).map_or_else(|| Frame::binary(data.to_vec()), Frame::text)
}

fn close_frame(close: &proto::Close) -> Option<CloseFrame> {
    let code = CloseCode::new(u16::try_from(close.code).ok()?)?;
    Some(CloseFrame::new(code, text(&close.reason)?))
}
