//! Shared test code: runtimes with deadlines, whole error messages, and the log.

use std::{future::Future, time::Duration};

#[cfg(any(feature = "redis", feature = "etcd"))]
use tieline_registry::RegistryError;
use tieline_test_servers::Stopwatch;
#[cfg(feature = "redis")]
pub(crate) use tieline_test_servers::Trace;
use tokio::runtime::{Builder, Runtime};

/// Runs a test on one thread; it fails when it takes longer than 20 s by a stopwatch.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    let limit = Duration::from_secs(20);
    run_on(&runtime.unwrap(), limit, Stopwatch::start, test)
}

/// Runs a test on several threads; it fails when it takes longer than 60 s by a stopwatch.
#[cfg(any(feature = "redis", feature = "etcd"))]
pub(crate) fn run_threads<T>(threads: usize, test: impl Future<Output = T>) -> T {
    run_threads_for(Duration::from_mins(1), threads, test)
}

/// Runs a test with much to do on several threads.
#[cfg(any(feature = "redis", feature = "etcd"))]
pub(crate) fn run_threads_for<T>(
    limit: Duration,
    threads: usize,
    test: impl Future<Output = T>,
) -> T {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).enable_all().build();
    run_on(&runtime.unwrap(), limit, Stopwatch::start_threads, test)
}

fn run_on<T>(
    runtime: &Runtime,
    limit: Duration,
    start: fn() -> Stopwatch,
    test: impl Future<Output = T>,
) -> T {
    runtime.block_on(async {
        let result = start().timeout(limit, test).await;
        result.unwrap_or_else(|| panic!("the test took longer than {limit:?}"))
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
