//! Who follows clients by this node: how many may, and when all have to end.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Most operators who follow a client by this node at a time.
pub(super) const MAX_FOLLOWERS: usize = 8;

/// What those who follow share.
#[derive(Clone)]
pub(super) struct Followers {
    pub(super) places: Arc<Semaphore>,
    /// Cancelled when the port ends, which waits for answers that have begun.
    pub(super) ended: CancellationToken,
}

impl Followers {
    pub(super) fn new(ended: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            ended,
        }
    }
}
