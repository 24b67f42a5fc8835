//! Short-lived values of the cluster.
//!
//! Owns the public face of what the registry keeps, and its errors. Must not know nodes, clients or messages.

use std::{borrow::Cow, fmt, time::Duration};

use bytes::Bytes;
use tieline_registry::{RegistryError, StoredValue, ValueError, Values, id};

use super::api::Cluster;
use crate::hub::Namespace;

/// Short-lived values that the registry keeps, the same for all nodes and backends, made by [`Cluster::values`]: one
/// for each name, in the [namespace](Cluster::namespace) of the cluster's handle.
///
/// The name of a value has nothing to do with a client, a user or a group of that name; usually it is the name of a
/// group, and the value the last message that was sent to it, for those who join later. A value belongs to no node: it
/// stays when the group is empty and when the node that put it is gone. Use it for what can be done without, because a
/// registry that loses its data loses the values.
///
/// ```
/// use std::time::Duration;
/// use tieline::{Cluster, Connection, Frame, ValuesError};
///
/// /// Sends to a group, and to everyone who joins it within half an hour.
/// async fn publish(cluster: &Cluster, group: &str, text: &str) -> Result<(), ValuesError> {
///     let half_an_hour = Duration::from_secs(30 * 60);
///     cluster.values()?.put(group, text.to_owned(), half_an_hour).await?;
///     cluster.emit_group(group, text);
///     Ok(())
/// }
///
/// /// Call it after the join: what is published from then on arrives by itself.
/// async fn last_of(cluster: &Cluster, group: &str) -> Result<Option<Vec<u8>>, ValuesError> {
///     let value = cluster.values()?.get(group).await?;
///     Ok(value.map(|value| value.bytes.to_vec()))
/// }
/// # use tieline::{Config, Hub};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::single_node(Hub::new(Config::default())?);
/// # assert_eq!(last_of(&cluster, "news").await?, None);
/// # publish(&cluster, "news", "hello").await?;
/// # assert_eq!(last_of(&cluster, "news").await?, Some(b"hello".to_vec()));
/// # Ok(())
/// # }
/// ```
///
/// # Cost
///
/// One request to the registry for each call; nodes keep nothing. Each waits for
/// [`ClusterConfig::registry_timeout`](crate::ClusterConfig::registry_timeout) at most, 1 s by default. In Redis, a
/// value takes its length, that of its name and about 100 bytes until its time is over. On etcd, which keeps past
/// revisions until they are compacted, values should be small or rare. A [single node](Cluster::single_node) and
/// [`MemoryRegistry`](crate::registry::MemoryRegistry) keep up to 64 MiB of them in memory, and refuse more.
#[derive(Clone, Copy)]
pub struct ClusterValues<'a> {
    values: &'a dyn Values,
    names: &'a Namespace,
    timeout: Duration,
}

/// What [`ClusterValues`] could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesError {
    /// The registry keeps no values.
    #[error("this registry keeps no values; use Redis, etcd, or the registry in memory")]
    Unsupported,
    /// The value, its name or its time is out of bounds, and nothing was sent.
    #[error(transparent)]
    Invalid(#[from] ValueError),
    /// The registry did not answer in time, or failed. A value may have been put all the same, or may still be within
    /// the timeout.
    #[error("the registry did not answer")]
    Registry(#[from] RegistryError),
}

impl Cluster {
    /// The short-lived values of the cluster.
    ///
    /// # Errors
    /// [`ValuesError::Unsupported`] if the registry keeps none. Redis, etcd and the registry in memory do.
    pub fn values(&self) -> Result<ClusterValues<'_>, ValuesError> {
        Ok(ClusterValues {
            values: self.registry().values().ok_or(ValuesError::Unsupported)?,
            names: self.names(),
            timeout: self.registry_times().1,
        })
    }
}

impl ClusterValues<'_> {
    /// Keeps a value of up to [`MAX_VALUE`](crate::registry::MAX_VALUE) bytes, 64 KiB, for 1 s to a day from now on,
    /// in place of an earlier one. Once this has returned, every node finds this value, or one that was put later.
    /// Of two that are put at once, one stays, the same for all.
    ///
    /// # Errors
    /// [`ValuesError::Invalid`], or [`ValuesError::Registry`].
    pub async fn put(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<(), ValuesError> {
        let (bytes, key) = (bytes.into(), self.key(name)?);
        ValueError::check(&key, &bytes, ttl)?;
        let put = self.values.put(&key, bytes, ttl);
        Ok(RegistryError::with_timeout(self.timeout, "keep a value", put).await?)
    }

    /// The value of this name, with the time for which it will still be kept; `None` if there is none, or its time is
    /// over.
    ///
    /// # Errors
    /// [`ValuesError::Invalid`] if no value can have the name, or [`ValuesError::Registry`].
    pub async fn get(&self, name: &str) -> Result<Option<StoredValue>, ValuesError> {
        let key = self.key(name)?;
        let found = self.values.get(&key);
        Ok(RegistryError::with_timeout(self.timeout, "read a value", found).await?)
    }

    fn key<'n>(&self, name: &'n str) -> Result<Cow<'n, str>, ValueError> {
        id::check(name)?;
        Ok(self.names.key(name))
    }
}

impl fmt::Debug for ClusterValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterValues")
            .field("namespace", self.names)
            .finish_non_exhaustive()
    }
}
