//! What the tests share: runtimes with deadlines.

use std::{future::Future, time::Duration};

use tokio::runtime::{Builder, Runtime};

/// Runs a test on one thread; it fails when it takes longer than 20 s.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    run_on(&runtime.unwrap(), Duration::from_secs(20), test)
}

/// Runs a test on several threads; it fails when it takes longer than 60 s.
#[cfg(feature = "etcd")]
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
