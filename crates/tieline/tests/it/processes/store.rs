//! The servers of a registry, and faults of all of them at once.

use std::sync::Arc;

use tieline::registry::{self, Registry};
use tieline_test_servers::{etcd::Etcd, redis::Redis};

/// The servers of one registry; killed when it is dropped.
pub(super) enum Store {
    Redis(Redis),
    Etcd(Etcd),
}

/// The index of the server of a single-server etcd.
const ONLY: usize = 0;

impl Store {
    /// A Redis without persistence.
    pub(super) async fn redis() -> Self {
        Self::Redis(Redis::start().await)
    }

    /// An etcd of one server.
    pub(super) async fn etcd() -> Self {
        Self::Etcd(Etcd::start().await)
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Etcd(etcd) => etcd.url(),
        }
    }

    /// Suspends it: it keeps its connections and answers nothing.
    pub(super) fn stop(&mut self) {
        match self {
            Self::Redis(redis) => redis.stop(),
            Self::Etcd(etcd) => etcd.stop(ONLY),
        }
    }

    /// Resumes it, and waits until it answers.
    pub(super) async fn resume(&mut self) {
        match self {
            Self::Redis(redis) => redis.resume(),
            Self::Etcd(etcd) => {
                etcd.resume(ONLY);
                etcd.wait_until_healthy(ONLY).await;
            }
        }
    }

    /// Kills it: its connections end, new ones are refused.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Redis(redis) => redis.kill(),
            Self::Etcd(etcd) => etcd.kill(ONLY),
        }
    }

    /// Starts it again after [`Store::kill`], Redis without its data, and waits until it answers.
    pub(super) async fn restart(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart().await,
            Self::Etcd(etcd) => etcd.restart(ONLY, true).await,
        }
    }

    /// Loses all data. etcd restarts meanwhile.
    pub(super) async fn wipe(&mut self) {
        match self {
            Self::Redis(redis) => redis.wipe().await,
            Self::Etcd(etcd) => etcd.wipe().await,
        }
    }

    /// The registry as the nodes use it.
    pub(super) async fn registry(&self) -> Arc<dyn Registry> {
        reader(&self.url()).await
    }
}

/// The registry at a URL as the nodes use it.
pub(super) async fn reader(url: &str) -> Arc<dyn Registry> {
    let setup = super::node_process::setup(url);
    registry::connect(url, &setup.prefix).await.unwrap()
}
