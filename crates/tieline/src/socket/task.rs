//! The handler behind a socket, and the task of its application.
//!
//! Owns the hand-over of a client's messages to the inbox, and the start of the application's task. Must not
//! know who takes the messages. Invariant: the end is told after everything else.

use std::{any::Any, future::poll_fn, marker::PhantomData, sync::Arc, task::Poll};

use tieline_websocket::Message;

use super::{api::Socket, inbox::Inbox};
use crate::{
    close::CloseReason,
    handler::{ConnectionError, Handler},
    hub::{Connection, Corked},
};

/// What the task of a connection with a socket calls.
pub(crate) struct SocketHandler<F>(PhantomData<fn(F)>);

/// The state of such a connection. Two pointers, so that its task is as small as one with callbacks.
pub(crate) struct SocketState<F> {
    /// The application; `None` once it runs.
    run: Option<Box<F>>,
    inbox: Arc<Inbox>,
}

impl<F> SocketHandler<F> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<F> SocketState<F> {
    /// The handler is that of the node.
    pub(crate) fn new(run: F, handler: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            run: Some(Box::new(run)),
            inbox: Arc::new(Inbox::new(handler)),
        }
    }
}

/// The connection's task is gone, however it ended: nothing more will come.
impl<F> Drop for SocketState<F> {
    fn drop(&mut self) {
        self.inbox.end();
    }
}

impl<F, T> Handler for SocketHandler<F>
where
    F: FnOnce(Socket) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    type State = SocketState<F>;

    async fn on_connect(&self, connection: &Connection, state: &mut Self::State) {
        if let Some(run) = state.run.take() {
            let socket = Socket::new(connection.clone(), Arc::clone(&state.inbox));
            let task = Corked::new(run(socket));
            connection.hub().tasks().spawn(task);
        }
    }

    async fn on_message(&self, connection: &Connection, state: &mut Self::State, message: Message) {
        let mut message = Some(message);
        poll_fn(|cx| {
            let pushed = state.inbox.poll_push(cx, &mut message);
            // A close does not wait until the application has taken what came before it.
            if pushed.is_pending() && !connection.is_open() {
                return Poll::Ready(());
            }
            pushed
        })
        .await;
    }

    async fn on_error(&self, _: &Connection, state: &mut Self::State, error: ConnectionError) {
        state.inbox.push_error(error);
    }

    async fn on_disconnect(&self, _: &Connection, state: &mut Self::State, _: CloseReason) {
        state.inbox.end();
    }
}
