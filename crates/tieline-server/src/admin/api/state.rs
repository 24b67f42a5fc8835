//! What the routes of the API share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::followers::Followers;
use crate::app::inspection::Inspector;

/// What its users may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminAccess {
    /// They look, and change nothing.
    pub(crate) read_only: bool,
}

/// The API of a node. Clones share it.
#[derive(Clone)]
pub(crate) struct Api {
    pub(super) inspector: Arc<Inspector>,
    pub(super) access: AdminAccess,
    pub(super) followers: Followers,
}

impl Api {
    /// `ended` is cancelled when the port ends.
    pub(crate) fn new(
        inspector: Arc<Inspector>,
        access: AdminAccess,
        ended: CancellationToken,
    ) -> Self {
        Self {
            inspector,
            access,
            followers: Followers::new(ended),
        }
    }
}
