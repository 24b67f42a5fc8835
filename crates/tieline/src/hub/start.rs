//! The start of a hub.
//!
//! Owns which shards and tasks a hub has. Must not know what is sent.

use std::{hash::RandomState, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    broadcast::Bounds,
    context::HubContext,
    core::{Compile, Hub, HubInner},
    dialect::{DialectId, Dialects},
    flusher,
    handlers::Handlers,
    keepalive,
    language::{FilterLanguage, compiler},
    namespace::Namespace,
    population::Population,
    shard::{MAX_SHARDS, Shard},
    shard_map::ShardMaps,
    shedding,
};
use crate::config::{Config, ConfigError};

impl Hub {
    /// Starts a hub. It spawns two tasks per shard on the current tokio runtime, for broadcasts and for
    /// keepalive pings, one per worker thread that flushes what was sent to many, and one that closes the
    /// slowest clients if too much waits. They end when the last clone of the hub and its last connection
    /// are gone.
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_dialects(config, Dialects::new())
    }

    /// As [`new`](Self::new), for clients that read in several dialects.
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn with_dialects(config: Config, dialects: Dialects) -> Result<Self, ConfigError> {
        Self::start(config, dialects, None)
    }

    /// As [`with_dialects`](Self::with_dialects), with a language for filters; see [`Hub::matching`].
    ///
    /// # Errors
    /// If the settings contradict each other; see [`Config::validate`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn with_filters(
        config: Config,
        dialects: Dialects,
        language: impl FilterLanguage,
    ) -> Result<Self, ConfigError> {
        Self::start(config, dialects, Some(compiler(language)))
    }

    fn start(
        config: Config,
        dialects: Dialects,
        compile: Option<Compile>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let shards = config.shards.unwrap_or_else(available).min(MAX_SHARDS);
        let capacity = config.capacity();
        let bounds = Bounds {
            bytes: config.broadcast_queue_bytes,
            frames: config.broadcast_queue_frames,
        };
        let context = Arc::new(HubContext::new(config, dialects));
        let (stop, hasher) = (CancellationToken::new(), RandomState::new());
        flusher::start(&context.ticks, &stop);
        let maps = ShardMaps::new(shards);
        let start = |number| {
            let shard = Arc::new(Shard::new(number, &maps, hasher.clone(), bounds));
            spawn_tasks(&shard, &context, &stop);
            shard
        };
        let shards: Box<[_]> = (0..shards).map(start).collect();
        let shedding = shedding::run(shards.to_vec(), Arc::clone(&context));
        tokio::spawn(stop.clone().run_until_cancelled_owned(shedding));
        let inner = HubInner {
            compile,
            shards,
            maps,
            hasher,
            context,
            capacity,
            handlers: Handlers::new(),
            connections: Population::default(),
            #[cfg(feature = "cluster")]
            claimants: Population::default(),
            _workers: stop.drop_guard(),
        };
        Ok(Self::new_in(Namespace::DEFAULT, Arc::new(inner)))
    }

    pub(crate) fn has_dialect(&self, dialect: DialectId) -> bool {
        self.inner.context.dialects.contains(dialect)
    }

    /// The settings that it was started with.
    pub fn config(&self) -> &Config {
        &self.inner.context.config
    }
}

fn spawn_tasks(shard: &Arc<Shard>, context: &Arc<HubContext>, stop: &CancellationToken) {
    let worker = Arc::clone(shard);
    let worker = async move { worker.run_worker().await };
    tokio::spawn(stop.clone().run_until_cancelled_owned(worker));
    let keepalive = keepalive::run(Arc::clone(shard), Arc::clone(context));
    tokio::spawn(stop.clone().run_until_cancelled_owned(keepalive));
}
