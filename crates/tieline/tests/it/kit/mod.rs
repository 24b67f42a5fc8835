//! What the tests share: a node with a scripted handler, clients, deadlines.

pub(crate) mod child;
pub(crate) mod dialects;
pub(crate) mod fragments;
#[cfg(feature = "cluster")]
pub(crate) mod grpc;
#[cfg(feature = "cluster")]
mod legacy_node;
mod log;
#[cfg(feature = "cluster")]
mod nodes;
mod probe;
#[cfg(feature = "cluster")]
mod proxy;
pub(crate) mod raw;
#[cfg(feature = "cluster")]
mod reader;
#[cfg(feature = "tls")]
pub(crate) mod secure;
mod server;
#[cfg(feature = "cluster")]
mod store;
mod ws;

#[cfg(feature = "cluster")]
use std::sync::Arc;
use std::{future::Future, time::Duration};

#[cfg(feature = "cluster")]
use tieline::{Cluster, Delivery, registry::Registry};
pub(crate) use tieline_test_servers::Stopwatch;
#[cfg(feature = "cluster")]
pub(crate) use tieline_test_servers::Trace;

#[cfg(feature = "tls")]
pub(crate) use self::secure::Secure;
#[cfg(feature = "cluster")]
pub(crate) use self::{
    legacy_node::LegacyNode,
    nodes::{TestNode, entries, free_port, memory_registry, test_config},
    proxy::{Mode, Proxy},
    reader::Reader,
    store::{Hold, Mood, Store},
};
pub(crate) use self::{
    log::{Log, What},
    probe::Probe,
    raw::{HttpResponse, Raw, RawFrame},
    server::{Server, listen, serve},
    ws::Client,
};

/// The time in which a receipt is decided, to be measured with a [`Stopwatch`]: a second, and what this
/// process itself computes, without optimization, when it decides hundreds together.
#[cfg(feature = "cluster")]
pub(crate) const DECIDED_WITHIN: Duration = Duration::from_millis(1050);

/// The same for a receipt that had to wait for other messages.
#[cfg(feature = "cluster")]
pub(crate) const WAITING_DECIDED_WITHIN: Duration = Duration::from_millis(2050);

/// The age at which an emit is given up, at the earliest.
#[cfg(feature = "cluster")]
pub(crate) const GIVEN_UP_AFTER: Duration = Duration::from_millis(900);

/// Runs a test on one thread; it fails when it takes longer than 20 s by a stopwatch.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    run_on(&runtime, Duration::from_secs(20), Stopwatch::start, test)
}

/// Runs a test on several threads; it fails when it takes longer than 60 s by a stopwatch.
pub(crate) fn run_threads<T>(threads: usize, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap();
    run_on(
        &runtime,
        Duration::from_mins(1),
        Stopwatch::start_threads,
        test,
    )
}

/// Runs a test on one thread; it fails when it takes longer than `limit` by a
/// stopwatch.
pub(crate) fn run_within<T>(limit: Duration, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    run_on(&runtime, limit, Stopwatch::start, test)
}

fn run_on<T>(
    runtime: &tokio::runtime::Runtime,
    limit: Duration,
    start: fn() -> Stopwatch,
    test: impl Future<Output = T>,
) -> T {
    raise_descriptor_limit();
    runtime.block_on(async {
        let result = start().timeout(limit, test).await;
        result.unwrap_or_else(|| panic!("the test took longer than {limit:?}"))
    })
}

/// Waits until a condition holds that nothing announces; the test's deadline bounds it.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether only a busy machine kept an emit from a client that was connected.
#[cfg(feature = "cluster")]
pub(crate) fn was_given_up(delivery: Delivery, watch: &Stopwatch) -> bool {
    // Which of them depends on where the time passed.
    let late = [
        Delivery::Unreachable,
        Delivery::Unknown,
        Delivery::QueueFull,
    ];
    late.contains(&delivery) && watch.has_lost(GIVEN_UP_AFTER)
}

/// A backend, linked to as many nodes as there are.
#[cfg(feature = "cluster")]
pub(crate) async fn linked_backend(registry: Arc<dyn Registry>, nodes: usize) -> Cluster {
    let backend = Cluster::connect(registry, test_config()).await.unwrap();
    eventually(|| backend.peers().iter().filter(|peer| peer.up).count() == nodes).await;
    backend
}

/// Delivers a text to a connected client. It is sent again only if a busy machine left no time for it.
#[cfg(feature = "cluster")]
pub(crate) async fn deliver(cluster: &Cluster, id: &str, text: &str) {
    loop {
        let watch = Stopwatch::start_threads();
        let delivery = cluster.emit(id, text).await;
        if delivery == Delivery::Delivered {
            return;
        }
        assert!(was_given_up(delivery, &watch), "{id}, {text}: {delivery}");
    }
}

pub(crate) fn close_frame(code: u16) -> tieline::CloseFrame {
    tieline::CloseFrame::new(tieline::CloseCode::new(code).unwrap(), "")
}

/// Many tests hold thousands of sockets; shells commonly grant 1,024 descriptors.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}
