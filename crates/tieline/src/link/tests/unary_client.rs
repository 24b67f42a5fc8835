//! A node of go-websocket, which speaks the unary service only.

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
    support::{Node, Script, ask, code, config, emit, eventually, everyone, loopback, open, run},
};
use crate::{
    Reached,
    link::{
        LinkStatus, NotSent, Outcome, PeerServer, Probed, RequestKind, hash, probe,
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

/// What a stand-in was asked.
#[derive(Default)]
struct Asked {
    emits: Mutex<Vec<(String, Bytes)>>,
    running: Mutex<HashSet<String>>,
    most_at_once: Mutex<usize>,
    broadcasts: Mutex<Vec<Bytes>>,
}

/// A call under way, also one that its caller gives up.
struct Running<'a>(&'a Asked, &'a str);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.lock().remove(self.1);
    }
}

/// A stand-in for a go-websocket node.
#[derive(Clone)]
struct Ancestor(Arc<Asked>);

#[tonic::async_trait]
impl Websocket for Ancestor {
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
        assert!(self.0.running.lock().is_empty(), "a broadcast goes alone");
        self.0.broadcasts.lock().push(request.into_inner().data);
        Ok(Response::new(BroadcastResponse { count: 1 }))
    }
}

async fn ancestor() -> (SocketAddr, Arc<Asked>, oneshot::Sender<()>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Asked::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().add_service(WebsocketServer::new(Ancestor(Arc::clone(&asked))));
    tokio::spawn(
        server.serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            drop(stopped.await);
        }),
    );
    (address, asked, stop)
}

#[test]
fn posts_become_calls() {
    run(async {
        let (address, asked, _stop) = ancestor().await;
        let link = open(address);
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        assert!(link.is_up() && link.is_foreign() && link.process().is_none());
        assert!(!link.may_have(hash(Scope::User, "a")), "it knows no users");
        assert_eq!(
            link.ask(emit("gone", "x")).await,
            code(OutcomeCode::NotHere)
        );
        assert_eq!(
            link.ask(emit("full", "x")).await,
            code(OutcomeCode::Refused)
        );
        let online = Outcome::Listing {
            names: vec!["a".into()],
            more: false,
        };
        assert_eq!(
            link.ask(ask(proto::QueryKind::Online, &["a", "b"])).await,
            online
        );
        let many = Outcome::Reached(Reached::default());
        assert_eq!(link.ask(everyone()).await, many);
        assert_eq!(asked.broadcasts.lock().len(), 1);
        let evict = RequestKind::Evict(proto::Evict::default());
        assert_eq!(link.ask(evict).await, code(OutcomeCode::Invalid));
        let probed = probe(&address.to_string(), &config()).await.unwrap();
        assert_eq!(probed, Probed::Foreign);
    });
}

#[test]
fn calls_run_side_by_side_and_keep_each_clients_order() {
    run(async {
        let (address, asked, _stop) = ancestor().await;
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
        assert!(*asked.most_at_once.lock() > 2);
        let emits = asked.emits.lock();
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
fn a_silent_one_is_suspect_and_recovers() {
    run(async {
        let (address, _asked, _stop) = ancestor().await;
        let proxy = Proxy::start(address).await;
        let link = open(proxy.address());
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
        proxy.set(Mode::Silent);
        assert_eq!(link.ask(emit("a", "x")).await, Outcome::Unknown);
        link.until(LinkStatus::Suspect).await;
        assert_eq!(
            link.ask(emit("a", "x")).await,
            Outcome::NotSent(NotSent::Unreachable)
        );
        proxy.set(Mode::Pass);
        link.until(LinkStatus::Up).await;
        assert_eq!(link.ask(emit("a", "x")).await, code(OutcomeCode::Delivered));
    });
}

#[test]
fn one_that_is_replaced_at_its_address_becomes_a_link() {
    run(async {
        let (address, _asked, stop) = ancestor().await;
        let link = open(address);
        link.until(LinkStatus::Up).await;
        eventually(|| link.is_foreign()).await;
        stop.send(()).unwrap();
        let receiver = Arc::new(super::support::Scripted(Script::default().into()));
        let ours = Arc::new(config());
        let _port = loop {
            match PeerServer::bind(address, Arc::clone(&ours), Arc::clone(&receiver) as _).await {
                Ok(port) => break port,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        eventually(|| link.process() == Some(ours.process)).await;
        assert!(!link.is_foreign());
    });
}

#[test]
fn a_node_of_this_kind_is_not_foreign() {
    run(async {
        let node = Node::start().await;
        let link = open(node.address());
        link.until(LinkStatus::Up).await;
        assert!(!link.is_foreign());
    });
}
