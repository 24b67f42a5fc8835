//! A node on a free port.

use std::net::SocketAddr;

use tieline::{
    Accept, Config, Connection, Dialects, Drained, Handler, Hub, Listener, Node, Refusal,
    UpgradeRequest,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Client, Log, Probe, Raw, dialects::filter};

pub(crate) struct Server {
    pub(crate) node: Node<Probe>,
    pub(crate) hub: Hub,
    pub(crate) log: Log,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

/// A listener on a free port, and its address.
pub(crate) async fn listen() -> (Listener, SocketAddr) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves a node with a handler of the test's own, on a free port.
pub(crate) async fn serve<H: Handler, D>(
    node: Node<H>,
    authorize: impl Fn(UpgradeRequest) -> D + Send + Sync + 'static,
) -> SocketAddr
where
    D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let forever = std::future::pending();
        node.serve(listener, authorize, forever).await
    });
    address
}

impl Server {
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, |listener| listener).await
    }

    pub(crate) async fn start_with(config: Config, adapt: fn(Listener) -> Listener) -> Self {
        Self::serve(Hub::new(config).unwrap(), adapt).await
    }

    pub(crate) async fn in_dialects(config: Config, dialects: Dialects) -> Self {
        let hub = Hub::with_filters(config, dialects, filter).unwrap();
        Self::serve(hub, |listener| listener).await
    }

    async fn serve(hub: Hub, adapt: fn(Listener) -> Listener) -> Self {
        let (listener, address) = listen().await;
        let listener = adapt(listener);
        let probe = Probe::new();
        probe.hub.set(hub.clone()).unwrap();
        let log = probe.log.clone();
        let node = Node::new(hub.clone(), probe.clone());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn({
            let node = node.clone();
            async move {
                let authorize = move |request| probe.clone().authorize(request);
                let stopped = async { drop(stopped.await) };
                node.serve(listener, authorize, stopped).await
            }
        });
        Self {
            node,
            hub,
            log,
            address,
            stop,
            served,
        }
    }

    /// Ends `Node::serve` and returns what its drain did.
    pub(crate) async fn stop(self) -> Drained {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }

    /// A client as most are: it answers pings and closes.
    pub(crate) async fn client(&self, query: &str) -> Client {
        Client::connect(self.address, query).await
    }

    /// A client that does only what the test says.
    pub(crate) async fn raw(&self, query: &str) -> Raw {
        let (mut raw, answer) = Raw::open(self.address, &format!("/?{query}"), "").await;
        assert_eq!(answer.status, 101, "{answer:?}");
        raw.serial = answer.header("x-serial").unwrap().parse().unwrap();
        raw
    }

    /// The same with a receive window so small that what it does not read soon waits at the server.
    pub(crate) async fn narrow(&self, query: &str) -> Raw {
        let mut raw = Raw::narrow(self.address).await;
        let answer = raw.upgrade(&format!("/?{query}"), "").await;
        assert_eq!(answer.status, 101, "{answer:?}");
        raw
    }

    /// Several clients with ids `{prefix}0`, `{prefix}1` and so on.
    pub(crate) async fn crowd(&self, prefix: &str, count: usize, query: &str) -> Vec<Raw> {
        let mut crowd = Vec::new();
        for i in 0..count {
            crowd.push(self.raw(&format!("id={prefix}{i}&{query}")).await);
        }
        crowd
    }

    /// The answer to an upgrade request, and what follows it.
    pub(crate) async fn ask(&self, query: &str, headers: &str) -> super::HttpResponse {
        Raw::open(self.address, &format!("/?{query}"), headers)
            .await
            .1
    }

    pub(crate) fn connection(&self, id: &str) -> Connection {
        self.hub.connection(id).unwrap()
    }

    /// Lets `permits` waiting steps go on.
    pub(crate) fn open_gate(&self, permits: usize) {
        self.node.handler().gate.add_permits(permits);
    }

    /// Waits until every connection's task has ended.
    pub(crate) async fn empty(&self) {
        super::eventually(|| self.hub.is_empty()).await;
    }

    /// The node serves a newcomer: what happened to others did it no harm.
    pub(crate) async fn assert_unharmed(&self) {
        let mut client = self.client("id=unharmed").await;
        client.send("are you well?").await;
        assert_eq!(client.text().await, "are you well?");
        client.close(1000).await;
    }
}
