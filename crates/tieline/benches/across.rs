//! What a message and a request to a client of another node cost, end to end: two nodes in one process, a link on
//! loopback, and a client that reads.
//!
//! The figures are those of `across/emit` and `across/ask`: as many are in flight as the name says, each is awaited,
//! and the ratio of the two is what an ask costs beside an emit.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(
    clippy::unwrap_used,
    reason = "what a benchmark takes for granted ends it, with its place"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{StreamExt, stream};
use tieline::{
    Accept, ClientId, Cluster, ClusterConfig, Config, Connection, Frame, Handler, Hub, Listener,
    Message, Node, RequestError, UpgradeRequest,
    registry::{MemoryRegistry, Registry},
};
use tokio::runtime::{Builder, Runtime};

struct Answers;

impl Handler for Answers {
    type State = ();

    async fn on_message(&self, _: &Connection, (): &mut (), _: Message) {}

    async fn on_request(&self, _: &Connection, request: Bytes) -> Result<Bytes, RequestError> {
        Ok(request)
    }
}

const PAYLOAD: &[u8] = b"sixteen bytes...";

const CROWD: usize = 16;

/// A node without clients, linked to another that has the client `ann` and a crowd.
async fn start() -> Cluster {
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    let join = async || {
        let hub = Hub::new(Config::default()).unwrap();
        let config = ClusterConfig::default();
        let cluster = Cluster::start(hub, Arc::clone(&registry), config).await;
        cluster.unwrap()
    };
    let (from, to) = (join().await, join().await);
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let node = Node::in_cluster(to, Answers);
    tokio::spawn(async move {
        let accept = async |request: UpgradeRequest| {
            let id = request.uri().query().unwrap_or_default().to_owned();
            Ok(Accept::new(()).id(ClientId::new(id).unwrap()))
        };
        node.serve(listener, accept, std::future::pending()).await
    });
    for id in crowd().iter().map(String::as_str).chain(["ann"]) {
        let url = format!("ws://{address}/?{id}");
        let (mut client, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        tokio::spawn(async move { while client.next().await.is_some() {} });
        while !from.emit(id, PAYLOAD).await.is_delivered() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    from
}

fn across(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let from = runtime.block_on(start());
    let mut group = criterion.benchmark_group("across");
    group.throughput(Throughput::Elements(1));
    for in_flight in [1, 16] {
        group.bench_function(format!("emit/{in_flight}"), |bencher| {
            bencher.iter_custom(|count| {
                let send = |_| async {
                    assert!(from.emit("ann", PAYLOAD).await.is_delivered());
                };
                timed(&runtime, count, in_flight, send)
            });
        });
        group.bench_function(format!("ask/{in_flight}"), |bencher| {
            bencher.iter_custom(|count| {
                let send = |_| async {
                    assert_eq!(from.ask("ann", PAYLOAD).await.unwrap(), PAYLOAD);
                };
                timed(&runtime, count, in_flight, send)
            });
        });
    }
}

fn crowd() -> Vec<String> {
    (0..CROWD).map(|n| format!("client{n}")).collect()
}

/// One message to each of a crowd, alone and together.
fn to_a_crowd(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (from, crowd, payload) = (runtime.block_on(start()), crowd(), vec![b'x'; 1024]);
    let frame = Frame::binary(payload);
    let mut group = criterion.benchmark_group("across");
    group.throughput(Throughput::Elements(CROWD as u64));
    group.bench_function("emits/16 ids of 1 KiB", |bencher| {
        bencher.iter_custom(|count| {
            let send = |_| async {
                let receipts = crowd.iter().map(|id| from.emit(id, frame.clone()));
                for receipt in receipts.collect::<Vec<_>>() {
                    assert!(receipt.await.is_delivered());
                }
            };
            timed(&runtime, count, 1, send)
        });
    });
    group.bench_function("emit_many/16 ids of 1 KiB", |bencher| {
        bencher.iter_custom(|count| {
            let send = |_| async {
                assert!(from.emit_many(&crowd, frame.clone()).await.is_complete());
            };
            timed(&runtime, count, 1, send)
        });
    });
}

/// The time that `count` of them take.
fn timed<F: Future<Output = ()>>(
    runtime: &Runtime,
    count: u64,
    in_flight: usize,
    send: impl Fn(u64) -> F,
) -> Duration {
    let begun = Instant::now();
    let all = stream::iter(0..count).map(send).buffer_unordered(in_flight);
    runtime.block_on(all.for_each(|()| async {}));
    begun.elapsed()
}

criterion_group!(benches, across, to_a_crowd);
criterion_main!(benches);
