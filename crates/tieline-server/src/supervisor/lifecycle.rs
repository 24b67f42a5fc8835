//! The life of the process's nodes: serve until told, then end all of them in order, at once.

use std::time::Duration;

use axum::Router;
use tieline::{Hub, Listener, Node};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::webpubsub::{Events, WebPubSub};

/// How far the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Clients are still taken, but balancers are to send them elsewhere.
    Ending,
    /// Nodes drain.
    Draining,
}

/// A node with what it serves.
pub(super) struct Serving<E: Events> {
    pub(super) listener: Listener,
    pub(super) node: Node<WebPubSub<E>>,
    pub(super) router: Router,
}

/// The life of all nodes of the process.
pub(super) struct Supervisor(watch::Sender<Phase>);

impl Supervisor {
    pub(super) fn new() -> Self {
        Self(watch::channel(Phase::Serving).0)
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Serves until SIGTERM or Ctrl+C, and for `delay` after it; then drains. A second signal ends at
    /// once.
    pub(super) async fn serve<E: Events>(
        self,
        nodes: Vec<Serving<E>>,
        delay: Duration,
    ) -> anyhow::Result<()> {
        let (mut first, mut second) = (Signals::new()?, Signals::new()?);
        let hubs: Vec<_> = nodes.iter().map(|n| n.node.hub().clone()).collect();
        let ending = async {
            first.next().await;
            self.0.send_replace(Phase::Ending);
            let connections: usize = hubs.iter().map(Hub::len).sum();
            tracing::info!(connections, "draining; a second signal ends at once");
            tokio::time::sleep(delay).await;
            self.0.send_replace(Phase::Draining);
        };
        let impatience = async {
            second.next().await;
            second.next().await;
        };
        let served = serve_all(nodes, &self.0);
        tokio::select! {
            (left, ()) = async { tokio::join!(served, ending) } => {
                let left = left?;
                anyhow::ensure!(left == 0, "{left} connections did not end in time");
                Ok(())
            }
            () = impatience => anyhow::bail!("ended by a second signal"),
        }
    }
}

/// Serves all until the phase says to drain; how many connections did not end in time.
async fn serve_all<E: Events>(
    nodes: Vec<Serving<E>>,
    phase: &watch::Sender<Phase>,
) -> anyhow::Result<usize> {
    let mut tasks = JoinSet::new();
    for serving in nodes {
        let mut phase = phase.subscribe();
        tasks.spawn(async move {
            let Serving {
                listener,
                node,
                router,
            } = serving;
            // A phase that nobody sets any more is the end as well.
            let told = async move { drop(phase.wait_for(|p| *p == Phase::Draining).await) };
            node.serve_service(listener, router, told).await.remaining
        });
    }
    let mut left = 0;
    while let Some(drained) = tasks.join_next().await {
        left += drained?;
    }
    Ok(left)
}

/// SIGTERM and Ctrl+C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
