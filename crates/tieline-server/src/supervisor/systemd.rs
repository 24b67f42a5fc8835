//! What systemd is told, and the sockets that it has opened.
//!
//! Owns both protocols. Must not know what is served. Invariant: without systemd, nothing here does anything, and
//! what cannot be said is not repeated: a service that runs is worth more than its state in a list.

use std::{net::TcpListener, os::unix::net::UnixListener, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::{task::JoinHandle, time::sleep};

/// Clients can connect.
pub(super) fn is_ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// A reload begins; [`is_ready`] ends it.
pub(super) fn is_reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states = [Some(NotifyState::Reloading), now];
    notify(&states.into_iter().flatten().collect::<Vec<_>>());
}

/// The node drains.
pub(super) fn is_stopping(connections: usize) {
    let status = format!("draining {connections} connections");
    notify(&[NotifyState::Stopping, NotifyState::Status(&status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Tells the watchdog of systemd, if it has one, at half its interval that the runtime makes progress. The caller
/// ends the task.
pub(super) fn feed_watchdog() -> Option<JoinHandle<()>> {
    let interval = sd_notify::watchdog_enabled()? / 2;
    Some(tokio::spawn(feed(interval)))
}

async fn feed(interval: Duration) {
    loop {
        // A new task goes through the queues, which this one, woken by its timer, need not.
        if tokio::spawn(async {}).await.is_ok() {
            notify(&[NotifyState::Watchdog]);
        }
        sleep(interval).await;
    }
}

/// The sockets that systemd has opened.
pub(super) struct PassedSockets {
    sockets: ListenFd,
    /// In the order of the sockets.
    names: Vec<String>,
}

/// A socket that systemd has opened.
pub(super) enum Passed {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Why a socket of systemd cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassedError {
    #[error("systemd has passed no socket: start the service by its socket unit (LISTEN_FDS)")]
    None,
    #[error(
        "systemd has passed no socket named {0:?}: check FileDescriptorName= of the socket unit"
    )]
    NotNamed(String),
    #[error(
        "a socket of systemd cannot be used: the socket unit must have ListenStream=, with a port or a path"
    )]
    Unusable(#[source] std::io::Error),
}

impl PassedSockets {
    pub(super) fn new() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            names: names.split(':').map(str::to_owned).collect(),
            sockets: ListenFd::from_env(),
        }
    }

    /// Takes those of a name, or all that are left.
    pub(super) fn take(&mut self, name: Option<&str>) -> Result<Vec<Passed>, PassedError> {
        let mut taken = Vec::new();
        for index in 0..self.sockets.len() {
            let own = self.names.get(index).map(String::as_str);
            if name.is_none() || name == own {
                taken.extend(self.take_one(index).map_err(PassedError::Unusable)?);
            }
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
        Err(match name {
            Some(name) => PassedError::NotNamed(name.to_owned()),
            None => PassedError::None,
        })
    }

    /// The socket at this place, unless it was taken before.
    fn take_one(&mut self, index: usize) -> std::io::Result<Option<Passed>> {
        // One of another kind stays where it is.
        if let Ok(unix) = self.sockets.take_unix_listener(index) {
            return Ok(unix.map(Passed::Unix));
        }
        let tcp = self.sockets.take_tcp_listener(index)?;
        Ok(tcp.map(Passed::Tcp))
    }
}
