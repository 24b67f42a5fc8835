//! What the tests share: nodes with a scripted receiver, links to them, deadlines.

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
    Delivery, Reached,
    link::{
        Answer, BoxFuture, Interest, Link, Outcome, Peer, PeerSecurity, Port, Post, Receiver,
        Reply, Settings, Standing, Ticket, wire,
    },
};

/// Waits for one outcome.
pub(super) type Waiter = oneshot::Sender<Outcome>;

impl Ticket for Waiter {
    fn outcome(self, outcome: Outcome) {
        // A test may not be interested.
        drop(self.send(outcome));
    }
}

/// Runs a test on two threads; it fails when it takes longer than 30 s.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        timeout(Duration::from_secs(30), test)
            .await
            .expect("the test hangs")
    })
}

/// Waits until a condition holds that nothing announces; the test's deadline bounds it.
pub(super) async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(2)).await;
    }
}

/// A receiver that notes what it gets. Client ids say what becomes of a message: `gone`, `full`, any other
/// is here.
#[derive(Default)]
pub(super) struct Script {
    pub(super) interest: Arc<Interest>,
    pub(super) posts: Mutex<Vec<(Uuid, Post)>>,
    pub(super) greeted: Mutex<Vec<Peer>>,
    /// Messages to many are answered when there is a permit for each.
    pub(super) many: Option<Semaphore>,
}

impl Script {
    /// The data of the emits received, in order.
    pub(super) fn emits(&self) -> Vec<Bytes> {
        let posts = self.posts.lock();
        let data = posts.iter().filter_map(|(_, post)| match post {
            Post::Emit(emit) => Some(emit.data.clone()),
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

/// As a receiver, which needs its future to outlive the call.
pub(super) struct Scripted(pub(super) Arc<Script>);

impl Receiver for Scripted {
    fn receive(&self, from: &Peer, post: Post) -> Reply {
        self.0.posts.lock().push((from.process, post.clone()));
        Reply::Now(match post {
            Post::Emit(emit) => Answer::Code(match Script::delivery(&emit.id) {
                Delivery::Offline => wire::Code::NotHere,
                Delivery::Refused => wire::Code::Refused,
                _ => wire::Code::Delivered,
            }),
            Post::Many(_) => {
                let script = Arc::clone(&self.0);
                return Reply::Later(Box::pin(async move {
                    if let Some(permits) = &script.many {
                        permits.acquire().await.unwrap().forget();
                    }
                    Answer::Reached(three())
                }));
            }
            Post::Ask(ask) => Answer::Listing {
                names: ask.names,
                more: true,
            },
            Post::Membership(_) => Answer::Code(wire::Code::Unchanged),
            Post::Close(_) | Post::Evict(_) => Answer::Code(wire::Code::Delivered),
        })
    }

    fn greeted(&self, peer: &Peer) {
        self.0.greeted.lock().push(peer.clone());
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
        Box::pin(async { three() })
    }
}

pub(super) fn three() -> Reached {
    Reached {
        delivered: 3,
        ..Reached::default()
    }
}

pub(super) fn settings() -> Settings {
    Settings::new(Uuid::now_v7(), &PeerSecurity::default()).unwrap()
}

pub(super) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A port with a scripted receiver.
pub(super) struct Node {
    pub(super) port: Port,
    pub(super) script: Arc<Script>,
    pub(super) process: Uuid,
}

impl Node {
    pub(super) async fn start() -> Self {
        Self::with(settings(), Script::default()).await
    }

    pub(super) async fn with(settings: Settings, script: Script) -> Self {
        let script = Arc::new(script);
        let process = settings.process;
        let receiver = Arc::new(Scripted(Arc::clone(&script)));
        let port = Port::bind(loopback(), Arc::new(settings), receiver)
            .await
            .unwrap();
        Self {
            port,
            script,
            process,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.local_addr()
    }
}

/// A link and its tasks; both end with it.
pub(super) struct Opened {
    pub(super) link: Link<Waiter>,
    pub(super) tasks: TaskTracker,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl std::ops::Deref for Opened {
    type Target = Link<Waiter>;

    fn deref(&self) -> &Link<Waiter> {
        &self.link
    }
}

pub(super) fn open(address: SocketAddr) -> Opened {
    open_with(address, settings())
}

pub(super) fn open_with(address: SocketAddr, settings: Settings) -> Opened {
    let tasks = TaskTracker::new();
    let link = Link::start(address.to_string().into(), Arc::new(settings), &tasks);
    Opened { link, tasks }
}

impl Opened {
    pub(super) async fn until(&self, standing: Standing) {
        self.watch().wait_for(|now| *now == standing).await.unwrap();
    }

    /// Posts, and yields the outcome to be.
    #[expect(clippy::needless_pass_by_value, reason = "reads better at each call")]
    pub(super) fn send(&self, post: Post) -> oneshot::Receiver<Outcome> {
        let (ticket, outcome) = oneshot::channel();
        self.post(&post, ticket);
        outcome
    }

    /// Posts, and awaits the outcome.
    pub(super) async fn ask(&self, post: Post) -> Outcome {
        self.send(post).await.unwrap()
    }
}

pub(super) fn emit(id: &str, data: impl Into<Bytes>) -> Post {
    Post::Emit(wire::Emit {
        id: Bytes::copy_from_slice(id.as_bytes()),
        data: data.into(),
        binary: false,
    })
}

pub(super) fn everyone() -> Post {
    Post::Many(wire::Many {
        scope: wire::Scope::Everyone.into(),
        ..wire::Many::default()
    })
}

pub(super) fn ask(what: wire::What, names: &[&'static str]) -> Post {
    Post::Ask(wire::Ask {
        what: what.into(),
        names: names
            .iter()
            .map(|name| Bytes::from_static(name.as_bytes()))
            .collect(),
        ..wire::Ask::default()
    })
}

pub(super) fn code(code: wire::Code) -> Outcome {
    Outcome::Code(code)
}
