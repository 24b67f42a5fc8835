//! Sends the requests of a link as unary calls, to a peer that supports the unary service only: a node of
//! go-websocket.
//!
//! Owns the order: one call at a time per client, several clients at once; a broadcast waits for all calls
//! before it and runs alone. A request for which the service has no call is answered here.

use std::{collections::HashSet, future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout_at},
};
use tonic::{Code as Grpc, Request, Status};

use super::{
    shared::Shared,
    state::State,
    unary_backlog::{UnaryBacklog, WaitingEmit},
};
use crate::{
    delivery::Reached,
    link::{
        outcome::{Completion, NotSent, Outcome},
        proto::{
            OutcomeCode, Query, QueryKind, RequestKind, Scope,
            websocket::{
                BroadcastRequest, EmitRequest, OnlineRequest, websocket_client::WebsocketClient,
            },
        },
        security::Trust,
        transport::{Connection, Requests},
    },
};

/// Concurrent calls.
const MAX_CALLS: usize = 32;
/// Timeout of a call, counted from when its request was queued.
const CALL_TIMEOUT: Duration = Duration::from_millis(940);
/// What waited this long for a call about the same client is not sent: a call needs some time of its own.
const BACKLOG_TIMEOUT: Duration = Duration::from_millis(900);
/// The share of the link's queue that may wait behind calls about the same clients besides.
const BACKLOG_SHARE: usize = 4;
/// How often to check whether the connection is still open.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

type Client = WebsocketClient<Requests>;

/// Why [`serve`] returned.
pub(super) enum UnaryEnd {
    /// It is time to ask whether the peer supports the stream.
    RetryStream,
    Closed,
}

/// Sends requests until `until`, or until the connection is closed.
pub(super) async fn serve<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    until: Instant,
) -> UnaryEnd {
    let client =
        WebsocketClient::with_origin(connection.requests.clone(), connection.origin.clone())
            .max_decoding_message_size(shared.config.max_message_size());
    let mut calls = Calls {
        shared: Arc::clone(shared),
        client: SecretClient {
            client,
            trust: connection
                .is_private
                .then(|| Arc::clone(&shared.config.trust)),
        },
        running: JoinSet::new(),
        ids: HashSet::new(),
        backlog: UnaryBacklog::new(shared.config.queue_bytes / BACKLOG_SHARE),
        is_exclusive: false,
    };
    let mut check = interval(CHECK_INTERVAL);
    loop {
        if connection.requests.is_closed() {
            return UnaryEnd::Closed;
        }
        // Running calls are finished first.
        let is_time = Instant::now() >= until;
        if is_time && calls.running.is_empty() {
            return UnaryEnd::RetryStream;
        }
        let is_blocked = is_time || calls.start();
        tokio::select! {
            Some(ended) = calls.running.join_next() => calls.on_end(ended.ok()),
            () = poll_fn(|cx| shared.with_state(|state| state.poll_unary(cx))), if !is_blocked => {}
            _ = check.tick() => calls.expire(),
        }
    }
}

struct Calls<T: Completion> {
    shared: Arc<Shared<T>>,
    client: SecretClient,
    running: JoinSet<CallEnd>,
    /// The clients that running calls are about.
    ids: HashSet<Bytes>,
    /// Requests to these clients. Those behind a broadcast are still in the link's queue.
    backlog: UnaryBacklog<T>,
    /// Whether a broadcast is running.
    is_exclusive: bool,
}

struct CallEnd {
    id: Bytes,
    /// Whether the peer responded.
    is_answered: bool,
}

/// What can be started now.
enum NextCall<T> {
    Nothing,
    /// The next request has to wait for a running call.
    Blocked,
    Call {
        request: RequestKind,
        completion: T,
        since: Instant,
        is_exclusive: bool,
    },
}

impl<T: Completion> Calls<T> {
    /// Starts what can be started now. Returns whether a request waits for a running call.
    fn start(&mut self) -> bool {
        let now = Instant::now();
        let is_ping_due = self.shared.with_state(|state| state.take_ping(now));
        if self.running.is_empty() {
            self.ids.clear();
            self.is_exclusive = false;
            // The responses to running calls serve as a pong.
            if is_ping_due {
                self.spawn(ping(), None, Instant::now());
            }
        }
        loop {
            let shared = Arc::clone(&self.shared);
            match shared.with_state(|state| self.next_call(state)) {
                NextCall::Nothing => return false,
                NextCall::Blocked => return true,
                NextCall::Call {
                    request,
                    completion,
                    since,
                    is_exclusive,
                } => {
                    self.is_exclusive = is_exclusive;
                    self.spawn(request, Some(completion), since);
                }
            }
        }
    }

    /// What is next in the link's queue. Sets aside what has to wait for a call about the same client.
    fn next_call(&mut self, state: &mut State<T>) -> NextCall<T> {
        while state.has_waiting() {
            let recipient = state.next_recipient();
            let is_exclusive = recipient.is_none();
            let is_behind = recipient.is_some_and(|id| self.ids.contains(id));
            let is_blocked = if is_behind {
                self.backlog.is_full()
            } else {
                self.running.len() >= MAX_CALLS
            };
            if self.is_exclusive || is_blocked || (is_exclusive && !self.running.is_empty()) {
                return NextCall::Blocked;
            }
            match state.take_request(Instant::now()) {
                None => break,
                Some((RequestKind::Emit(emit), completion, since)) if is_behind => {
                    self.backlog.push(WaitingEmit {
                        emit,
                        completion,
                        since,
                    });
                }
                Some((request, completion, since)) => {
                    return NextCall::Call {
                        request,
                        completion,
                        since,
                        is_exclusive,
                    };
                }
            }
        }
        NextCall::Nothing
    }

    /// Gives up what waited too long behind a slow client.
    fn expire(&mut self) {
        let now = Instant::now();
        let why = self.shared.with_state(|state| state.why_not_sent(now));
        self.backlog.expire(now, BACKLOG_TIMEOUT, why);
    }

    fn spawn(&mut self, request: RequestKind, completion: Option<T>, since: Instant) {
        let id = match &request {
            RequestKind::Emit(emit) => emit.id.clone(),
            _ => Bytes::new(),
        };
        self.ids.insert(id.clone());
        let client = self.client.clone();
        // Made here, since a task that is aborted before its first poll drops what it was given.
        let completion = CompleteOnDrop(completion);
        self.running.spawn(async move {
            let call = timeout_at(since + CALL_TIMEOUT, client.call(request));
            let (outcome, is_answered) = match call.await {
                Ok(Ok(outcome)) => (outcome, true),
                Ok(Err(status)) => on_error(&status),
                Err(_) => (Outcome::Unknown, false),
            };
            completion.complete(outcome);
            CallEnd { id, is_answered }
        });
    }

    fn on_end(&mut self, call: Option<CallEnd>) {
        self.is_exclusive = false;
        let Some(call) = call else { return };
        self.ids.remove(&call.id);
        self.expire();
        if let Some(next) = self.backlog.pop(&call.id) {
            let emit = RequestKind::Emit(next.emit);
            self.spawn(emit, Some(next.completion), next.since);
        }
        let recovered = self.shared.with_state(|state| {
            if call.is_answered {
                state.on_received(Instant::now())
            } else {
                state.on_call_lost();
                false
            }
        });
        if recovered {
            tracing::info!(peer = %self.shared.address, "peer responding again");
        }
    }
}

/// The call that serves as a ping: it costs the peer one lookup.
fn ping() -> RequestKind {
    RequestKind::Query(Query {
        kind: QueryKind::Online.into(),
        names: vec![Bytes::new()],
        ..Query::default()
    })
}

/// Completes with [`Outcome::Unknown`] if the call is dropped.
struct CompleteOnDrop<T: Completion>(Option<T>);

impl<T: Completion> CompleteOnDrop<T> {
    fn complete(mut self, outcome: Outcome) {
        if let Some(completion) = self.0.take() {
            completion.complete(outcome);
        }
    }
}

impl<T: Completion> Drop for CompleteOnDrop<T> {
    fn drop(&mut self) {
        if let Some(completion) = self.0.take() {
            completion.complete(Outcome::Unknown);
        }
    }
}

/// A client that proves with each call that it belongs to the cluster.
#[derive(Clone)]
struct SecretClient {
    client: Client,
    /// `None` on a connection that others can read: the secret is not sent there.
    trust: Option<Arc<Trust>>,
}

impl SecretClient {
    async fn call(self, request: RequestKind) -> Result<Outcome, Status> {
        match request {
            RequestKind::Emit(emit) => self.emit(emit.id, emit.data).await,
            RequestKind::Multicast(multicast)
                if multicast.scope() == Scope::Everyone && multicast.except.is_empty() =>
            {
                self.broadcast(multicast.data).await
            }
            RequestKind::Query(query) if query.kind() == QueryKind::Online => {
                self.online(query.names).await
            }
            // The service has no call that counts.
            RequestKind::Query(query) if is_count(query.kind()) => {
                Ok(Outcome::Code(OutcomeCode::Invalid))
            }
            // The peer has no users and no groups.
            RequestKind::Query(_) => Ok(Outcome::Listing {
                names: Vec::new(),
                more: false,
            }),
            RequestKind::Multicast(_)
            | RequestKind::Close(_)
            | RequestKind::Membership(_)
            | RequestKind::Ask(_)
            | RequestKind::EmitMany(_)
            | RequestKind::Evict(_) => Ok(Outcome::Code(OutcomeCode::Invalid)),
        }
    }

    async fn emit(mut self, id: Bytes, data: Bytes) -> Result<Outcome, Status> {
        let Ok(id) = text(&id) else {
            return Ok(Outcome::Code(OutcomeCode::Invalid));
        };
        let request = self.request(EmitRequest { id, data });
        let is_here = self.client.emit(request).await?.into_inner().success;
        Ok(Outcome::Code(if is_here {
            OutcomeCode::Delivered
        } else {
            OutcomeCode::NotHere
        }))
    }

    async fn broadcast(mut self, data: Bytes) -> Result<Outcome, Status> {
        let request = self.request(BroadcastRequest { data });
        // The response is not a count of clients: a go-websocket node always answers 1.
        self.client.broadcast(request).await?;
        Ok(Outcome::Reached(Reached::default()))
    }

    async fn online(mut self, ids: Vec<Bytes>) -> Result<Outcome, Status> {
        let mut names = Vec::new();
        for name in ids {
            let Ok(id) = text(&name) else { continue };
            let request = self.request(OnlineRequest { id });
            if self.client.online(request).await?.into_inner().online {
                names.push(name);
            }
        }
        Ok(Outcome::Listing { names, more: false })
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(trust) = &self.trust {
            trust.attach_secret(request.metadata_mut());
        }
        request
    }
}

fn is_count(kind: QueryKind) -> bool {
    matches!(
        kind,
        QueryKind::Counts | QueryKind::UserLen | QueryKind::GroupLen
    )
}

/// The outcome of a failed call, and whether the peer responded.
fn on_error(status: &Status) -> (Outcome, bool) {
    match status.code() {
        // The client's outbox is full.
        Grpc::ResourceExhausted => (Outcome::Code(OutcomeCode::Refused), true),
        // Refused before anything was done.
        Grpc::Unimplemented | Grpc::Unauthenticated | Grpc::PermissionDenied => {
            (Outcome::NotSent(NotSent::Unreachable), true)
        }
        // How a go-websocket node reports that the client's connection failed.
        Grpc::Unknown | Grpc::Internal => (Outcome::Unknown, true),
        _ => (Outcome::Unknown, false),
    }
}

fn text(id: &Bytes) -> Result<String, std::str::Utf8Error> {
    std::str::from_utf8(id).map(str::to_owned)
}
