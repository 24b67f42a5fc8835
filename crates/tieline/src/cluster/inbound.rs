//! Requests of peers.
//!
//! Owns the meaning of requests: each is carried out on the hub as if the call had been made here. Must
//! not know streams. Invariant: a request that cannot be read is answered `INVALID` and changes nothing.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use tieline_websocket::{CloseCode, CloseFrame, Frame};
use tokio::{sync::oneshot, time::Instant};

use super::{
    client_op::{LocalOutcome, code_after_admission, code_of_refusal},
    multicast::from_proto,
    outcome::outcome_code,
    router::{MessageRouter, SYNC_TIMEOUT},
    wire_content::WireContent,
};
use crate::{
    ask::{AskError, MAX_TIMEOUT},
    delivery::{Delivery, Reached},
    hub::{
        AskOp, Cast, ClientOp, Cork, ExcludedIds, Namespace, OpOutcome, Presence, RunningRequest,
    },
    link::{
        BoxFuture, Interest, MaybeReady, PeerInfo, Receiver, RequestKind, Response,
        proto::{self, OutcomeCode, QueryKind},
    },
    written::{WRITE_TIMEOUT, written_by},
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
    fn receive(&self, _: &PeerInfo, namespace: &str, request: RequestKind) -> MaybeReady {
        let code = match (self.router(), Namespace::new(namespace)) {
            (Some(router), Ok(names)) => return router.receive(&names, request),
            (Some(_), Err(_)) => OutcomeCode::Invalid,
            (None, _) => OutcomeCode::NotHere,
        };
        MaybeReady::Ready(Response::Code(code))
    }

    fn receive_batch(&self, receive_all: &mut dyn FnMut()) {
        let _cork = Cork::new();
        receive_all();
    }

    fn stream_opened(&self, peer: &PeerInfo) {
        // A peer with a port that opens a stream is reachable before this node reads the list that has it. One
        // that does not know this process has not read it in the same registry.
        if let Some(router) = self.router()
            && peer.knows_this_process
            && let Some(address) = &peer.address
            && router.directory.address() != Some(address)
        {
            let peer = router.peers.connect_to(address, peer.process);
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
        // Its nodes know the default namespace only.
        let id = Namespace::DEFAULT.key(id);
        if matches!(router.hub.presence(&id), Presence::Absent) {
            router.directory.report_missing(&id);
            return Box::pin(async { Delivery::Offline });
        }
        Box::pin(router.hub.emit_cast(&id, Cast::Frame(untyped_frame(&data))))
    }

    fn unary_online(&self, id: &str) -> bool {
        self.router().is_some_and(|router| router.hub.online(id))
    }

    fn unary_broadcast(&self, data: Bytes) -> BoxFuture<Reached> {
        match self.router() {
            Some(router) => Box::pin(router.hub.broadcast(untyped_frame(&data))),
            None => Box::pin(async { Reached::default() }),
        }
    }
}

impl MessageRouter {
    /// Carries out a request about names of a namespace.
    fn receive(self: &Arc<Self>, names: &Namespace, request: RequestKind) -> MaybeReady {
        let response = match request {
            RequestKind::Emit(emit) => self.receive_emit(names, &emit),
            RequestKind::EmitMany(many) => self.receive_many(names, many),
            RequestKind::Close(close) => {
                self.receive_unicast(names, &close.id, close_frame(&close).map(ClientOp::Close))
            }
            RequestKind::Membership(change) => {
                let group = text(&change.group).map(|group| names.key(group).into());
                let op = if change.leave {
                    ClientOp::Leave
                } else {
                    ClientOp::Join
                };
                self.receive_unicast(names, &change.id, group.map(op))
            }
            RequestKind::Multicast(multicast) => self.receive_multicast(names, &multicast),
            RequestKind::Ask(ask) => self.receive_ask(names, ask),
            RequestKind::Evict(evict) => {
                if let Some(registrar) = self.directory.registrar() {
                    let ids = evict.ids.iter().filter_map(text);
                    registrar.on_evict(ids.map(|id| names.key(id)));
                }
                Some(MaybeReady::Ready(Response::Code(OutcomeCode::Delivered)))
            }
            RequestKind::Query(query) if is_count(query.kind()) => {
                let counts = self.count_local(names, &query);
                Some(MaybeReady::Ready(Response::Counts(counts)))
            }
            RequestKind::Query(query) => {
                let (names, more) = self.list_local(names, &query);
                let names = names
                    .iter()
                    .map(|name| Bytes::copy_from_slice(name.as_bytes()));
                let names = names.collect();
                Some(MaybeReady::Ready(Response::Listing { names, more }))
            }
        };
        response.unwrap_or(MaybeReady::Ready(Response::Code(OutcomeCode::Invalid)))
    }

    /// Sends one message to each of these clients.
    fn receive_many(
        self: &Arc<Self>,
        names: &Namespace,
        many: proto::EmitMany,
    ) -> Option<MaybeReady> {
        let message = many.message?;
        let cast = WireContent::of_emit(&message).read()?;
        let (mut codes, mut later) = (Vec::with_capacity(many.ids.len()), Vec::new());
        for (index, id) in many.ids.iter().enumerate() {
            let code = match self.receive_unicast(names, id, Some(ClientOp::Emit(cast.clone()))) {
                Some(MaybeReady::Ready(Response::Code(code))) => code,
                Some(MaybeReady::Later(response)) => {
                    later.push(async move { (index, response.await) });
                    OutcomeCode::Unknown
                }
                _ => OutcomeCode::Invalid,
            };
            codes.push(code as u8);
        }
        if later.is_empty() {
            return Some(MaybeReady::Ready(Response::Codes(codes)));
        }
        Some(MaybeReady::Later(Box::pin(async move {
            for (index, response) in join_all(later).await {
                if let Response::Code(code) = response {
                    codes[index] = code as u8;
                }
            }
            Response::Codes(codes)
        })))
    }

    fn receive_emit(self: &Arc<Self>, names: &Namespace, emit: &proto::Emit) -> Option<MaybeReady> {
        let (cast, number) = (WireContent::of_emit(emit).read()?, emit.report);
        if number == 0 {
            return self.receive_unicast(names, &emit.id, Some(ClientOp::Emit(cast)));
        }
        let (cast, written) = cast.tracked();
        let response = self.receive_unicast(names, &emit.id, Some(ClientOp::Emit(cast)))?;
        Some(MaybeReady::Tracked {
            response: Box::new(response),
            number,
            outcome: Box::pin(written_by(Instant::now() + WRITE_TIMEOUT, written)),
        })
    }

    /// Applies an operation to one client.
    fn receive_unicast(
        self: &Arc<Self>,
        names: &Namespace,
        id: &Bytes,
        op: Option<ClientOp>,
    ) -> Option<MaybeReady> {
        let (id, op) = (&*names.key(text(id)?), op?);
        let is_join = matches!(op, ClientOp::Join(_));
        let applied = match self.hub.presence(id) {
            Presence::Here(conn) => op.apply(&self.hub, &conn),
            Presence::Claimed => return Some(self.receive_when_admitted(id, op)),
            Presence::Absent => LocalOutcome::Decided(OutcomeCode::NotHere),
        };
        Some(match applied {
            LocalOutcome::Decided(code @ OutcomeCode::Delivered) if is_join => {
                let interest = Arc::clone(&self.interest);
                MaybeReady::Later(Box::pin(async move {
                    sync_after_join(&interest).await;
                    Response::Code(code)
                }))
            }
            LocalOutcome::Decided(code) => {
                if code == OutcomeCode::NotHere {
                    self.directory.report_missing(id);
                }
                MaybeReady::Ready(Response::Code(code))
            }
            // Asks come by `receive_ask`.
            LocalOutcome::Begun(_) => MaybeReady::Ready(Response::Code(OutcomeCode::Delivered)),
            LocalOutcome::Pending(receipt) => MaybeReady::Later(Box::pin(async {
                Response::Code(outcome_code(receipt.await))
            })),
        })
    }

    /// Leaves an operation with the connection that waits for its admission. If it is not admitted, the
    /// caller looks elsewhere.
    fn receive_when_admitted(&self, id: &str, op: ClientOp) -> MaybeReady {
        let is_join = matches!(op, ClientOp::Join(_));
        let interest = Arc::clone(&self.interest);
        let (sender, outcome) = oneshot::channel();
        // The stream may end first.
        self.hub.when_admitted(id, op, |outcome| {
            let _ = sender.send(outcome);
        });
        MaybeReady::Later(Box::pin(async move {
            let outcome = outcome.await.unwrap_or(OpOutcome::NotAdmitted);
            if is_join && outcome == OpOutcome::Changed {
                sync_after_join(&interest).await;
            }
            Response::Code(code_after_admission(outcome).unwrap_or(OutcomeCode::NotHere))
        }))
    }

    /// Begins to answer, for the client or for this node itself.
    fn receive_ask(self: &Arc<Self>, names: &Namespace, ask: proto::Ask) -> Option<MaybeReady> {
        let timeout = Duration::from_millis(ask.timeout).min(MAX_TIMEOUT);
        let deadline = Instant::now() + timeout;
        if ask.id.is_empty() {
            let running = self.hub.start_node_request(ask.data, deadline);
            return Some(begun(ask.number, running));
        }
        let id = &*names.key(text(&ask.id)?);
        Some(match self.hub.presence(id) {
            Presence::Here(conn) => {
                let running = self.hub.start_request(&conn, ask.data, deadline);
                begun(ask.number, running)
            }
            Presence::Claimed => {
                self.receive_ask_when_admitted(id, ask.number, ask.data.clone(), deadline)
            }
            Presence::Absent => {
                self.directory.report_missing(id);
                MaybeReady::Ready(Response::Code(OutcomeCode::NotHere))
            }
        })
    }

    /// As [`receive_when_admitted`](Self::receive_when_admitted): the callback begins behind what waits before it.
    fn receive_ask_when_admitted(
        self: &Arc<Self>,
        id: &str,
        number: u64,
        request: Bytes,
        deadline: Instant,
    ) -> MaybeReady {
        let op = ClientOp::Ask(AskOp {
            number,
            request: request.clone(),
            deadline,
        });
        let (sender, outcome) = oneshot::channel();
        // The stream may end first.
        self.hub.when_admitted(id, op, |outcome| {
            let _ = sender.send(outcome);
        });
        let (router, id) = (Arc::clone(self), Arc::<str>::from(id));
        MaybeReady::Undecided(Box::pin(async move {
            let outcome = outcome.await.unwrap_or(OpOutcome::NotAdmitted);
            match (outcome, router.local_connection(&id)) {
                (OpOutcome::Here, Some(conn)) => {
                    let running = router.hub.start_request(&conn, request, deadline);
                    begun(number, running)
                }
                (OpOutcome::Sent(delivery), _) => {
                    MaybeReady::Ready(Response::Code(outcome_code(delivery)))
                }
                _ => MaybeReady::Ready(Response::Code(OutcomeCode::NotHere)),
            }
        }))
    }

    fn receive_multicast(
        &self,
        names: &Namespace,
        multicast: &proto::Multicast,
    ) -> Option<MaybeReady> {
        let content = WireContent {
            data: &multicast.data,
            binary: multicast.binary,
            kind: multicast.kind,
            about: &multicast.about,
        };
        let name = text(&multicast.name)?;
        let (scope, is_filtered) = from_proto(multicast.scope, names, name)?;
        let key = |id| Some(Arc::from(names.key(text(id)?)));
        let except = multicast.except.iter().map(key);
        let except: ExcludedIds = except.collect::<Option<_>>()?;
        let except = Some(&except).filter(|ids| !ids.is_empty());
        let mut cast = content.read()?.addressed(scope.scope());
        if is_filtered {
            cast = cast.filtered(multicast.filter.clone());
        }
        let mut receipt = self.hub.send_to_scope(scope.scope(), except, &cast);
        Some(match receipt.try_outcome() {
            Some(reached) => MaybeReady::Ready(Response::Reached(reached)),
            None => MaybeReady::Later(Box::pin(async { Response::Reached(receipt.await) })),
        })
    }
}

fn is_count(kind: QueryKind) -> bool {
    matches!(
        kind,
        QueryKind::Counts | QueryKind::UserLen | QueryKind::GroupLen
    )
}

/// The answer of a callback, or why there is none.
fn begun(ask: u64, running: Result<RunningRequest, AskError>) -> MaybeReady {
    match running {
        Ok(running) => MaybeReady::Begun(Box::pin(async move {
            let answer = running.await;
            Response::Answer { ask, answer }
        })),
        Err(error) => MaybeReady::Ready(Response::Code(code_of_refusal(&error))),
    }
}

/// The caller may send to the group at once, so the other nodes have to know first.
async fn sync_after_join(interest: &Interest) {
    // Half of it, so that the response arrives before the request times out.
    interest.synced(SYNC_TIMEOUT / 2).await;
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
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
