//! Two clusters that share keys: the prefixes `ws` and `{ws}` differ in one key only.
//!
//! Owns the key that says which of them has the others. Invariant: while nodes of a cluster live, no cluster with
//! another prefix takes the key.

use redis::cmd;

use super::{registry::RedisRegistry, reply::unexpected_reply};
use crate::error::RegistryError;

const OPERATION: &str = "look for a cluster with the same keys";

impl RedisRegistry {
    /// Asked after the join, so that of two nodes that start at once, the one that finds the key taken sees
    /// the lease of the other.
    pub(super) async fn do_overlap(
        &self,
        address: Option<&str>,
    ) -> Result<Option<String>, RegistryError> {
        let Some(holder) = self.take_name(true).await? else {
            return Ok(None);
        };
        let nodes = self.do_nodes().await?;
        let is_alive = nodes
            .iter()
            .any(|node| node.leased && Some(&*node.address) != address);
        if is_alive {
            return Ok(Some(holder));
        }
        // It was left by a cluster that is gone.
        self.take_name(false).await?;
        Ok(None)
    }

    /// Writes the prefix into the key. With `if_free`, the other prefix in it is returned instead.
    async fn take_name(&self, if_free: bool) -> Result<Option<String>, RegistryError> {
        let (key, prefix) = (&self.keys.name, &self.keys.entries);
        let mut set = cmd("SET");
        set.arg(key).arg(prefix);
        if if_free {
            set.arg("NX");
        }
        self.client.query(OPERATION, set).await?;
        let found = self.client.query(OPERATION, cmd("GET").arg(key).take());
        let found: Option<String> =
            redis::from_redis_value(found.await?).map_err(|_| unexpected_reply(OPERATION))?;
        Ok(found.filter(|found| found != prefix))
    }
}
