//! The cost of the registry on Redis: each operation, with the round trip to a server on this machine.
//!
//! The server is a child process on a free port. Without `redis-server`, nothing is measured.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation ends the benchmark, with its position"
)]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use tieline_registry::{
    Claim, ClaimKind, ClaimOutcomes, ClientId, Cursor, JoinOutcome, JoinRequest, NodeReport,
    NodeSession, Registry, Release, ReleaseOutcome, Stamp,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The ids of one call, as many as a node sends at once.
const BATCH: usize = 512;

/// The ids that are claimed during all measurements.
const STANDING: usize = 10_000;

/// A Redis server without persistence; killed on drop.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> std::io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { process, port })
    }

    /// Connects as soon as the server responds.
    async fn registry(&self) -> Arc<dyn Registry> {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match tieline_registry::connect(&url, "bench").await {
                Ok(registry) => return registry,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A node that has joined, and the last stamp that it gave.
struct Node {
    registry: Arc<dyn Registry>,
    session: NodeSession,
    stamp: u64,
}

impl Node {
    async fn join(registry: Arc<dyn Registry>) -> Self {
        let request = JoinRequest {
            address: "127.0.0.1:7000".into(),
            process: Uuid::now_v7(),
            replace: None,
            previous: None,
            now: Stamp(1),
            lease: Duration::from_hours(1),
            has_connections: false,
        };
        let JoinOutcome::Joined(session, _) = registry.join(&request).await.unwrap() else {
            panic!("no other node uses the server");
        };
        Self {
            registry,
            session,
            stamp: 1,
        }
    }

    /// Claims for new connections.
    fn claims(&mut self, name: &str, count: usize, kind: ClaimKind) -> Vec<Claim> {
        self.stamp += 1;
        let stamp = Stamp(self.stamp);
        let claim = |i| Claim {
            id: ClientId::new(format!("{name}-{i}")).unwrap(),
            stamp,
            kind,
        };
        (0..count).map(claim).collect()
    }

    async fn claim(&self, claims: &[Claim]) {
        let claimed = self.registry.claim(&self.session, claims).await.unwrap();
        assert!(matches!(claimed, ClaimOutcomes::Verdicts(_)));
    }

    async fn release(&self, claims: &[Claim]) {
        let release = |claim: &Claim| Release {
            id: claim.id.clone(),
            up_to: claim.stamp,
        };
        let releases: Vec<_> = claims.iter().map(release).collect();
        let answer = self.registry.release(&self.session, &releases).await;
        assert_eq!(answer.unwrap(), ReleaseOutcome::Done);
    }
}

fn redis(criterion: &mut Criterion) {
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            eprintln!(
                "skipped: redis-server does not start ({error}); apt-get install redis-server"
            );
            return;
        }
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let mut node = runtime.block_on(async { Node::join(server.registry().await).await });
    let standing = node.claims("standing", STANDING, ClaimKind::Fresh);
    runtime.block_on(node.claim(&standing));

    let mut group = criterion.benchmark_group("redis");
    single_operations(&mut group, &runtime, &node);
    for count in [1, BATCH] {
        group.throughput(Throughput::Elements(count as u64));
        come_and_go(&mut group, &runtime, &mut node, count);
        group.bench_function(format!("claim_held_{count}"), |bencher| {
            let held: Vec<_> = standing[..count]
                .iter()
                .map(|claim| Claim {
                    kind: ClaimKind::Held,
                    ..claim.clone()
                })
                .collect();
            bencher.iter(|| runtime.block_on(node.claim(&held)));
        });
    }
    group.finish();
}

/// Operations without a batch.
fn single_operations(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, node: &Node) {
    let (registry, session) = (&node.registry, &node.session);
    group.bench_function("renew", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(registry.renew(session, NodeReport::default()))
                .unwrap()
        });
    });
    group.bench_function("nodes", |bencher| {
        bencher.iter(|| runtime.block_on(registry.nodes()).unwrap());
    });
    for (name, id) in [("locate", "standing-7"), ("locate_missing", "nobody")] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(registry.locate(id, true)).unwrap());
        });
    }
    // A page of the sweep.
    group.bench_function("ids_of_page", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(registry.ids_of(session, Cursor::default()))
                .unwrap()
        });
    });
}

/// Claims of new connections, and their releases; each is measured without the other.
fn come_and_go(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    node: &mut Node,
    count: usize,
) {
    for (name, releases) in [("claim_fresh", false), ("release", true)] {
        group.bench_function(format!("{name}_{count}"), |bencher| {
            bencher.iter_custom(|times| {
                let mut total = Duration::ZERO;
                for _ in 0..times {
                    let claims = node.claims("new", count, ClaimKind::Fresh);
                    let start = Instant::now();
                    runtime.block_on(node.claim(&claims));
                    let claimed = Instant::now();
                    runtime.block_on(node.release(&claims));
                    total += if releases {
                        claimed.elapsed()
                    } else {
                        claimed.duration_since(start)
                    };
                }
                total
            });
        });
    }
}

criterion_group!(benches, redis);
criterion_main!(benches);
