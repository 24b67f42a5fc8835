//! The node: hub and handler, and the tasks of its connections.
//!
//! Owns the tasks, and whether the node is ready or draining. Must not know HTTP requests or listeners.
//! Invariant: every task it starts is tracked, so that a drain can wait for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hyper::upgrade::OnUpgrade;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::farewells::Farewells;
#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::{
    connection::{ConnectionTask, NewClient, take_socket},
    farewell::Farewell,
    handler::Handler,
    hub::{Asked, ConnectionGuard, HandlerSlot, Hub, RequestHandler},
};

/// A process that holds connections: a hub and a handler, served and drained. Cheap to clone; all clones are
/// the same node.
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
pub struct Node<H: Handler>(pub(super) Arc<NodeInner<H>>);

#[derive(Debug)]
pub(super) struct NodeInner<H> {
    hub: Hub,
    handler: Arc<H>,
    slot: HandlerSlot,
    pub(super) tasks: TaskTracker,
    pub(super) farewells: Farewells,
    ready: AtomicBool,
    draining: AtomicBool,
    #[cfg(feature = "cluster")]
    cluster: Option<Cluster>,
}

impl<H: Handler> Node<H> {
    /// A node with this hub, whose connections this handler serves.
    pub fn new(hub: Hub, handler: H) -> Self {
        Self(Arc::new(NodeInner::new(hub, handler)))
    }

    /// A node of a cluster: clients that connect here are registered, and a drain ends with leaving the
    /// cluster. A handler that sends to clients of other nodes holds a clone of the cluster.
    #[cfg(feature = "cluster")]
    pub fn in_cluster(cluster: Cluster, handler: H) -> Self {
        let mut inner = NodeInner::new(cluster.hub().clone(), handler);
        inner.cluster = Some(cluster);
        Self(Arc::new(inner))
    }

    /// The cluster, if the node is part of one.
    #[cfg(feature = "cluster")]
    pub fn cluster(&self) -> Option<&Cluster> {
        self.0.cluster.as_ref()
    }

    /// The hub, which holds the connections.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The application's callbacks.
    pub fn handler(&self) -> &H {
        &self.0.handler
    }

    pub(crate) fn shared_handler(&self) -> Arc<H> {
        Arc::clone(&self.0.handler)
    }

    /// Whether load balancers should send new connections here: true until a drain or
    /// [`Node::set_ready`]`(false)`, and false while another process has the node's address in the cluster.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire) && !self.is_draining() && !self.is_in_conflict()
    }

    /// Sets whether load balancers should send new connections here. Those that come are accepted either way:
    /// set it to false some seconds before a drain, so that balancers notice in time. Peers are told, for
    /// `Cluster::has_ready_peer`.
    pub fn set_ready(&self, ready: bool) {
        if self.0.ready.swap(ready, Ordering::AcqRel) != ready {
            self.announce_ready(ready);
        }
    }

    /// Begins the drain, for good.
    pub(super) fn begin_drain(&self) {
        if !self.0.draining.swap(true, Ordering::AcqRel) {
            self.announce_ready(false);
        }
    }

    /// Who answers requests about the connections of this node.
    pub(crate) fn handler_slot(&self) -> HandlerSlot {
        self.0.slot
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Makes a drain wait until the token is dropped.
    pub(crate) fn track(&self) -> TaskTrackerToken {
        self.0.tasks.token()
    }

    /// A place for a client that is to be told after the upgrade that it is refused; `None` if there are as many as may
    /// be.
    pub(crate) fn place_for_farewell(&self) -> Option<OwnedSemaphorePermit> {
        self.0.farewells.place()
    }

    /// Tells such a client, once the upgrade has completed.
    pub(crate) fn start_farewell(
        &self,
        place: OwnedSemaphorePermit,
        farewell: Farewell,
        on_upgrade: OnUpgrade,
    ) {
        let config = self.hub().config();
        self.0.farewells.start(place, farewell, on_upgrade, config);
    }

    /// Starts the task of a registered connection, once the upgrade has completed. Two tasks, so that the
    /// connection's is no larger than the connection needs.
    pub(crate) fn start<T: Handler>(
        &self,
        handler: Arc<T>,
        guard: ConnectionGuard,
        client: NewClient<T::State>,
        on_upgrade: OnUpgrade,
        deadline: Instant,
    ) {
        let tasks = self.0.tasks.clone();
        self.0.tasks.spawn(async move {
            match tokio::time::timeout_at(deadline, on_upgrade).await {
                Ok(Ok(upgraded)) => {
                    let parts = take_socket(upgraded);
                    let task = ConnectionTask::new(handler, guard, client, parts);
                    tasks.spawn(task.run());
                }
                Ok(Err(error)) => tracing::debug!(%error, "client disconnected during the upgrade"),
                Err(_) => tracing::debug!("upgrade timed out"),
            }
        });
    }
}

impl<H: Handler> NodeInner<H> {
    fn new(hub: Hub, handler: H) -> Self {
        let (handler, tasks) = (Arc::new(handler), TaskTracker::new());
        let answers: Arc<dyn RequestHandler<Asked>> = handler.clone();
        Self {
            slot: hub.add_handler(&answers, &tasks),
            farewells: Farewells::new(hub.config()),
            hub,
            handler,
            tasks,
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

    /// Tells peers whether this node is ready. A drain and an unready node are told apart, and each is taken back
    /// by itself.
    fn announce_ready(&self, ready: bool) {
        if let Some(cluster) = self.cluster() {
            cluster.announce_ready(ready);
        }
    }
}

#[cfg(not(feature = "cluster"))]
impl<H: Handler> Node<H> {
    #[expect(
        clippy::unused_self,
        reason = "a single node has no peers to conflict with"
    )]
    fn is_in_conflict(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "a single node has no peers to tell")]
    fn announce_ready(&self, _: bool) {}
}

impl<H: Handler> Clone for Node<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
