//! One HTTP/2 connection to a peer.
//!
//! Owns TCP, TLS and HTTP/2 of the outbound side, and the tasks that HTTP/2 spawns on either side. Must not
//! know what is sent. Invariant: these tasks end as soon as their connection does.
//!
//! Uses hyper rather than tonic's channel: the channel hides when a connection opens and ends, and has a
//! queue in front of it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use super::config::{
    CONNECTION_WINDOW, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, LinkConfig, SEND_BUFFER,
    STREAM_WINDOW,
};

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the address does not have the form host:port")]
    Address,
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    #[error("HTTP/2 failed: {0}")]
    Http(#[source] hyper::Error),
}

/// A connection for gRPC calls. Its tasks end when this is dropped.
pub(super) struct Connection {
    pub(super) requests: Requests,
    pub(super) origin: http::Uri,
    /// Whether nobody on the way can read what is sent: TLS, or loopback.
    pub(super) is_private: bool,
    tasks: Tasks,
}

impl Connection {
    /// Connects to `host:port`.
    pub(super) async fn dial(
        address: &str,
        config: &LinkConfig,
        tracker: &TaskTracker,
    ) -> Result<Self, DialError> {
        let credentials = config.trust.credentials();
        let origin = origin(address, credentials.is_some())?;
        let tcp = TcpStream::connect(address)
            .await
            .map_err(DialError::Connect)?;
        tcp.set_nodelay(true).map_err(DialError::Connect)?;
        let peer = tcp.peer_addr().map_err(DialError::Connect)?;
        let tasks = Tasks::new(tracker.clone());
        let requests = match &credentials {
            None => handshake(tcp, &tasks).await?,
            Some(credentials) => {
                let host = origin.host().unwrap_or_default();
                let name = credentials
                    .name(host.trim_matches(['[', ']']))
                    .ok_or(DialError::Address)?;
                let tls = credentials.connector.connect(name, tcp).await;
                handshake(tls.map_err(DialError::Tls)?, &tasks).await?
            }
        };
        Ok(Self {
            requests,
            origin,
            is_private: credentials.is_some() || peer.ip().to_canonical().is_loopback(),
            tasks,
        })
    }

    /// The connection's tasks: ending them ends the connection.
    pub(super) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

fn origin(address: &str, has_tls: bool) -> Result<http::Uri, DialError> {
    let scheme = if has_tls { "https" } else { "http" };
    let origin: http::Uri = format!("{scheme}://{address}")
        .parse()
        .map_err(|_| DialError::Address)?;
    origin.host().ok_or(DialError::Address)?;
    Ok(origin)
}

async fn handshake<I>(io: I, tasks: &Tasks) -> Result<Requests, DialError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (requests, connection) = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await
        .map_err(DialError::Http)?;
    // The calls on the connection report how it ended.
    tasks.spawn(async { drop(connection.await) });
    Ok(Requests(requests))
}

/// The tasks of one connection.
#[derive(Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    spawned: Arc<Mutex<Spawned>>,
}

#[derive(Default)]
struct Spawned {
    handles: Vec<AbortHandle>,
    ended: bool,
}

/// Handles of ended tasks are dropped each time at least this many have been added.
const HANDLES_PER_CLEANUP: usize = 64;

impl Tasks {
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self {
            tracker,
            spawned: Arc::default(),
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut spawned = self.spawned.lock();
        if spawned.ended {
            return;
        }
        if spawned.handles.len() == spawned.handles.capacity() {
            spawned.handles.retain(|handle| !handle.is_finished());
            let room = HANDLES_PER_CLEANUP.max(spawned.handles.len());
            spawned.handles.reserve(room);
        }
        let handle = self.tracker.spawn(task).abort_handle();
        spawned.handles.push(handle);
    }

    /// Aborts all of them. A task that is spawned later does not run.
    pub(super) fn end(&self) {
        let handles = {
            let mut spawned = self.spawned.lock();
            spawned.ended = true;
            std::mem::take(&mut spawned.handles)
        };
        handles.iter().for_each(AbortHandle::abort);
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.spawn(async { drop(future.await) });
    }
}

/// Sends requests on a connection: the service that tonic's clients call.
#[derive(Clone)]
pub(super) struct Requests(http2::SendRequest<Body>);

impl Requests {
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl tower_service::Service<http::Request<Body>> for Requests {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
