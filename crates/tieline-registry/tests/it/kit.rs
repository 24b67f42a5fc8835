//! Shared test code: runtimes with deadlines, whole error messages, and the log.

#[cfg(feature = "redis")]
mod trace;

use std::{future::Future, time::Duration};

#[cfg(any(feature = "redis", feature = "etcd"))]
use tieline_registry::RegistryError;
use tokio::runtime::{Builder, Runtime};

#[cfg(feature = "redis")]
pub(crate) use self::trace::Trace;

/// Runs a test on one thread; it fails when it takes longer than 20 s.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    run_on(&runtime.unwrap(), Duration::from_secs(20), test)
}

/// Runs a test on several threads; it fails when it takes longer than 60 s.
#[cfg(any(feature = "redis", feature = "etcd"))]
pub(crate) fn run_threads<T>(threads: usize, test: impl Future<Output = T>) -> T {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).enable_all().build();
    run_on(&runtime.unwrap(), Duration::from_mins(1), test)
}

fn run_on<T>(runtime: &Runtime, limit: Duration, test: impl Future<Output = T>) -> T {
    runtime.block_on(async {
        tokio::time::timeout(limit, test)
            .await
            .unwrap_or_else(|_| panic!("the test took longer than {limit:?}"))
    })
}

/// The message of an error, with those of its sources.
#[cfg(any(feature = "redis", feature = "etcd"))]
pub(crate) fn message(error: &RegistryError) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        message = format!("{message}: {error}");
        source = error.source();
    }
    message
}
