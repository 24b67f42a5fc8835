//! Requests to the handler: about a connection, or to the node itself.
//!
//! Owns the calls that ask on this node. Must not know handlers: [`handlers`](super::handlers) has them.
//! Invariant: a request about a connection is answered by the handler of the node that accepted it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    core::{Asked, Hub},
    handlers::{HandlerSlot, RequestHandler, RunningRequest},
    inner::ConnectionInner,
};
use crate::ask::{Ask, AskError, timed_out_at};

/// For the nodes that serve it.
impl Hub {
    /// Makes a handler answer the requests about connections of its slot.
    pub(crate) fn add_handler(
        &self,
        handler: &Arc<dyn RequestHandler<Asked>>,
        tasks: &TaskTracker,
    ) -> HandlerSlot {
        self.inner.handlers.add(handler, tasks)
    }
}

/// Asking.
impl Hub {
    /// Asks the handler about a client of this node: hands `request` to
    /// [`Handler::on_request`](crate::Handler::on_request), and yields its reply. [`AskError::Offline`] if the client
    /// is not on this node. Costs a task.
    ///
    /// What the callback sends to the client arrives behind what this task has sent to it before.
    ///
    /// ```
    /// use tieline::{Bytes, Connection, Handler, Hub, Message, RequestError};
    ///
    /// struct Chat;
    ///
    /// impl Handler for Chat {
    ///     type State = ();
    ///
    ///     async fn on_message(&self, _: &Connection, _: &mut (), _: Message) {}
    ///
    ///     async fn on_request(
    ///         &self,
    ///         connection: &Connection,
    ///         request: Bytes,
    ///     ) -> Result<Bytes, RequestError> {
    ///         match &*request {
    ///             b"groups" => Ok(connection.groups().join(",").into()),
    ///             _ => Err(RequestError::unsupported()),
    ///         }
    ///     }
    /// }
    ///
    /// async fn groups(hub: &Hub, id: &str) -> Result<Bytes, tieline::AskError> {
    ///     hub.ask(id, "groups").await
    /// }
    /// ```
    pub fn ask(&self, id: &str, request: impl Into<Bytes>) -> Ask {
        let id: Arc<str> = self.names().key(id).into();
        let (hub, request) = (self.clone(), request.into());
        Ask::new(move |deadline| async move { hub.ask_by(&id, request, deadline).await })
    }

    /// Asks about the client with this key.
    pub(crate) async fn ask_by(
        &self,
        id: &str,
        request: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, AskError> {
        let answer = async {
            #[cfg(feature = "cluster")]
            while let Some(decision) = self.decision(id) {
                decision.await;
            }
            let conn = self.find_open(id).ok_or(AskError::Offline)?;
            self.start_request(&conn, request, deadline)?.await
        };
        timed_out_at(deadline, answer).await
    }

    /// Starts to answer a request about a connection.
    pub(crate) fn start_request(
        &self,
        conn: &Arc<ConnectionInner>,
        request: Bytes,
        deadline: Instant,
    ) -> Result<RunningRequest, AskError> {
        let asked = Asked::Client(self.clone(), Arc::clone(conn));
        let limit = self.config().max_requests;
        let handlers = &self.inner.handlers;
        handlers.start(Some(conn.handler), limit, asked, request, deadline)
    }

    /// Starts to answer a request to this node.
    #[cfg(feature = "cluster")]
    pub(crate) fn start_node_request(
        &self,
        request: Bytes,
        deadline: Instant,
    ) -> Result<RunningRequest, AskError> {
        let limit = self.config().max_requests;
        let handlers = &self.inner.handlers;
        handlers.start(None, limit, Asked::Node, request, deadline)
    }
}
