//! Shared by the tests: nodes with a scripted receiver, links to them, deadlines.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    Counts, Delivery, Reached,
    link::{
        BoxFuture, Completion, Interest, Link, LinkConfig, LinkStatus, MaybeReady, Outcome,
        PeerInfo, PeerSecurity, PeerServer, Receiver, RequestKind, Response, proto,
    },
};

/// Passes one outcome to a test.
pub(super) type OutcomeSender = oneshot::Sender<Outcome>;

impl Completion for OutcomeSender {
    fn complete(self, outcome: Outcome) {
        // A test may not wait for it.
        drop(self.send(outcome));
    }
}

/// Runs a test on two threads, with a deadline of 30 s.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        timeout(Duration::from_secs(30), test)
            .await
            .expect("the test timed out")
    })
}

/// Polls a condition for which there is no event, until the test's deadline.
pub(super) async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(2)).await;
    }
}

/// The behaviour of a receiver, and what it has received. Client ids determine the outcome: `gone` is
/// offline, `full` refuses, any other takes the message.
#[derive(Default)]
pub(super) struct Script {
    pub(super) interest: Arc<Interest>,
    pub(super) requests: Mutex<Vec<(Uuid, RequestKind)>>,
    /// Of each of these.
    pub(super) namespaces: Mutex<Vec<String>>,
    /// Peers that have opened a stream.
    pub(super) opened: Mutex<Vec<PeerInfo>>,
    /// If set, each response to a multicast waits for a permit.
    pub(super) multicast_permits: Option<Semaphore>,
}

impl Script {
    /// The data of the emits received, in order.
    pub(super) fn emits(&self) -> Vec<Bytes> {
        let requests = self.requests.lock();
        let data = requests.iter().filter_map(|(_, request)| match request {
            RequestKind::Emit(emit) => Some(emit.data.clone()),
            _ => None,
        });
        data.collect()
    }

    fn delivery(id: &[u8]) -> Delivery {
        match id {
            b"gone" => Delivery::Offline,
            b"full" => Delivery::Refused,
            _ => Delivery::Delivered,
        }
    }
}

/// Follows a script, which its futures share.
pub(super) struct ScriptedReceiver(pub(super) Arc<Script>);

impl Receiver for ScriptedReceiver {
    fn receive(&self, from: &PeerInfo, namespace: &str, request: RequestKind) -> MaybeReady {
        self.0.namespaces.lock().push(namespace.to_owned());
        self.0.requests.lock().push((from.process, request.clone()));
        MaybeReady::Ready(match request {
            RequestKind::Emit(emit) => Response::Code(match Script::delivery(&emit.id) {
                Delivery::Offline => proto::OutcomeCode::NotHere,
                Delivery::Refused => proto::OutcomeCode::Refused,
                _ => proto::OutcomeCode::Delivered,
            }),
            RequestKind::Multicast(_) => {
                let script = Arc::clone(&self.0);
                return MaybeReady::Later(Box::pin(async move {
                    if let Some(permits) = &script.multicast_permits {
                        permits.acquire().await.unwrap().forget();
                    }
                    Response::Reached(reached_three())
                }));
            }
            RequestKind::Query(query) if query.kind() == proto::QueryKind::Counts => {
                Response::Counts(Counts::default())
            }
            RequestKind::Query(query) => Response::Listing {
                names: query.names,
                more: true,
            },
            RequestKind::EmitMany(many) => {
                Response::Codes(vec![proto::OutcomeCode::Delivered as u8; many.ids.len()])
            }
            RequestKind::Ask(ask) => {
                let answer = Response::Answer {
                    ask: ask.number,
                    answer: Ok(ask.data),
                };
                return MaybeReady::Begun(Box::pin(async { answer }));
            }
            RequestKind::Membership(_) => Response::Code(proto::OutcomeCode::Unchanged),
            RequestKind::Close(_) | RequestKind::Evict(_) => {
                Response::Code(proto::OutcomeCode::Delivered)
            }
        })
    }

    fn stream_opened(&self, peer: &PeerInfo) {
        self.0.opened.lock().push(peer.clone());
    }

    fn interest(&self) -> &Arc<Interest> {
        &self.0.interest
    }

    fn unary_emit(&self, id: &str, _data: Bytes) -> BoxFuture<Delivery> {
        let delivery = Script::delivery(id.as_bytes());
        Box::pin(async move { delivery })
    }

    fn unary_online(&self, id: &str) -> bool {
        id != "gone"
    }

    fn unary_broadcast(&self, _data: Bytes) -> BoxFuture<Reached> {
        Box::pin(async { reached_three() })
    }
}

pub(super) fn reached_three() -> Reached {
    Reached {
        delivered: 3,
        ..Reached::default()
    }
}

pub(super) fn config() -> LinkConfig {
    LinkConfig::new(Uuid::now_v7(), "ws", &PeerSecurity::default()).unwrap()
}

pub(super) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A peer server with a scripted receiver.
pub(super) struct Node {
    pub(super) server: PeerServer,
    pub(super) script: Arc<Script>,
    pub(super) process: Uuid,
}

impl Node {
    pub(super) async fn start() -> Self {
        Self::with(config(), Script::default()).await
    }

    pub(super) async fn with(config: LinkConfig, script: Script) -> Self {
        let script = Arc::new(script);
        let process = config.process;
        let receiver = Arc::new(ScriptedReceiver(Arc::clone(&script)));
        let server = PeerServer::bind(loopback(), Arc::new(config), receiver)
            .await
            .unwrap();
        Self {
            server,
            script,
            process,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }
}

/// A link with its tasks; both end when it is dropped.
pub(super) struct TestLink {
    pub(super) link: Link<OutcomeSender>,
    pub(super) tasks: TaskTracker,
}

impl Drop for TestLink {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl std::ops::Deref for TestLink {
    type Target = Link<OutcomeSender>;

    fn deref(&self) -> &Link<OutcomeSender> {
        &self.link
    }
}

pub(super) fn open(address: SocketAddr) -> TestLink {
    open_with(address, config())
}

pub(super) fn open_with(address: SocketAddr, config: LinkConfig) -> TestLink {
    let tasks = TaskTracker::new();
    let link = Link::start(address.to_string().into(), None, Arc::new(config), &tasks);
    TestLink { link, tasks }
}

impl TestLink {
    pub(super) async fn until(&self, status: LinkStatus) {
        self.watch().wait_for(|now| *now == status).await.unwrap();
    }

    /// Sends a request, and returns its future outcome.
    #[expect(clippy::needless_pass_by_value, reason = "reads better at each call")]
    pub(super) fn send(&self, request: RequestKind) -> oneshot::Receiver<Outcome> {
        let (completion, outcome) = oneshot::channel();
        self.link.send(&request, completion);
        outcome
    }

    /// Sends a request, and awaits its outcome.
    pub(super) async fn request(&self, request: RequestKind) -> Outcome {
        self.send(request).await.unwrap()
    }
}

pub(super) fn emit(id: &str, data: impl Into<Bytes>) -> RequestKind {
    RequestKind::Emit(proto::Emit {
        id: Bytes::copy_from_slice(id.as_bytes()),
        data: data.into(),
        ..proto::Emit::default()
    })
}

pub(super) fn everyone() -> RequestKind {
    RequestKind::Multicast(proto::Multicast {
        scope: proto::Scope::Everyone.into(),
        ..proto::Multicast::default()
    })
}

pub(super) fn query(kind: proto::QueryKind, names: &[&'static str]) -> RequestKind {
    RequestKind::Query(proto::Query {
        kind: kind.into(),
        names: names
            .iter()
            .map(|name| Bytes::from_static(name.as_bytes()))
            .collect(),
        ..proto::Query::default()
    })
}

pub(super) fn code(code: proto::OutcomeCode) -> Outcome {
    Outcome::Code(code)
}
