//! The thread of the admin port, with a runtime of its own.
//!
//! Operators have to see in while every worker is busy with clients: a request that waits for its turn behind them
//! would wait for seconds, and Prometheus would show a gap where the overload was. Must not know what runs on it.
//! Invariant: what runs on it is dropped with it.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) struct AdminThread {
    runtime: Handle,
    _stop: DropGuard,
}

impl AdminThread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let run = move || runtime.block_on(stopped.cancelled());
        thread::Builder::new().name("admin".into()).spawn(run)?;
        Ok(Self {
            runtime: handle,
            _stop: stop.drop_guard(),
        })
    }

    /// Begins at once.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(future)
    }
}
