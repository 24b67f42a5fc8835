//! What a decision about a unicast may look at.

use std::sync::Arc;

use tokio::time::Instant;

use super::MessageRouter;
use crate::{
    cluster::unicast::View,
    hub::{ConnectionInner, Presence},
};

impl View for MessageRouter {
    type Connection = Arc<ConnectionInner>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn own_address(&self) -> Option<&str> {
        self.directory.address().map(|address| &**address)
    }

    fn presence(&self, id: &str) -> Presence {
        self.hub.presence(id)
    }
}
