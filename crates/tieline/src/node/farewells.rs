//! Clients that are turned away after the upgrade.
//!
//! Owns their tasks, and how many there are at a time. Must not know why they are turned away. Invariants: they are no
//! connections of the node: newcomers during a drain cannot prolong it, since only those that were told before its end
//! are waited for.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;

use crate::{
    config::Config,
    connection::{say_farewell, take_socket},
    farewell::Farewell,
};

#[derive(Debug)]
pub(super) struct Farewells {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Farewells {
    pub(super) fn new(config: &Config) -> Self {
        let places = config.farewells().min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            tasks: TaskTracker::new(),
        }
    }

    /// A place for a client, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Tells a client, once the upgrade has completed.
    pub(super) fn start(
        &self,
        place: OwnedSemaphorePermit,
        farewell: Farewell,
        on_upgrade: OnUpgrade,
        config: &Config,
    ) {
        let (handshake, close) = (config.handshake_timeout, config.close_timeout);
        self.tasks.spawn(async move {
            let _place = place;
            let Ok(Ok(upgraded)) = timeout(handshake, on_upgrade).await else {
                tracing::debug!("client disconnected before its farewell");
                return;
            };
            let farewell = say_farewell(farewell, take_socket(upgraded));
            match timeout(close, farewell).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "client did not hear its farewell"),
                Err(_) => tracing::debug!("client did not answer its farewell"),
            }
        });
    }

    /// Refuses further ones, and waits for those that are being told.
    pub(super) async fn end(&self, deadline: Instant) {
        self.places.close();
        self.tasks.close();
        let _ = timeout_at(deadline, self.tasks.wait()).await;
    }
}
