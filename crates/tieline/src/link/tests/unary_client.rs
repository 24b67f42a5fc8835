//! Links to a node of go-websocket, which supports the unary service only.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use super::{
    proxy::{Mode, Proxy},
    support::{Node, Script, code, config, emit, eventually, everyone, loopback, open, query, run},
};
use crate::{
    Reached,
    link::{
        LinkStatus, NotSent, Outcome, PeerServer, ProbeResult, RequestKind, hash, probe,
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
#[derive(Default)]
struct Calls {
    emits: Mutex<Vec<(String, Bytes)>>,
    running: Mutex<HashSet<String>>,
    most_at_once: Mutex<usize>,
    broadcasts: Mutex<Vec<Bytes>>,
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
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Calls::default());
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
