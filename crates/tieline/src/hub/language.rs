//! The language of filters.
//!
//! Owns how bytes become a filter. Must not know who the receivers are. Invariant: a filter that cannot be
//! read, and one for a hub without a language, admits nobody.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use super::{
    content::Cast,
    core::{Compile, Hub},
    filter::Filter,
    handle::Connection,
    namespace::Namespace,
};
use crate::delivery::Reached;

/// Whether a connection gets a message; made by a [`FilterLanguage`].
pub type Predicate = Box<dyn Fn(&Connection) -> bool + Send + Sync>;

/// What the filters of an application mean. Given to a hub at its start
/// ([`Hub::with_filters`]); a closure that compiles is a language, too.
///
/// A filter travels with its message, and each node compiles it once for each message, then asks it about
/// each connection that the message would go to otherwise: [`Hub::matching`], [`Except::matching`] and, in a
/// cluster, `Cluster::matching`. All nodes need the same language.
///
/// [`Except::matching`]: crate::Except::matching
///
/// ```
/// use tieline::{Config, Connection, Dialects, Hub, Predicate};
///
/// /// Filters are the beginnings of ids.
/// fn compile(filter: &[u8]) -> Option<Predicate> {
///     let prefix = String::from_utf8(filter.to_vec()).ok()?; // `None`: it cannot be read
///     Some(Box::new(move |connection: &Connection| connection.id().starts_with(&prefix)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::with_filters(Config::default(), Dialects::new(), compile)?;
/// let reached = hub.matching("phone-").broadcast("to phones only").await;
/// assert!(!reached.filter_refused);
/// let reached = hub.matching(vec![0xff]).broadcast("to nobody").await;
/// assert!(reached.filter_refused);
/// # Ok(())
/// # }
/// ```
pub trait FilterLanguage: Send + Sync + 'static {
    /// The predicate of a filter, or `None` if it cannot be read; a panic counts as `None`. Filters come from
    /// whoever sends, and from other nodes.
    ///
    /// The predicate is called on the thread of the sender or of a shard's worker, for each connection: keep
    /// it short. Where it panics, the connection does not get the message. Besides the predicate itself, a
    /// call costs about 50 ns, and a message with a filter is joined with others only for clients that all of
    /// their filters admit.
    fn compile(&self, filter: &[u8]) -> Option<Predicate>;
}

impl<F> FilterLanguage for F
where
    F: Fn(&[u8]) -> Option<Predicate> + Send + Sync + 'static,
{
    fn compile(&self, filter: &[u8]) -> Option<Predicate> {
        self(filter)
    }
}

/// A language for a hub, which does not know the public handle of a connection.
pub(super) fn compiler(language: impl FilterLanguage) -> Compile {
    Box::new(move |hub: &Hub, filter| {
        let compiled = catch_unwind(AssertUnwindSafe(|| language.compile(filter)));
        let predicate = compiled.unwrap_or_else(|_| {
            tracing::error!("the filter language panicked; nobody gets the message");
            None
        })?;
        // What waits keeps no hub alive.
        let hub = Arc::downgrade(&hub.inner);
        // The receivers of a message are in one namespace.
        let namespace = OnceLock::new();
        Some(Filter::new(move |conn| {
            hub.upgrade().is_some_and(|hub| {
                let namespace = namespace.get_or_init(|| Namespace::of(&conn.id));
                let hub = Hub::new_in(namespace.clone(), hub);
                predicate(&hub.handle(Arc::clone(conn)))
            })
        }))
    })
}

impl Hub {
    /// The filter of a message, if it has one.
    ///
    /// # Errors
    /// If it cannot be read: the outcome of the message.
    pub(super) fn filter_of(&self, cast: &Cast) -> Result<Option<Arc<Filter>>, Reached> {
        let Some(filter) = cast.filter() else {
            return Ok(None);
        };
        let compile = self.inner.compile.as_ref();
        let filter = compile.and_then(|compile| compile(self, filter));
        let refused = Reached {
            filter_refused: true,
            ..Reached::default()
        };
        filter.map(|filter| Some(Arc::new(filter))).ok_or(refused)
    }
}
