//! Node processes that a test starts, signals and queries, and that are killed when it ends.
//!
//! Each runs the test binary again, with the one test that serves as a node.

use std::{
    io::BufReader,
    net::{Ipv4Addr, SocketAddr},
    process::{self, ChildStdout, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tieline_test_servers::free_port;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, spawn_blocking},
};

pub(super) use super::node_program::Setup;
use super::node_program::{EmitResult, SETUP, Stats};
use crate::kit::{GIVEN_UP_AFTER, Stopwatch, child, run_within};

/// The default lease of the nodes.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// Timeout of a query; a receipt takes a second at most.
const ANSWER: Duration = Duration::from_secs(5);

/// Ids of one request: servers limit its line.
const IDS: usize = 200;

/// A node in a separate process; killed when it is dropped.
pub(super) struct NodeProcess {
    pub(super) setup: Setup,
    child: process::Child,
    /// Its output; kept open, since it writes to it when it ends.
    stdout: Stdout,
}

enum Stdout {
    /// It has not reported yet that it serves.
    Awaited(JoinHandle<BufReader<ChildStdout>>),
    Heard {
        _open: BufReader<ChildStdout>,
    },
}

/// The setup of a node, with new ports.
pub(super) fn setup(registry: &str) -> Setup {
    let peers = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    Setup {
        registry: registry.to_owned(),
        prefix: "nodes".to_owned(),
        clients: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
        peers,
        advertise: peers.to_string(),
        lease: LEASE,
        // A lease where the registry counts entries, as Redis: audits are ten times as rare there.
        audit: LEASE / 10,
        drain_window: Duration::from_millis(300),
        presence: None,
    }
}

/// Starts `N` nodes and waits for the links between them.
pub(super) async fn start<const N: usize>(registry: &str) -> [NodeProcess; N] {
    start_with(|| setup(registry)).await
}

/// The same, with these setups.
pub(super) async fn start_with<const N: usize>(setup: impl Fn() -> Setup) -> [NodeProcess; N] {
    let mut nodes: [NodeProcess; N] = std::array::from_fn(|_| NodeProcess::spawn(setup()));
    for node in &mut nodes {
        node.serving().await;
    }
    for node in &nodes {
        while node.stats().await.is_none_or(|s| s.linked.len() < N - 1) {
            pause().await;
        }
    }
    nodes
}

/// Fills a new registry's first lease with a node of its own, which then leaves: until its end, an absent
/// client may be one that the registry has lost, and is not `Offline`.
pub(super) async fn outlast_the_first_lease(registry: &str) {
    let mut node = NodeProcess::start(setup(registry)).await;
    while node.emit_one("nobody", "").await != "offline" {
        pause().await;
    }
    node.terminate();
    node.ended().await;
}

/// Pauses between two checks of a condition without an event.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

impl NodeProcess {
    /// Starts the process; [`Process::serving`] waits until it serves.
    pub(super) fn spawn(setup: Setup) -> Self {
        let spawned = child::command("processes::node_process::a_node_is_a_process_that_drains")
            .env(SETUP, serde_json::to_string(&setup).unwrap())
            .spawn();
        let mut child = spawned.unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let reading = spawn_blocking(move || {
            // Without a line it was killed before it served.
            let _ = child::first_line(&mut stdout);
            stdout
        });
        Self {
            setup,
            child,
            stdout: Stdout::Awaited(reading),
        }
    }

    /// Waits until it serves clients, or has ended.
    pub(super) async fn serving(&mut self) {
        if let Stdout::Awaited(reading) = &mut self.stdout {
            let open = reading.await.unwrap();
            self.stdout = Stdout::Heard { _open: open };
        }
    }

    /// Starts it and waits until it serves.
    pub(super) async fn start(setup: Setup) -> Self {
        let mut process = Self::spawn(setup);
        process.serving().await;
        process
    }

    /// The address at which peers reach it, as in the registry.
    pub(super) fn address(&self) -> &str {
        &self.setup.advertise
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Suspends it: its connections stay, and it does nothing.
    pub(super) fn stop(&self) {
        tieline_test_servers::process::stop(&self.child);
    }

    /// Resumes it.
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to drain and end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status, if it has ended.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            pause().await;
        }
    }

    /// Sends a text to clients; returns the outcome of each.
    pub(super) async fn emit(&self, ids: &[impl AsRef<str>], data: &str) -> Vec<EmitResult> {
        let mut emitted = Vec::new();
        for ids in ids.chunks(IDS) {
            let ids: Vec<_> = ids.iter().map(AsRef::as_ref).collect();
            let target = format!("/emit?ids={}&data={data}", ids.join(","));
            let answer: Option<Vec<EmitResult>> = self.ask(&target).await;
            emitted.extend(answer.expect("every emit is answered"));
        }
        emitted
    }

    /// Delivers a text to connected clients. It is sent again only to those for which a busy machine left
    /// no time.
    pub(super) async fn deliver(&self, ids: &[impl AsRef<str>], data: &str) {
        let mut ids: Vec<_> = ids.iter().map(|id| id.as_ref().to_owned()).collect();
        while !ids.is_empty() {
            let watch = Stopwatch::start();
            let emitted = self.emit(&ids, data).await.into_iter();
            let left: Vec<_> = emitted.filter(|one| one.delivery != "delivered").collect();
            for one in &left {
                assert!(one.was_given_up(&watch), "{data}: {one:?}");
            }
            ids = left.into_iter().map(|one| one.id).collect();
        }
    }

    /// The outcome of one emit.
    pub(super) async fn emit_one(&self, id: &str, data: &str) -> String {
        self.emit(&[id], data).await.remove(0).delivery
    }

    pub(super) async fn stats(&self) -> Option<Stats> {
        self.ask("/stats").await
    }

    /// The answer to a query; `None` if the node is down or silent.
    pub(super) async fn ask<T: DeserializeOwned>(&self, target: &str) -> Option<T> {
        ask(self.setup.clients, target).await
    }
}

/// The answer of a node to a query; `None` if it is down or silent.
pub(super) async fn ask<T: DeserializeOwned>(node: SocketAddr, target: &str) -> Option<T> {
    let exchange = async {
        let mut stream = TcpStream::connect(node).await?;
        let question =
            format!("GET {target} HTTP/1.1\r\nHost: node.test\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER, exchange).await.ok()?.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

impl EmitResult {
    /// Whether only a busy machine kept it from a client that was connected.
    pub(super) fn was_given_up(&self, watch: &Stopwatch) -> bool {
        let is_undecided = ["unreachable", "unknown"].contains(&self.delivery.as_str());
        is_undecided && watch.has_lost(GIVEN_UP_AFTER)
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_node_is_a_process_that_drains() {
    if child::is_child() {
        return run_within(Duration::from_mins(10), super::node_program::serve());
    }
    run_within(Duration::from_secs(20), async {
        let redis = tieline_test_servers::redis::Redis::start().await;
        let mut node = NodeProcess::start(setup(&redis.url())).await;
        let client = super::client::Client::connect(&node, "a").await.unwrap();
        assert_eq!(node.emit_one("a", "hello").await, "delivered");
        client.until_received("hello").await;
        node.terminate();
        assert_eq!(client.until_ended().await, Some(1012));
        assert!(node.ended().await.success());
    });
}
