//! What a node's handler was called with, in order, and waiting for it.

use std::sync::Arc;

use parking_lot::Mutex;
use tieline::{CloseReason, ConnectionError, Message};
use tokio::sync::watch;

/// One moment of a handler's work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogEvent {
    /// Which accepted socket, in the order of their acceptance.
    pub(crate) serial: usize,
    pub(crate) id: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Connecting,
    Connected,
    Message(Message),
    /// `on_message` has returned.
    Handled,
    Error(ConnectionError),
    /// `on_disconnect` was called.
    Disconnect(CloseReason),
}

/// The events of a node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    events: Arc<Mutex<Vec<LogEvent>>>,
    changed: watch::Sender<()>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            events: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn push(&self, serial: usize, id: &str, what: What) {
        let id = id.to_owned();
        self.events.lock().push(LogEvent { serial, id, what });
        self.changed.send_replace(());
    }

    pub(crate) fn all(&self) -> Vec<LogEvent> {
        self.events.lock().clone()
    }

    /// What happened to the connections with an id.
    pub(crate) fn of(&self, id: &str) -> Vec<What> {
        let of_id = |event: LogEvent| (event.id == id).then_some(event.what);
        self.all().into_iter().filter_map(of_id).collect()
    }

    /// The messages of the connections with an id.
    pub(crate) fn messages(&self, id: &str) -> Vec<Message> {
        let message = |what| match what {
            What::Message(message) => Some(message),
            _ => None,
        };
        self.of(id).into_iter().filter_map(message).collect()
    }

    /// The reasons for which the connections with an id ended, one for each `on_disconnect`.
    pub(crate) fn disconnects(&self, id: &str) -> Vec<CloseReason> {
        let reason = |what| match what {
            What::Disconnect(reason) => Some(reason),
            _ => None,
        };
        self.of(id).into_iter().filter_map(reason).collect()
    }

    /// Waits until something in the log answers the question.
    pub(crate) async fn until<T>(&self, ask: impl Fn(&[LogEvent]) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(answer) = ask(&self.events.lock()) {
                return answer;
            }
            changes.changed().await.unwrap();
        }
    }

    /// Waits for an event of a connection with this id.
    pub(crate) async fn until_of(&self, id: &str, what: What) {
        self.until(|events| {
            let mut of_id = events.iter().filter(|event| event.id == id);
            of_id.find(|event| event.what == what).map(drop)
        })
        .await;
    }

    /// Waits for the first message of a connection with this id.
    pub(crate) async fn heard(&self, id: &str) {
        self.until(|events| {
            let mut of_id = events.iter().filter(|event| event.id == id);
            of_id
                .find(|event| matches!(event.what, What::Message(_)))
                .map(drop)
        })
        .await;
    }

    /// Waits until a connection with this id has ended, and says why.
    pub(crate) async fn end_of(&self, id: &str) -> CloseReason {
        self.until(|events| {
            events.iter().find_map(|event| match &event.what {
                What::Disconnect(reason) if event.id == id => Some(reason.clone()),
                _ => None,
            })
        })
        .await
    }
}
