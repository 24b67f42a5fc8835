//! Requests of peers.
//!
//! Owns the meaning of requests: each is carried out on the hub as if the call had been made here. Must
//! not know streams. Invariant: a request that cannot be read is answered `INVALID` and changes nothing.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use tieline_websocket::{CloseCode, CloseFrame, Frame};

use super::{
    client_op::{ClientOp, LocalOutcome},
    outcome::outcome_code,
    router::{MessageRouter, SYNC_TIMEOUT},
};
use crate::{
    delivery::{Delivery, Reached},
    hub::{Cork, ExcludedIds, OwnedScope},
    link::{BoxFuture, Interest, MaybeReady, PeerInfo, Receiver, RequestKind, Response, proto},
};

/// The receiver of this node's peer port, which must not keep the router alive.
#[derive(Default)]
pub(super) struct NodeInbox {
    router: OnceLock<Weak<MessageRouter>>,
    interest: Arc<Interest>,
}

impl NodeInbox {
    /// Starts to serve requests; until then each is answered that the client is not here.
    pub(super) fn start_serving(&self, router: &Arc<MessageRouter>) {
        // It is called once.
        let _ = self.router.set(Arc::downgrade(router));
    }

    fn router(&self) -> Option<Arc<MessageRouter>> {
        self.router.get()?.upgrade()
    }
}

impl Receiver for NodeInbox {
    fn receive(&self, _: &PeerInfo, request: RequestKind) -> MaybeReady {
        match self.router() {
            Some(router) => router.receive(request),
            None => MaybeReady::Ready(Response::Code(proto::OutcomeCode::NotHere)),
        }
    }

    fn receive_batch(&self, receive_all: &mut dyn FnMut()) {
        let _cork = Cork::new();
        receive_all();
    }

    fn stream_opened(&self, peer: &PeerInfo) {
        // A peer with a port that opens a stream is reachable before the registry lists it.
        if let Some(router) = self.router()
            && let Some(address) = &peer.address
            && router.directory.address() != Some(address)
        {
            let peer = router.peers.get_or_connect(address);
            if !peer.link.is_up() {
                peer.link.dial_now();
            }
        }
    }

    fn interest(&self) -> &Arc<Interest> {
        &self.interest
    }

    fn unary_emit(&self, id: &str, data: Bytes) -> BoxFuture<Delivery> {
        let Some(router) = self.router() else {
            return Box::pin(async { Delivery::Offline });
        };
        let Some(conn) = router.local_connection(id) else {
            router.directory.report_missing(id);
            return Box::pin(async { Delivery::Offline });
        };
        let receipt = router.hub.emit_to(&conn, untyped_frame(&data));
        Box::pin(receipt)
    }

    fn unary_online(&self, id: &str) -> bool {
        self.router()
            .is_some_and(|router| router.local_connection(id).is_some())
    }

    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached> {
        match self.router() {
            Some(router) => Box::pin(router.hub.broadcast(untyped_frame(&data))),
            None => Box::pin(async { Reached::default() }),
        }
    }
}

impl MessageRouter {
    fn receive(self: &Arc<Self>, request: RequestKind) -> MaybeReady {
        let response = match request {
            RequestKind::Emit(emit) => {
                self.receive_unicast(&emit.id, frame(&emit.data, emit.binary).map(ClientOp::Emit))
            }
            RequestKind::Close(close) => {
                self.receive_unicast(&close.id, close_frame(&close).map(ClientOp::Close))
            }
            RequestKind::Membership(change) => {
                let group = text(&change.group).map(Arc::from);
                let op = if change.leave {
                    ClientOp::Leave
                } else {
                    ClientOp::Join
                };
                self.receive_unicast(&change.id, group.map(op))
            }
            RequestKind::Multicast(multicast) => self.receive_multicast(&multicast),
            RequestKind::Evict(evict) => {
                if let Some(registrar) = self.directory.registrar() {
                    registrar.on_evict(evict.ids.iter().filter_map(text));
                }
                Some(MaybeReady::Ready(Response::Code(
                    proto::OutcomeCode::Delivered,
                )))
            }
            RequestKind::Query(query) => {
                let (names, more) = self.list_local(&query);
                let names = names
                    .iter()
                    .map(|name| Bytes::copy_from_slice(name.as_bytes()));
                let names = names.collect();
                Some(MaybeReady::Ready(Response::Listing { names, more }))
            }
        };
        response.unwrap_or(MaybeReady::Ready(Response::Code(
            proto::OutcomeCode::Invalid,
        )))
    }

    /// Applies an operation to one client.
    fn receive_unicast(self: &Arc<Self>, id: &Bytes, op: Option<ClientOp>) -> Option<MaybeReady> {
        let (id, op) = (text(id)?, op?);
        let applied = match self.local_connection(id) {
            Some(conn) => op.apply(&self.hub, &conn),
            None => LocalOutcome::Decided(proto::OutcomeCode::NotHere),
        };
        Some(match applied {
            // The caller may send to the group at once, so the other nodes have to know first.
            LocalOutcome::Decided(code @ proto::OutcomeCode::Delivered)
                if matches!(op, ClientOp::Join(_)) =>
            {
                let interest = Arc::clone(&self.interest);
                MaybeReady::Later(Box::pin(async move {
                    // Half of it, so that the response arrives before the request times out.
                    interest.synced(SYNC_TIMEOUT / 2).await;
                    Response::Code(code)
                }))
            }
            LocalOutcome::Decided(code) => {
                if code == proto::OutcomeCode::NotHere {
                    self.directory.report_missing(id);
                }
                MaybeReady::Ready(Response::Code(code))
            }
            LocalOutcome::Pending(receipt) => MaybeReady::Later(Box::pin(async {
                Response::Code(outcome_code(receipt.await))
            })),
        })
    }

    fn receive_multicast(&self, multicast: &proto::Multicast) -> Option<MaybeReady> {
        let frame = frame(&multicast.data, multicast.binary)?;
        let name = text(&multicast.name)?;
        let scope = match proto::Scope::try_from(multicast.scope).ok()? {
            proto::Scope::Everyone => OwnedScope::Everyone,
            proto::Scope::User => OwnedScope::User(name.into()),
            proto::Scope::Group => OwnedScope::Group(name.into()),
        };
        let except = multicast.except.iter().map(|id| text(id).map(Arc::from));
        let except: ExcludedIds = except.collect::<Option<_>>()?;
        let except = Some(&except).filter(|ids| !ids.is_empty());
        let mut receipt = self.hub.send_to_scope(scope.scope(), except, &frame);
        Some(match receipt.try_outcome() {
            Some(reached) => MaybeReady::Ready(Response::Reached(reached)),
            None => MaybeReady::Later(Box::pin(async { Response::Reached(receipt.await) })),
        })
    }
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A frame of the kind that the sender chose; `None` for text that is not UTF-8.
fn frame(data: &Bytes, binary: bool) -> Option<Frame> {
    if binary {
        return Some(Frame::binary(data.to_vec()));
    }
    text(data).map(Frame::text)
}

/// The unary service does not say whether data are text: what is UTF-8 is sent as text, as
/// go-websocket does.
fn untyped_frame(data: &Bytes) -> Frame {
    text(data).map_or_else(|| Frame::binary(data.to_vec()), Frame::text)
}

fn close_frame(close: &proto::Close) -> Option<CloseFrame> {
    let code = CloseCode::new(u16::try_from(close.code).ok()?)?;
    Some(CloseFrame::new(code, text(&close.reason)?))
}
