//! The node: hub and handler, and the tasks of its connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use super::Drained;
#[cfg(feature = "cluster")]
use crate::Cluster;
use crate::{
    Accept, Handler, HttpService, Hub, Listener, Refusal, UpgradeRequest,
    connection::{ConnectionTask, detach},
    hub::ConnectionGuard,
    serve::NodeService,
};

/// One process that holds connections. Cheap to clone; all clones are the same node.
///
/// ```no_run
/// # use tieline::{Accept, Config, Connection, Handler, Hub, Listener, Message, Node};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     type State = ();
/// #     async fn on_message(&self, connection: &Connection, _: &mut (), message: Message) {
/// #         connection.emit(message);
/// #     }
/// # }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new(Hub::new(Config::default())?, Echo);
/// let listener = Listener::bind("127.0.0.1:8080").await?;
/// let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
/// node.serve(listener, |_| async { Ok(Accept::new(())) }, ctrl_c).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Node<H: Handler>(pub(super) Arc<Inner<H>>);

#[derive(Debug)]
pub(super) struct Inner<H> {
    hub: Hub,
    handler: Arc<H>,
    pub(super) tasks: TaskTracker,
    ready: AtomicBool,
    pub(super) draining: AtomicBool,
    #[cfg(feature = "cluster")]
    cluster: Option<Cluster>,
}

impl<H: Handler> Node<H> {
    /// A node of this hub, whose connections this handler serves.
    pub fn new(hub: Hub, handler: H) -> Self {
        Self(Arc::new(Inner::new(hub, handler)))
    }

    /// A node of a cluster: what connects here is registered, and a drain ends by leaving the cluster.
    /// A handler that sends to other nodes' clients holds a clone of the cluster.
    #[cfg(feature = "cluster")]
    pub fn in_cluster(cluster: Cluster, handler: H) -> Self {
        let mut inner = Inner::new(cluster.hub().clone(), handler);
        inner.cluster = Some(cluster);
        Self(Arc::new(inner))
    }

    /// The cluster that it is part of.
    #[cfg(feature = "cluster")]
    pub fn cluster(&self) -> Option<&Cluster> {
        self.0.cluster.as_ref()
    }

    /// The connections.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The application.
    pub fn handler(&self) -> &H {
        &self.0.handler
    }

    /// Whether balancers should send new connections here: until a drain, or
    /// [`Node::set_ready`]`(false)`; and not while another process holds the node's address in the
    /// cluster.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire) && !self.is_draining() && !self.is_in_conflict()
    }

    /// Says whether balancers should send new connections here. They are accepted even so: a node that
    /// is to end says so a moment before it drains.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// An HTTP service that upgrades every request which `authorize` accepts. For applications without
    /// a router of their own; those with axum use [`Upgrade`](crate::Upgrade) as an extractor.
    pub fn service<F, D>(&self, authorize: F) -> NodeService<H, F>
    where
        F: Fn(UpgradeRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
    {
        NodeService::new(self.clone(), authorize)
    }

    /// Serves upgrades until `shutdown`, then drains: [`Node::serve_service`] of [`Node::service`].
    pub async fn serve<F, D>(
        &self,
        listener: Listener,
        authorize: F,
        shutdown: impl Future<Output = ()>,
    ) -> Drained
    where
        F: Fn(UpgradeRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Accept<H::State>, Refusal>> + Send + 'static,
    {
        self.serve_service(listener, self.service(authorize), shutdown)
            .await
    }

    /// Serves an HTTP service, such as an axum router, until `shutdown`; then the port is closed, and
    /// while requests that are under way end, the node drains.
    pub async fn serve_service(
        &self,
        listener: Listener,
        service: impl HttpService,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let stop = CancellationToken::new();
        let listener = listener.limits(self.hub().config());
        let served = listener.serve(service, stop.cancelled());
        let drained = async {
            shutdown.await;
            stop.cancel();
            self.drain().await
        };
        tokio::join!(served, drained).1
    }

    /// Makes a drain wait for as long as the token lives.
    pub(crate) fn track(&self) -> TaskTrackerToken {
        self.0.tasks.token()
    }

    /// Starts the task of an admitted connection. The upgrade completes in a task of its own, so that
    /// the connection's is no larger than the connection needs.
    pub(crate) fn start(
        &self,
        guard: ConnectionGuard,
        state: H::State,
        inflate: bool,
        on_upgrade: OnUpgrade,
        deadline: Instant,
    ) {
        let handler = Arc::clone(&self.0.handler);
        let tasks = self.0.tasks.clone();
        self.0.tasks.spawn(async move {
            match tokio::time::timeout_at(deadline, on_upgrade).await {
                Ok(Ok(upgraded)) => {
                    let parts = detach(upgraded);
                    let session = ConnectionTask::new(handler, guard, state, inflate, parts);
                    tasks.spawn(session.run());
                }
                Ok(Err(error)) => tracing::debug!(%error, "the client left during the upgrade"),
                Err(_) => tracing::debug!("the client did not take the upgrade in time"),
            }
        });
    }
}

impl<H: Handler> Inner<H> {
    fn new(hub: Hub, handler: H) -> Self {
        Self {
            hub,
            handler: Arc::new(handler),
            tasks: TaskTracker::new(),
            ready: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            #[cfg(feature = "cluster")]
            cluster: None,
        }
    }
}

#[cfg(feature = "cluster")]
impl<H: Handler> Node<H> {
    fn is_in_conflict(&self) -> bool {
        self.cluster().is_some_and(Cluster::is_in_conflict)
    }
}

#[cfg(not(feature = "cluster"))]
impl<H: Handler> Node<H> {
    #[expect(clippy::unused_self, reason = "a node alone has no address to share")]
    fn is_in_conflict(&self) -> bool {
        false
    }
}

impl<H: Handler> Clone for Node<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
