//! Two nodes and Redis on one processor, the load on another.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    client::{Crowd, FRAME, PAYLOAD, Rate, masked, open, text},
    median,
    server::Server,
};

const MEASURE: Duration = Duration::from_secs(2);
/// Rounds before it counts.
const WARM: u32 = 20;

/// Messages a second from clients of one node to clients of the other, one in flight for each pair.
pub(crate) fn check_emit(pairs: usize, rounds: usize, least: f64) -> Result<()> {
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let cluster = Cluster::start()?;
        let Rate {
            per_second: rate,
            cpu_micros,
        } = emit(&cluster, pairs)?;
        println!("emit across nodes, {pairs} pairs: {rate:.0}/s at {cpu_micros:.2} µs CPU each");
        rates.push(rate);
    }
    let rate = median(rates);
    println!("emit across nodes: median {rate:.0}/s");
    ensure!(
        rate >= least,
        "fewer than {least:.0} messages a second cross"
    );
    Ok(())
}

/// A broadcast over two nodes against the same on one, both on one processor.
pub(crate) fn check_broadcast(receivers: usize, rounds: usize, least: f64) -> Result<()> {
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let cluster = Cluster::start()?;
        let one = broadcast(&cluster, &[cluster.nodes[0].address], receivers)?;
        drop(cluster);
        let cluster = Cluster::start()?;
        let two = broadcast(&cluster, &cluster.addresses(), receivers)?;
        let ratio = two.per_second / one.per_second;
        println!(
            "broadcast to {receivers}: {:.0}/s at {:.2} µs CPU each over two nodes, {:.0}/s at {:.2} µs on one: {ratio:.2}",
            two.per_second, two.cpu_micros, one.per_second, one.cpu_micros
        );
        ratios.push(ratio);
    }
    let ratio = median(ratios);
    println!("broadcast over two nodes: median {ratio:.2} of one node");
    ensure!(
        ratio >= least,
        "a broadcast over two nodes runs at less than {least} of one node"
    );
    Ok(())
}

fn emit(cluster: &Cluster, pairs: usize) -> Result<Rate> {
    let [a, b] = cluster.addresses();
    let senders = (0..pairs).map(|i| open(a, i)).collect::<Result<Vec<_>>>()?;
    let receivers = (0..pairs)
        .map(|i| open(b, pairs + i))
        .collect::<Result<Vec<_>>>()?;
    let messages: Vec<_> = (0..pairs)
        .map(|i| text(&[format!("T:client-{}:", pairs + i).as_bytes(), &PAYLOAD].concat()))
        .collect();
    let mut crowd = Crowd::new(receivers)?;
    let send = |i: usize| (&senders[i]).write_all(&messages[i]);
    for i in 0..pairs {
        send(i)?;
    }
    let (mut begin, mut cpu, mut count) = (Instant::now(), None, 0);
    loop {
        for (i, bytes) in crowd.read()? {
            count += bytes / FRAME;
            send(i)?;
        }
        match cpu {
            None if begin.elapsed() > MEASURE / 4 => {
                (begin, cpu, count) = (Instant::now(), Some(cluster.cpu()?), 0);
            }
            Some(cpu) if begin.elapsed() > MEASURE => {
                return Ok(Rate {
                    per_second: count as f64 / begin.elapsed().as_secs_f64(),
                    cpu_micros: (cluster.cpu()? - cpu) / count as f64 * 1e6,
                });
            }
            _ => {}
        }
    }
}

fn broadcast(cluster: &Cluster, addresses: &[SocketAddr], receivers: usize) -> Result<Rate> {
    let sockets = (0..receivers).map(|i| open(addresses[i % addresses.len()], i));
    let sockets = sockets.collect::<Result<Vec<_>>>()?;
    let mut sender = open(addresses[0], receivers)?;
    let mut crowd = Crowd::new(sockets)?;
    let message = masked(&PAYLOAD);
    let (mut begin, mut cpu, mut rounds) = (Instant::now(), 0.0, 0u32);
    loop {
        sender.write_all(&message)?;
        let mut expected = receivers * FRAME;
        while expected > 0 {
            expected -= crowd.read()?.iter().map(|(_, bytes)| bytes).sum::<usize>();
        }
        rounds += 1;
        if rounds == WARM {
            (begin, cpu) = (Instant::now(), cluster.cpu()?);
        } else if rounds > WARM && begin.elapsed() > MEASURE {
            let deliveries = f64::from(rounds - WARM) * receivers as f64;
            return Ok(Rate {
                per_second: deliveries / begin.elapsed().as_secs_f64(),
                cpu_micros: (cluster.cpu()? - cpu) / deliveries * 1e6,
            });
        }
    }
}

/// Two nodes and their registry, pinned to the first processor.
struct Cluster {
    nodes: [Server; 2],
    _redis: Redis,
}

impl Cluster {
    fn start() -> Result<Self> {
        let redis = Redis::start()?;
        let registry = format!("redis://127.0.0.1:{}", redis.port);
        let node = || {
            let arguments = ["--listen", "127.0.0.1:0", "--registry", &registry];
            Server::pinned("yardstick", &arguments)
        };
        let nodes = [node()?, node()?];
        Ok(Self {
            nodes,
            _redis: redis,
        })
    }

    /// Seconds of processor time of both nodes so far.
    fn cpu(&self) -> Result<f64> {
        Ok(self.nodes[0].cpu()? + self.nodes[1].cpu()?)
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.nodes[0].address, self.nodes[1].address]
    }
}

struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("taskset")
            .args([
                "-c",
                "0",
                "redis-server",
                "--save",
                "",
                "--port",
                &port.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server (Debian: redis-server, util-linux)")?;
        let redis = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(
                begin.elapsed() < Duration::from_secs(10),
                "redis-server does not listen"
            );
        }
        Ok(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
