//! A substitute for a node of go-websocket: plaintext unary calls, entries that are written and
//! deleted without regard to their owner.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    future::{Ready, ready},
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use parking_lot::Mutex;
use tieline::registry::Registry;
use tokio::{net::TcpListener, task::AbortHandle};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::{
    entries,
    grpc::{self, BroadcastRequest, Count, EmitRequest, OnlineRequest, YesNo},
};

const EMIT: &str = "/websocket.Websocket/Emit";
const ONLINE: &str = "/websocket.Websocket/Online";
const BROADCAST: &str = "/websocket.Websocket/Broadcast";

/// Client id → the messages that it was sent.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<HashMap<String, Vec<Vec<u8>>>>>);

pub(crate) struct LegacyNode {
    address: SocketAddr,
    registry: Arc<dyn Registry>,
    clients: Clients,
    /// One connection to each node.
    channels: Mutex<HashMap<String, Channel>>,
    task: AbortHandle,
}

impl Drop for LegacyNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LegacyNode {
    pub(crate) async fn start(registry: &Arc<dyn Registry>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = Clients::default();
        let serving = Server::builder()
            .add_service(clients.clone())
            .serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async { serving.await.unwrap() }).abort_handle();
        Self {
            address,
            registry: Arc::clone(registry),
            clients,
            channels: Mutex::default(),
            task,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// A client connects to the node.
    pub(crate) async fn connect(&self, id: &str) {
        self.clients.0.lock().entry(id.to_owned()).or_default();
        self.registry.set(id, &self.address()).await.unwrap();
    }

    /// The node notices that a client is gone.
    pub(crate) async fn disconnect(&self, id: &str) {
        self.clients.0.lock().remove(id);
        self.registry.delete(id).await.unwrap();
    }

    /// The messages that a client was sent, as text.
    pub(crate) fn texts(&self, id: &str) -> Vec<String> {
        let clients = self.clients.0.lock();
        let sent = clients.get(id).into_iter().flatten();
        sent.map(|data| String::from_utf8_lossy(data).into_owned())
            .collect()
    }

    /// Its `Emit`: the answer of the node that the registry names.
    pub(crate) async fn emit(&self, id: &str, data: &[u8]) -> Result<bool, Status> {
        let Some(address) = self.registry.get(id).await.unwrap() else {
            return Ok(false);
        };
        let request = EmitRequest {
            id: id.to_owned(),
            data: data.to_vec(),
        };
        let answer: YesNo = grpc::call(self.channel(&address), EMIT, request, None).await?;
        Ok(answer.yes)
    }

    pub(crate) async fn online(&self, id: &str) -> Result<bool, Status> {
        let Some(address) = self.registry.get(id).await.unwrap() else {
            return Ok(false);
        };
        let request = OnlineRequest { id: id.to_owned() };
        let answer: YesNo = grpc::call(self.channel(&address), ONLINE, request, None).await?;
        Ok(answer.yes)
    }

    /// Its `BroadcastV2`: one call for each node; returns their answers.
    pub(crate) async fn broadcast(&self, data: &str) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for address in entries(&*self.registry).await.into_values() {
            let request = BroadcastRequest {
                data: data.as_bytes().to_vec(),
            };
            let channel = self.channel(&address);
            let answer: Count = grpc::call(channel, BROADCAST, request, None).await.unwrap();
            counts.insert(address, answer.count);
        }
        counts
    }

    /// Its first `Broadcast`: one call for each client; the entry of each that answers `false` is
    /// deleted.
    pub(crate) async fn broadcast_one_by_one(&self, data: &str) {
        for id in entries(&*self.registry).await.into_keys() {
            if let Ok(false) = self.emit(&id, data.as_bytes()).await {
                self.registry.delete(&id).await.unwrap();
            }
        }
    }

    fn channel(&self, address: &str) -> Channel {
        let mut channels = self.channels.lock();
        let channel = channels.entry(address.to_owned());
        channel.or_insert_with(|| grpc::channel(address)).clone()
    }
}

impl Clients {
    fn emit(&self, request: EmitRequest) -> YesNo {
        let mut clients = self.0.lock();
        let client = clients.get_mut(&request.id);
        let yes = client.map(|sent| sent.push(request.data)).is_some();
        YesNo { yes }
    }

    fn broadcast(&self, request: &BroadcastRequest) -> Count {
        let mut clients = self.0.lock();
        clients
            .values_mut()
            .for_each(|sent| sent.push(request.data.clone()));
        // It answers 1, however many clients it has.
        Count { count: 1 }
    }
}

impl NamedService for Clients {
    const NAME: &'static str = "websocket.Websocket";
}

impl tower_service::Service<Request<Body>> for Clients {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clients = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                EMIT => answer(move |asked| clients.emit(asked), request).await,
                ONLINE => {
                    let online = move |asked: OnlineRequest| YesNo {
                        yes: clients.0.lock().contains_key(&asked.id),
                    };
                    answer(online, request).await
                }
                BROADCAST => answer(move |asked| clients.broadcast(&asked), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// A method as a function.
struct Method<F>(F);

impl<F, M, R> UnaryService<M> for Method<F>
where
    F: FnMut(M) -> R,
{
    type Response = R;
    type Future = Ready<Result<tonic::Response<R>, Status>>;

    fn call(&mut self, request: tonic::Request<M>) -> Self::Future {
        ready(Ok(tonic::Response::new((self.0)(request.into_inner()))))
    }
}

async fn answer<M, R>(method: impl FnMut(M) -> R, request: Request<Body>) -> Response<Body>
where
    M: prost::Message + Default + 'static,
    R: prost::Message + 'static,
{
    let mut grpc = Grpc::new(ProstCodec::<R, M>::default());
    grpc.unary(Method(method), request).await
}
