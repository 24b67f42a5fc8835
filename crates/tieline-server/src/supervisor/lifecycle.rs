//! The lifecycle of the process: serve until a drain begins, then drain all nodes at once.
//!
//! Owns the phase of the process, and what its signals do to it. Must not know what the nodes serve, nor how one of
//! them drains. Invariants: the phase only advances, and a second signal ends the process in every
//! phase.

use std::time::Duration;

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    admin::ReadyAdminPort,
    listen::Port,
    node::ReadyNode,
    phase::{DrainHandle, ServingPhase},
    signals::StopSignals,
    systemd,
};
use crate::app::events::Events;

/// How long the events of connections that have ended may take, once all have.
pub(super) const EVENTS_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs all nodes of the process. Owns its phase.
pub(super) struct Supervisor(watch::Sender<ServingPhase>);

impl Supervisor {
    pub(super) fn new() -> Self {
        Self(watch::channel(ServingPhase::Serving).0)
    }

    pub(super) fn phase(&self) -> watch::Receiver<ServingPhase> {
        self.0.subscribe()
    }

    /// What begins the drain, beside signals.
    pub(super) fn drain_handle(&self) -> DrainHandle {
        DrainHandle::new(self.0.clone())
    }

    /// Serves until SIGTERM, Ctrl+C or a [`DrainHandle`] begins the drain, and for `drain_delay` after it; then
    /// drains. The admin port is served until the end. A second signal stops immediately.
    pub(super) async fn serve<E: Events>(
        self,
        nodes: Vec<ReadyNode<E>>,
        admin: Option<ReadyAdminPort>,
        drain_delay: Duration,
        signals: StopSignals,
    ) -> anyhow::Result<()> {
        let StopSignals {
            mut first,
            mut second,
        } = signals;
        let hubs: Vec<_> = nodes.iter().map(|n| n.node.hub().clone()).collect();
        let (handle, mut phase) = (self.drain_handle(), self.phase());
        let signal = async {
            first.come().await;
            handle.start();
            std::future::pending::<()>().await;
        };
        let begun = async { drop(phase.wait_for(|p| *p > ServingPhase::Serving).await) };
        let drain = async {
            tokio::select! {
                () = begun => {}
                () = signal => {}
            }
            // Clients are in hubs of their own, which `Hub::len` leaves out.
            let connections: usize = hubs.iter().map(|hub| hub.stats().connections).sum();
            systemd::is_stopping(connections);
            tracing::info!(connections, "draining; a second signal stops immediately");
            tokio::time::sleep(drain_delay).await;
            self.0.send_replace(ServingPhase::Draining);
        };
        let ended = CancellationToken::new();
        let served = async {
            let _ends = ended.clone().drop_guard();
            serve_all(nodes, &self.0).await
        };
        let admin = async {
            if let Some(admin) = admin {
                admin.serve(ended.clone()).await;
            }
        };
        tokio::select! {
            // First, so that it has seen the first signal when that begins the drain: signals of which nobody has seen
            // the first are one.
            biased;
            () = second.come() => Err(SecondSignal.into()),
            (remaining, (), ()) = async { tokio::join!(served, drain, admin) } => {
                let remaining = remaining?;
                anyhow::ensure!(remaining == 0, "{remaining} connections did not close in time");
                Ok(())
            }
        }
    }
}

/// The operator has asked twice: whatever is left is not waited for.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a second signal")]
pub(super) struct SecondSignal;

/// Serves all nodes until the drain phase; returns how many connections did not close in time.
async fn serve_all<E: Events>(
    nodes: Vec<ReadyNode<E>>,
    phase: &watch::Sender<ServingPhase>,
) -> anyhow::Result<usize> {
    let mut tasks = JoinSet::new();
    for node in nodes {
        tasks.spawn(serve_one(node, phase.subscribe()));
    }
    let mut remaining = 0;
    while let Some(drained) = tasks.join_next().await {
        remaining += drained??;
    }
    Ok(remaining)
}

/// The same of one node.
async fn serve_one<E: Events>(
    served: ReadyNode<E>,
    phase: watch::Receiver<ServingPhase>,
) -> anyhow::Result<usize> {
    let ReadyNode {
        ports,
        node,
        router,
        hubs,
        apps,
        failures: _,
        inspector: _,
    } = served;
    // An error means that the supervisor is gone, so the node drains too.
    let drain = |mut phase: watch::Receiver<ServingPhase>| async move {
        drop(phase.wait_for(|p| *p == ServingPhase::Draining).await);
    };
    let is_drained = CancellationToken::new();
    let mut served_ports = JoinSet::new();
    for Port { listener, file, .. } in ports {
        let listener = listener.limits(node.hub().config())?;
        let (drain, is_drained) = (drain(phase.clone()), is_drained.clone());
        let apps = apps.clone();
        let close = async move {
            drain.await;
            // The SDKs of Pusher Channels wait long after a closed port. They are told to come back.
            if apps.is_some_and(|apps| !apps.load().is_empty()) {
                is_drained.cancelled().await;
            }
            drop(file);
        };
        served_ports.spawn(listener.serve(router.clone(), close));
    }
    let served = async {
        let drained = async {
            drain(phase).await;
            let _drained = is_drained.drop_guard();
            hubs.keep_members();
            node.drain().await
        };
        tokio::join!(drained, served_ports.join_all()).0
    };
    let drained = tokio::select! {
        drained = served => drained,
        never = hubs.quotas().sweep() => match never {},
    };
    let connections = node.handler().drain_events(EVENTS_TIMEOUT).await;
    if connections > 0 {
        tracing::warn!(connections, "stopped before all events were handled");
    }
    Ok(drained.remaining)
}
