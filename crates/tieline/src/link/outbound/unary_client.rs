//! A peer that speaks the unary service only: a node of go-websocket.
//!
//! Posts become calls, in order: one under way per client, several clients at once; a message to everyone
//! waits for all before it and goes alone. What the service has no call for is answered here.

use std::{collections::HashSet, future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout_at},
};
use tonic::{Code as Grpc, Request, Status};

use super::link::{LinkStatus, Shared};
use crate::link::{
    outcome::{Completion, NotSent, Outcome},
    proto::{
        OutcomeCode, Query, QueryKind, RequestKind, Scope,
        websocket::{
            BroadcastRequest, EmitRequest, OnlineRequest, websocket_client::WebsocketClient,
        },
    },
    transport::{Connection, Requests},
};

/// Calls under way at once.
const CALLS: usize = 32;
/// Every call's, and so every outcome's.
const DEADLINE: Duration = Duration::from_millis(940);
/// How often to see whether the connection still stands.
const CHECK: Duration = Duration::from_millis(50);

type Client = WebsocketClient<Requests>;

/// Serves posts until then, when the peer is to be asked again what it is, or until the connection ends:
/// false.
pub(super) async fn serve<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    until: Instant,
) -> bool {
    let client =
        WebsocketClient::with_origin(connection.requests.clone(), connection.origin.clone())
            .max_decoding_message_size(shared.config.largest());
    let mut calls = Calls {
        shared: Arc::clone(shared),
        client,
        running: JoinSet::new(),
        ids: HashSet::new(),
        alone: false,
    };
    let mut check = interval(CHECK);
    loop {
        if connection.requests.is_closed() {
            return false;
        }
        // Calls under way are not given up for the question.
        let is_time = Instant::now() >= until;
        if is_time && calls.running.is_empty() {
            return true;
        }
        let is_blocked = is_time || calls.start();
        tokio::select! {
            Some(ended) = calls.running.join_next() => calls.ended(ended.ok()),
            () = poll_fn(|cx| shared.state.lock().poll_work(cx)), if !is_blocked => {}
            _ = check.tick() => {}
        }
    }
}

struct Calls<T: Completion> {
    shared: Arc<Shared<T>>,
    client: Client,
    /// Each yields the client id it was about, and whether the peer answered.
    running: JoinSet<(Bytes, bool)>,
    ids: HashSet<Bytes>,
    /// Whether a message to everyone is under way.
    alone: bool,
}

impl<T: Completion> Calls<T> {
    /// Starts what can start now; true if something waits for a call to end.
    fn start(&mut self) -> bool {
        let ping = self.shared.state.lock().take_ping();
        if self.running.is_empty() {
            self.ids.clear();
            self.alone = false;
            // Calls under way are answered as a ping would be.
            if ping {
                self.spawn(nobody_online(), None, Instant::now());
            }
        }
        loop {
            let mut state = self.shared.state.lock();
            if !state.queue.has_waiting() {
                return false;
            }
            let recipient = state.queue.recipient();
            let is_alone = recipient.is_none();
            let waits = self.alone
                || self.running.len() >= CALLS
                || (is_alone && !self.running.is_empty())
                || recipient.is_some_and(|id| self.ids.contains(id));
            if waits {
                return true;
            }
            let Some((request, completion, since)) = state.queue.take() else {
                return false;
            };
            state.liveness.sent(Instant::now());
            drop(state);
            self.alone = is_alone;
            self.spawn(request, Some(completion), since);
        }
    }

    fn spawn(&mut self, request: RequestKind, completion: Option<T>, since: Instant) {
        let id = match &request {
            RequestKind::Emit(emit) => emit.id.clone(),
            _ => Bytes::new(),
        };
        self.ids.insert(id.clone());
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        self.running.spawn(async move {
            let waiting = Waiting(completion);
            let call = timeout_at(since + DEADLINE, call(client, request, &shared));
            let (outcome, answered) = match call.await {
                Ok(Ok(outcome)) => (outcome, true),
                Ok(Err(status)) => failed(&status),
                Err(_) => (Outcome::Unknown, false),
            };
            waiting.tell(outcome);
            (id, answered)
        });
    }

    fn ended(&mut self, call: Option<(Bytes, bool)>) {
        self.alone = false;
        let Some((id, answered)) = call else { return };
        self.ids.remove(&id);
        let mut state = self.shared.state.lock();
        if !answered {
            state.liveness.lost_ping();
            return;
        }
        let recovered = state.heard(Instant::now());
        drop(state);
        if recovered {
            self.shared.announce(LinkStatus::Up);
            tracing::info!(peer = %self.shared.address, "the peer answers again");
        }
    }
}

/// What serves as a ping: a question that costs the peer a look-up.
fn nobody_online() -> RequestKind {
    RequestKind::Query(Query {
        kind: QueryKind::Online.into(),
        names: vec![Bytes::new()],
        ..Query::default()
    })
}

/// Tells its ticket even if the call is dropped.
struct Waiting<T: Completion>(Option<T>);

impl<T: Completion> Waiting<T> {
    fn tell(mut self, outcome: Outcome) {
        if let Some(completion) = self.0.take() {
            completion.complete(outcome);
        }
    }
}

impl<T: Completion> Drop for Waiting<T> {
    fn drop(&mut self) {
        if let Some(completion) = self.0.take() {
            completion.complete(Outcome::Unknown);
        }
    }
}

async fn call<T>(
    mut client: Client,
    request: RequestKind,
    shared: &Shared<T>,
) -> Result<Outcome, Status> {
    match request {
        RequestKind::Emit(emit) => {
            let Ok(id) = text(&emit.id) else {
                return Ok(Outcome::Code(OutcomeCode::Invalid));
            };
            let request = shared.request(EmitRequest {
                id,
                data: emit.data,
            });
            let answer = client.emit(request).await?.into_inner();
            Ok(Outcome::Code(if answer.success {
                OutcomeCode::Delivered
            } else {
                OutcomeCode::NotHere
            }))
        }
        RequestKind::Multicast(many)
            if many.scope() == Scope::Everyone && many.except.is_empty() =>
        {
            let request = shared.request(BroadcastRequest { data: many.data });
            // A go-websocket node answers 1 however many clients it has: no count of clients.
            client.broadcast(request).await?;
            Ok(Outcome::Reached(crate::Reached::default()))
        }
        RequestKind::Query(ask) if ask.kind() == QueryKind::Online => {
            let mut names = Vec::new();
            for name in ask.names {
                let Ok(id) = text(&name) else { continue };
                let request = shared.request(OnlineRequest { id });
                if client.online(request).await?.into_inner().online {
                    names.push(name);
                }
            }
            Ok(Outcome::Listing { names, more: false })
        }
        // It knows no users and no groups; and whatever was before this is decided.
        RequestKind::Query(_) => Ok(Outcome::Listing {
            names: Vec::new(),
            more: false,
        }),
        RequestKind::Multicast(_)
        | RequestKind::Close(_)
        | RequestKind::Membership(_)
        | RequestKind::Evict(_) => Ok(Outcome::Code(OutcomeCode::Invalid)),
    }
}

impl<T> Shared<T> {
    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        self.config.trust.attach_secret(request.metadata_mut());
        request
    }
}

/// A call that failed: what that says of its message, and whether the peer answered.
fn failed(status: &Status) -> (Outcome, bool) {
    match status.code() {
        // Its receiver's refusal.
        Grpc::ResourceExhausted => (Outcome::Code(OutcomeCode::Refused), true),
        // Refused before anything was done.
        Grpc::Unimplemented | Grpc::Unauthenticated | Grpc::PermissionDenied => {
            (Outcome::NotSent(NotSent::Unreachable), true)
        }
        // A go-websocket node answers so when its client's connection failed.
        Grpc::Unknown | Grpc::Internal => (Outcome::Unknown, true),
        _ => (Outcome::Unknown, false),
    }
}

fn text(id: &Bytes) -> Result<String, std::str::Utf8Error> {
    std::str::from_utf8(id).map(str::to_owned)
}
