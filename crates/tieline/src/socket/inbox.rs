//! The messages that a client has sent and the application has not yet taken.
//!
//! Owns the bound of what waits, and whom to wake. Must not know the connection. Invariants: messages come
//! out in the order in which they went in, and nothing after the end; one message always fits an empty
//! inbox; an empty inbox holds no more than a few slots; nobody is woken under the lock.

use std::{
    any::Any,
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use parking_lot::Mutex;
use tieline_websocket::Message;
use tokio::task::coop;

use crate::handler::ConnectionError;

/// Messages that wait before the client is not read from any more, and their bytes.
const MAX_MESSAGES: usize = 64;
const MAX_BYTES: usize = 64 * 1024;

/// Slots that an empty inbox keeps, so that messages which come one by one do not allocate.
const KEPT_SLOTS: usize = 4;

/// What the application receives.
pub(super) type Received = Result<Message, ConnectionError>;

/// Shared by the connection's task, which fills it, and the socket.
pub(super) struct Inbox {
    state: Mutex<State>,
    /// The node's handler, which answers requests about the connection, lives as long as that.
    _handler: Arc<dyn Any + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Received>,
    bytes: usize,
    /// Nothing more will come.
    ended: bool,
    /// Nobody will take anything.
    abandoned: bool,
    reader: Option<Waker>,
    /// The connection's task, if it waits for room.
    writer: Option<Waker>,
    /// Who waits for the end of the connection.
    closer: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(handler: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            state: Mutex::default(),
            _handler: handler,
        }
    }
}

/// What the connection's task does.
impl Inbox {
    /// Adds a message when there is room, or drops it if nobody will take it.
    pub(super) fn poll_push(
        &self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<()> {
        let mut state = self.state.lock();
        if state.abandoned {
            return Poll::Ready(());
        }
        if state.queue.len() >= MAX_MESSAGES || state.bytes >= MAX_BYTES {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let reader = message.take().and_then(|message| state.add(Ok(message)));
        drop(state);
        wake(reader);
        Poll::Ready(())
    }

    /// Adds an error, whether there is room or not: there is at most one, or a few.
    pub(super) fn push_error(&self, error: ConnectionError) {
        let reader = self.state.lock().add(Err(error));
        wake(reader);
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let waiting = [state.reader.take(), state.closer.take()];
        drop(state);
        waiting.into_iter().for_each(wake);
    }
}

/// What the socket does.
impl Inbox {
    /// Takes what came first; `None` at the end.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        // A task whose client sends without a pause would never wait, and no other task would get a turn.
        let coop = ready!(coop::poll_proceed(cx));
        let mut state = self.state.lock();
        let Some(received) = state.queue.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= length(&received);
        if state.queue.is_empty() {
            state.queue.shrink_to(KEPT_SLOTS);
        }
        // Not after each message: the task would fill the inbox one by one. An inbox that is empty has room.
        let has_room = state.queue.len() <= MAX_MESSAGES / 2 && state.bytes <= MAX_BYTES / 2;
        let writer = state.writer.take_if(|_| has_room);
        drop(state);
        wake(writer);
        coop.made_progress();
        Poll::Ready(Some(received))
    }

    /// Waits for the end of the connection.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.ended {
            return Poll::Ready(());
        }
        state.closer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Nobody will take anything any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.bytes = 0;
        let (queue, writer) = (std::mem::take(&mut state.queue), state.writer.take());
        drop(state);
        drop(queue);
        wake(writer);
    }
}

impl State {
    /// Adds what was received; returns whom to wake.
    fn add(&mut self, received: Received) -> Option<Waker> {
        self.bytes += length(&received);
        self.queue.push_back(received);
        self.reader.take()
    }
}

fn length(received: &Received) -> usize {
    received.as_ref().map_or(0, Message::len)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CX: Context<'static> = Context::from_waker(Waker::noop());

    fn push(inbox: &Inbox, length: usize) -> bool {
        let mut message = Some(Message::Binary(vec![0; length]));
        inbox.poll_push(&mut { CX }, &mut message).is_ready()
    }

    fn recv(inbox: &Inbox) -> Poll<Option<Received>> {
        inbox.poll_recv(&mut { CX })
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let inbox = Inbox::new(Arc::new(()));
        let count = (0..1000).take_while(|_| push(&inbox, 1)).count();
        assert_eq!(count, MAX_MESSAGES);
        for _ in 0..MAX_MESSAGES {
            assert!(recv(&inbox).is_ready());
        }
        assert!(push(&inbox, 10 * MAX_BYTES), "one always fits");
        assert!(!push(&inbox, 0));
        assert!(recv(&inbox).is_ready());
        assert!(push(&inbox, 0));
    }

    #[test]
    fn the_writer_is_told_of_room_when_half_is_taken() {
        let inbox = Inbox::new(Arc::new(()));
        while push(&inbox, 1) {}
        assert!(inbox.state.lock().writer.is_some());
        for _ in 0..MAX_MESSAGES / 2 {
            assert!(inbox.state.lock().writer.is_some());
            assert!(recv(&inbox).is_ready());
        }
        assert!(inbox.state.lock().writer.is_none());
    }

    #[test]
    fn messages_come_before_the_error_and_the_end() {
        let inbox = Inbox::new(Arc::new(()));
        assert!(push(&inbox, 7));
        inbox.push_error(ConnectionError::Panic);
        inbox.end();
        assert!(matches!(recv(&inbox), Poll::Ready(Some(Ok(message))) if message.len() == 7));
        let error = Poll::Ready(Some(Err(ConnectionError::Panic)));
        assert_eq!(recv(&inbox), error);
        assert_eq!(recv(&inbox), Poll::Ready(None));
        assert_eq!(recv(&inbox), Poll::Ready(None));
    }

    #[test]
    fn an_empty_inbox_keeps_few_slots() {
        let inbox = Inbox::new(Arc::new(()));
        while push(&inbox, 1) {}
        while recv(&inbox).is_ready() {}
        assert!(inbox.state.lock().queue.capacity() <= KEPT_SLOTS);
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let inbox = Inbox::new(Arc::new(()));
        while push(&inbox, 1) {}
        inbox.abandon();
        assert!(push(&inbox, 1));
        assert!(inbox.state.lock().queue.is_empty());
        assert!(inbox.state.lock().writer.is_none());
    }
}
