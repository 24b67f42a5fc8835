//! Clients that read everything they are sent, and record it and how they ended.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::{
    net::TcpStream,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::node_process::{NodeProcess, Setup};

/// How long a client waits for the answer to its upgrade.
const PATIENCE: Duration = Duration::from_secs(8);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connected client; dropping it disconnects.
pub(super) struct Client {
    pub(super) id: String,
    /// The address of its node, as in the registry.
    pub(super) node: String,
    /// When it asked for its upgrade, and when it was accepted.
    pub(super) asked: Instant,
    pub(super) connected_at: Instant,
    seen: Arc<Mutex<Seen>>,
    changed: watch::Receiver<()>,
    reading: AbortHandle,
}

/// What a client received.
#[derive(Debug, Default)]
struct Seen {
    texts: Vec<String>,
    end: Option<End>,
}

/// How and when a connection ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The code of the close frame, if one came.
    pub(super) code: Option<u16>,
    /// Whether the client disconnected.
    pub(super) left: bool,
    pub(super) at: Instant,
}

/// Why a client was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// Refused with this status and body.
    Refused(u16, String),
    /// No answer came.
    NoAnswer,
}

impl Client {
    /// Connects to a node.
    pub(super) async fn connect(node: &NodeProcess, id: &str) -> Result<Self, ConnectError> {
        Self::connect_at(&node.setup, id).await
    }

    /// Connects to the node of a setup.
    pub(super) async fn connect_at(node: &Setup, id: &str) -> Result<Self, ConnectError> {
        let asked = Instant::now();
        let url = format!("ws://{}/ws?id={id}", node.clients);
        // Hundreds of clients share one process.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let connecting = connect_async_with_config(url, Some(config), true);
        let socket = match timeout(PATIENCE, connecting).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(Error::Http(answer))) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let text = String::from_utf8_lossy(body).into_owned();
                return Err(ConnectError::Refused(answer.status().as_u16(), text));
            }
            Ok(Err(_)) | Err(_) => return Err(ConnectError::NoAnswer),
        };
        let (notify, changed) = watch::channel(());
        let seen = Arc::<Mutex<Seen>>::default();
        let reading = tokio::spawn(read(socket, Arc::clone(&seen), notify));
        Ok(Self {
            id: id.to_owned(),
            node: node.advertise.clone(),
            asked,
            connected_at: Instant::now(),
            seen,
            changed,
            reading: reading.abort_handle(),
        })
    }

    /// Ends the connection without a close frame.
    pub(super) fn leave(&self) {
        self.reading.abort();
        let mut seen = self.seen.lock();
        seen.end.get_or_insert(End {
            code: None,
            left: true,
            at: Instant::now(),
        });
    }

    pub(super) fn is_connected(&self) -> bool {
        self.end().is_none()
    }

    pub(super) fn end(&self) -> Option<End> {
        self.seen.lock().end
    }

    pub(super) fn has_received(&self, text: &str) -> bool {
        self.seen
            .lock()
            .texts
            .iter()
            .any(|received| received == text)
    }

    /// All texts, in the order of arrival.
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen.lock().texts.clone()
    }

    /// Waits for a text; the deadline of the test bounds it.
    pub(super) async fn until_received(&self, text: &str) {
        self.until(|seen| seen.texts.iter().any(|received| received == text))
            .await;
    }

    /// Waits for the end of the connection, and returns the code of its close frame.
    pub(super) async fn until_ended(&self) -> Option<u16> {
        self.until(|seen| seen.end.is_some()).await;
        self.end().unwrap().code
    }

    async fn until(&self, holds: impl Fn(&Seen) -> bool) {
        let mut changed = self.changed.clone();
        while !holds(&self.seen.lock()) {
            changed.changed().await.expect("the connection lasts");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut socket: Socket, seen: Arc<Mutex<Seen>>, notify: watch::Sender<()>) {
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => seen.lock().texts.push(text.to_string()),
            Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
            _ => {}
        }
        notify.send_replace(());
    }
    let (left, at) = (false, Instant::now());
    seen.lock().end.get_or_insert(End { code, left, at });
    notify.send_replace(());
}
