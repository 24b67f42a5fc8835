//! What the registry on Redis costs: each operation with its way to a server on this machine and back.
//!
//! The server is a process of its own, on a free port; without `redis-server` nothing is measured.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(
    clippy::unwrap_used,
    reason = "what a benchmark takes for granted ends it, with its place"
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
    Claim, ClaimKind, ClaimOutcomes, ClientId, Cursor, JoinOutcome, JoinRequest, NodeSession,
    Registry, Release, ReleaseOutcome, Stamp,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Ids in one call, as many as a node asks about at once.
const BATCH: usize = 512;

/// Ids that stand there besides.
const STANDING: usize = 10_000;

/// A Redis server that forgets; killed when it is dropped.
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

    /// Connects as soon as it answers.
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

/// A node that has joined, and the stamps that it gives.
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
        };
        let JoinOutcome::Joined(session, _) = registry.join(&request).await.unwrap() else {
            panic!("the server is ours alone");
        };
        Self {
            registry,
            session,
            stamp: 1,
        }
    }

    /// Claims for connections that have just arrived.
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
        let give_back = |claim: &Claim| Release {
            id: claim.id.clone(),
            up_to: claim.stamp,
        };
        let releases: Vec<_> = claims.iter().map(give_back).collect();
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
    alone(&mut group, &runtime, &node);
    for count in [1, BATCH] {
        group.throughput(Throughput::Elements(count as u64));
        come_and_go(&mut group, &runtime, &mut node, count);
        group.bench_function(format!("claim_again_{count}"), |bencher| {
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

/// Operations on no batch.
fn alone(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, node: &Node) {
    let (registry, session) = (&node.registry, &node.session);
    group.bench_function("beat", |bencher| {
        bencher.iter(|| runtime.block_on(registry.renew(session, Stamp(1))).unwrap());
    });
    group.bench_function("members", |bencher| {
        bencher.iter(|| runtime.block_on(registry.nodes()).unwrap());
    });
    for (name, id) in [("locate", "standing-7"), ("locate_nobody", "nobody")] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(registry.locate(id, true)).unwrap());
        });
    }
    // A page of the sweep, by which a node learns what stands under its name.
    group.bench_function("held_page", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(registry.ids_of(session, Cursor::default()))
                .unwrap()
        });
    });
}

/// Claims of new connections, and their releases; each is timed without the other.
fn come_and_go(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    node: &mut Node,
    count: usize,
) {
    for (name, releases) in [("claim_fresh", false), ("release", true)] {
        group.bench_function(format!("{name}_{count}"), |bencher| {
            bencher.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                for _ in 0..times {
                    let claims = node.claims("new", count, ClaimKind::Fresh);
                    let begun = Instant::now();
                    runtime.block_on(node.claim(&claims));
                    let claimed = Instant::now();
                    runtime.block_on(node.release(&claims));
                    taken += if releases {
                        claimed.elapsed()
                    } else {
                        claimed.duration_since(begun)
                    };
                }
                taken
            });
        });
    }
}

criterion_group!(benches, redis);
criterion_main!(benches);
