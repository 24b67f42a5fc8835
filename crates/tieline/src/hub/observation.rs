//! Observing one connection: its frames in both directions, until its end.
//!
//! Owns when a frame is told of, and who is woken. Must not know what observers do with it. Invariants: a connection
//! that nobody observes pays for nothing but the test of a flag; observers are woken without a lock.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tieline_websocket::{Action, AnyFrame, FrameKind, Message};

use super::{
    handle::Connection,
    inner::ConnectionInner,
    observers::{Direction, Kind, Observed, ObserverQueue},
    send_side::wake_observers,
    state::{Activity, Lifecycle},
};

/// The frames of one connection, as they come and go: [`Connection::observe`](crate::Connection::observe) begins one.
/// Dropping it ends it.
///
/// It keeps the memory of the connection, and not the connection itself.
pub struct Observation {
    conn: Arc<ConnectionInner>,
    queue: Arc<ObserverQueue>,
}

impl Observation {
    /// The next frame. `None` once the connection has ended, after
    /// [`Handler::on_disconnect`](crate::Handler::on_disconnect), and its last frame was yielded. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Observed> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), for a future of your own. The last task that has polled is woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Observed>> {
        self.queue.poll(cx)
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.conn.remove_observer(&self.queue);
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation")
            .field("id", &self.conn.id)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Observes the frames of this connection in both directions, from now until its end or until the
    /// [`Observation`] is dropped: to find out why a client does not get what it should.
    ///
    /// `capacity` events wait, 1 at least; when there are more, the oldest is lost, and the next one says how many
    /// were ([`Observed::missed`]). The connection never waits for its observers. Each event keeps the first `payload`
    /// bytes; with 0, none.
    ///
    /// A frame to the client is observed when it enters its outbox; whether it leaves is another matter, of which
    /// [`queued`](Self::queued) and [`emit_tracked`](Self::emit_tracked) tell. Pongs of the client are not observed.
    ///
    /// Costs some 100 bytes and the payload for each event that waits, and a lock for each frame; broadcasts to this
    /// client are queued one by one. Connections that nobody observes pay nothing. Several may observe one.
    ///
    /// ```
    /// # use tieline::Connection;
    /// /// Prints what passes, without its contents.
    /// async fn print(connection: &Connection) {
    ///     let mut observation = connection.observe(256, 0);
    ///     while let Some(frame) = observation.recv().await {
    ///         println!("{:?} {:?}, {} bytes", frame.direction, frame.kind, frame.len);
    ///     }
    ///     println!("ended: {}", connection.closed().await);
    /// }
    /// ```
    pub fn observe(&self, capacity: usize, payload: usize) -> Observation {
        let queue = Arc::new(ObserverQueue::new(capacity, payload));
        let conn = self.inner();
        conn.add_observer(&queue);
        Observation {
            conn: Arc::clone(conn),
            queue,
        }
    }
}

impl ConnectionInner {
    fn add_observer(&self, queue: &Arc<ObserverQueue>) {
        let mut send_side = self.send_side.lock();
        if self.state.reached(Lifecycle::Ended) {
            queue.end();
            return;
        }
        send_side.extras.add_observer(Arc::clone(queue));
        self.state.set(Activity::OBSERVED, true);
    }

    fn remove_observer(&self, queue: &Arc<ObserverQueue>) {
        let mut send_side = self.send_side.lock();
        if send_side.extras.remove_observer(queue) {
            self.state.set(Activity::OBSERVED, false);
        }
    }

    /// Whether anybody observes it.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.state.is(Activity::OBSERVED)
    }

    /// Tells observers of a ping, if there are any. The pong has its payload.
    pub(crate) fn observe_ping(&self, pong: &AnyFrame) {
        if self.is_observed() {
            self.tell_received((FrameKind::Ping, false), pong.payload());
        }
    }

    /// Tells observers what the client has sent.
    #[cold]
    pub(crate) fn observe_received(&self, action: &Action) {
        let close;
        let (kind, payload) = match action {
            Action::Message(message @ Message::Text(_)) => {
                ((FrameKind::Text, true), message.as_bytes())
            }
            Action::Message(message) => ((FrameKind::Binary, true), message.as_bytes()),
            Action::Chunk(chunk) => ((FrameKind::Fragment, chunk.is_first()), chunk.as_bytes()),
            Action::Close { received, .. } | Action::Closed { received } => {
                close = AnyFrame::close(received.as_ref());
                ((FrameKind::Close, false), close.payload())
            }
            _ => return,
        };
        self.tell_received(kind, payload);
    }

    fn tell_received(&self, kind: Kind, payload: &[u8]) {
        let mut send_side = self.send_side.lock();
        if let Some(observers) = send_side.extras.observers() {
            observers.push(Direction::Received, kind, payload);
        }
        wake_observers(&mut send_side);
    }
}
