//! Links to a node of go-websocket, which supports the unary service only.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tieline_test_servers::Stopwatch;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
    time::sleep,
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use uuid::Uuid;

use super::{
    proxy::{Mode, Proxy},
    support::{
        Node, Script, code, config, emit, eventually, everyone, loopback, open, open_with, query,
        run,
    },
};
use crate::{
    Reached,
    link::{
        LinkConfig, LinkStatus, NotSent, Outcome, PeerSecurity, PeerServer, ProbeResult,
        RequestKind, hash, probe,
        proto::{
            self, OutcomeCode, Scope,
            websocket::{
                BroadcastRequest, BroadcastResponse, EmitRequest, EmitResponse, OnlineRequest,
                OnlineResponse,
                websocket_server::{Websocket, WebsocketServer},
            },
        },
    },
};

/// The calls that a legacy node has got.
struct Calls {
    emits: Mutex<Vec<(String, Bytes)>>,
    running: Mutex<HashSet<String>>,
    most_at_once: Mutex<usize>,
    broadcasts: Mutex<Vec<Bytes>>,
    /// The `authorization` headers of the emits.
    secrets: Mutex<Vec<Option<String>>>,
    /// Calls about the client `slow` that may end.
    slow_permits: Semaphore,
}

/// A running call; dropped if its caller cancels it.
struct Running<'a>(&'a Calls, &'a str);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.lock().remove(self.1);
    }
}

/// A stand-in for a node of go-websocket.
#[derive(Clone)]
struct LegacyNode(Arc<Calls>);

#[tonic::async_trait]
impl Websocket for LegacyNode {
    async fn emit(&self, request: Request<EmitRequest>) -> Result<Response<EmitResponse>, Status> {
        let secret = request.metadata().get("authorization");
        let secret = secret.map(|secret| secret.to_str().unwrap().to_owned());
        self.0.secrets.lock().push(secret);
        let EmitRequest { id, data } = request.into_inner();
        {
            let mut running = self.0.running.lock();
            assert!(
                running.insert(id.clone()),
                "one call at a time for each client"
            );
            let mut most = self.0.most_at_once.lock();
            *most = running.len().max(*most);
        }
        let _running = Running(&self.0, &id);
        self.0.emits.lock().push((id.clone(), data));
        if id == "slow" {
            self.0.slow_permits.acquire().await.unwrap().forget();
        }
        sleep(Duration::from_millis(2)).await;
        match id.as_str() {
            "full" => Err(Status::resource_exhausted("full")),
            "gone" => Ok(Response::new(EmitResponse { success: false })),
            _ => Ok(Response::new(EmitResponse { success: true })),
        }
    }

    async fn online(
        &self,
        request: Request<OnlineRequest>,
    ) -> Result<Response<OnlineResponse>, Status> {
        let online = request.into_inner().id == "a";
        Ok(Response::new(OnlineResponse { online }))
    }

    async fn broadcast(
        &self,
        request: Request<BroadcastRequest>,
    ) -> Result<Response<BroadcastResponse>, Status> {
        assert!(self.0.running.lock().is_empty(), "a broadcast runs alone");
        self.0.broadcasts.lock().push(request.into_inner().data);
        Ok(Response::new(BroadcastResponse { count: 1 }))
    }
}

async fn legacy_node() -> (SocketAddr, Arc<Calls>, oneshot::Sender<()>) {
    legacy_node_at(loopback()).await
}

async fn legacy_node_at(address: SocketAddr) -> (SocketAddr, Arc<Calls>, oneshot::Sender<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Calls {
        emits: Mutex::default(),
        running: Mutex::default(),
        most_at_once: Mutex::default(),
        broadcasts: Mutex::default(),
        secrets: Mutex::default(),
        slow_permits: Semaphore::new(0),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        Server::builder().add_service(WebsocketServer::new(LegacyNode(Arc::clone(&calls))));
    tokio::spawn(
        server.serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            drop(stopped.await);
        }),
    );
    (address, calls, stop)
}

#[test]
fn requests_become_calls() {
    run(async {
        let (address, calls, _stop) = legacy_node().await;
        let link = open(address);
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        assert!(link.is_up() && link.is_unary_only() && link.process().is_none());
        assert!(!link.may_have(hash(Scope::User, "a")), "it has no users");
        assert_eq!(
            link.request(emit("gone", "x")).await,
            code(OutcomeCode::NotHere)
        );
        assert_eq!(
            link.request(emit("full", "x")).await,
            code(OutcomeCode::Refused)
        );
        let online = Outcome::Listing {
            names: vec!["a".into()],
            more: false,
        };
        assert_eq!(
            link.request(query(proto::QueryKind::Online, &["a", "b"]))
                .await,
            online
        );
        let many = Outcome::Reached(Reached::default());
        assert_eq!(link.request(everyone()).await, many);
        assert_eq!(calls.broadcasts.lock().len(), 1);
        let evict = RequestKind::Evict(proto::Evict::default());
        assert_eq!(link.request(evict).await, code(OutcomeCode::Invalid));
        let probed = probe(&address.to_string(), &config()).await.unwrap();
        assert_eq!(probed, ProbeResult::UnaryOnly);
    });
}

#[test]
fn calls_run_concurrently_and_keep_the_order_per_client() {
    run(async {
        let (address, calls, _stop) = legacy_node().await;
        let link = open(address);
        let mut outcomes = Vec::new();
        for i in 0..60_u32 {
            let id = format!("client {}", i % 10);
            outcomes.push(link.send(emit(&id, i.to_be_bytes().to_vec())));
            if i == 30 {
                drop(link.send(everyone()));
            }
        }
        for outcome in outcomes {
            assert_eq!(outcome.await.unwrap(), code(OutcomeCode::Delivered));
        }
        assert!(*calls.most_at_once.lock() > 2);
        let emits = calls.emits.lock();
        for client in 0..10 {
            let id = format!("client {client}");
            let data = emits
                .iter()
                .filter(|(to, _)| *to == id)
                .map(|(_, data)| data);
            assert!(data.is_sorted_by(|a, b| a < b));
        }
    });
}

#[test]
fn the_secret_is_sent_where_nobody_can_read_it() {
    run(async {
        let security = PeerSecurity {
            secret: Some("open-sesame".into()),
            ..PeerSecurity::default()
        };
        let ours = || LinkConfig::new(Uuid::now_v7(), "ws", &security).unwrap();
        let (address, calls, _stop) = legacy_node().await;
        let link = open_with(address, ours());
        link.request(emit("a", "x")).await;
        assert_eq!(*calls.secrets.lock(), [Some("Bearer open-sesame".into())]);
        let ips = if_addrs::get_if_addrs().unwrap().into_iter();
        let mut ips = ips.map(|interface| interface.ip());
        let Some(ip) = ips.find(|ip| ip.is_ipv4() && !ip.is_loopback()) else {
            eprintln!("skipped: this machine has no address but loopback");
            return;
        };
        let (address, calls, _stop) = legacy_node_at((ip, 0).into()).await;
        let link = open_with(address, ours());
        link.request(emit("a", "x")).await;
        assert_eq!(*calls.secrets.lock(), [None]);
    });
}

#[test]
fn a_slow_client_holds_back_nobody_else() {
    run(async {
        let (address, calls, _stop) = legacy_node().await;
        let link = open(address);
        let slow: Vec<_> = (0..3).map(|i| link.send(emit("slow", vec![i]))).collect();
        let other = link.request(emit("a", "x"));
        assert_eq!(other.await, code(OutcomeCode::Delivered));
        assert_eq!(
            calls.emits.lock().len(),
            2,
            "one call about the slow client"
        );
        calls.slow_permits.add_permits(3);
        for outcome in slow {
            assert_eq!(outcome.await.unwrap(), code(OutcomeCode::Delivered));
        }
        let emits = calls.emits.lock();
        let data: Vec<_> = emits.iter().filter(|(to, _)| to == "slow").collect();
        assert!(data.is_sorted_by_key(|(_, data)| data), "in order");
    });
}

#[test]
fn what_waits_for_a_slow_client_is_decided_within_a_second() {
    run(async {
        let (address, calls, _stop) = legacy_node().await;
        let link = open(address);
        link.until(LinkStatus::Up).await;
        let began = Stopwatch::start_threads();
        let [first, second] = ["1", "2"].map(|data| link.send(emit("slow", data)));
        assert_eq!(first.await.unwrap(), Outcome::Unknown);
        let second = second.await.unwrap();
        assert!(matches!(second, Outcome::NotSent(_)), "{second:?}");
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(calls.emits.lock().len(), 1, "the second was not sent");
        // With the link, what waits ends too.
        let waiting = [(); 2].map(|()| link.send(emit("slow", "3")));
        link.link.end();
        for outcome in waiting {
            let outcome = outcome.await.unwrap();
            assert!(matches!(outcome, Outcome::Unknown | Outcome::NotSent(_)));
        }
    });
}

#[test]
fn a_silent_legacy_node_is_suspect_and_recovers() {
    run(async {
        let (address, _calls, _stop) = legacy_node().await;
        let proxy = Proxy::start(address).await;
        let link = open(proxy.address());
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
        proxy.set(Mode::Silent);
        assert_eq!(link.request(emit("a", "x")).await, Outcome::Unknown);
        link.until(LinkStatus::Suspect).await;
        assert_eq!(
            link.request(emit("a", "x")).await,
            Outcome::NotSent(NotSent::Unreachable)
        );
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(
            link.request(emit("a", "x")).await,
            code(OutcomeCode::Delivered)
        );
    });
}

#[test]
fn a_legacy_node_that_is_replaced_gets_a_stream() {
    run(async {
        let (address, _calls, stop) = legacy_node().await;
        let link = open(address);
        link.until(LinkStatus::Up).await;
        eventually(|| link.is_unary_only()).await;
        stop.send(()).unwrap();
        let receiver = Arc::new(super::support::ScriptedReceiver(Script::default().into()));
        let ours = Arc::new(config());
        let _server = loop {
            match PeerServer::bind(address, Arc::clone(&ours), Arc::clone(&receiver) as _).await {
                Ok(server) => break server,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        eventually(|| link.process() == Some(ours.process)).await;
        assert!(!link.is_unary_only());
    });
}

#[test]
fn a_tieline_node_is_not_unary_only() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        assert!(!link.is_unary_only());
    });
}
