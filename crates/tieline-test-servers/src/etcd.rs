//! Private etcd servers: one, or a cluster, for one test; they end with it.
//!
//! Owns the processes and their folder. They listen on free ports of 127.0.0.1, keep their data in
//! memory where the machine has a file system for that, and elect fast: a lease may be as short as 1 s.

mod gateway;

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use self::gateway::Gateway;
use crate::{Authority, process};

/// The shortest lease that these servers grant.
pub const LEASE: Duration = Duration::from_secs(1);

/// How soon a cluster must be able to answer.
const HEALTHY_WITHIN: Duration = Duration::from_secs(15);

/// A running cluster; killed when it is dropped.
pub struct Etcd {
    members: Vec<Member>,
    tls: bool,
    // Below the members, so that it goes after them.
    folder: TempDir,
}

struct Member {
    client: u16,
    metrics: u16,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
    stopped: bool,
}

impl Etcd {
    /// A single server.
    pub async fn start() -> Self {
        Self::cluster(1).await
    }

    /// So many servers, healthy.
    pub async fn cluster(size: usize) -> Self {
        Self::launch(size, None).await
    }

    /// A single server that clients reach by TLS, and that wants a certificate of theirs.
    pub async fn with_tls(authority: &Authority) -> Self {
        Self::launch(1, Some(authority)).await
    }

    /// A single server with a user `tieline`, whose password is `secret` and who may read and write
    /// below these prefixes alone. Tokens run out after a second or two of disuse.
    pub async fn with_users(prefixes: &[&str]) -> Self {
        let etcd = Self::start().await;
        etcd.gateway().enable_users(prefixes).await;
        etcd
    }

    async fn launch(size: usize, authority: Option<&Authority>) -> Self {
        let folder = folder();
        let mut etcd = Self {
            members: members(size, folder.path(), authority),
            tls: authority.is_some(),
            folder,
        };
        etcd.members.iter_mut().for_each(Member::spawn);
        for member in &mut etcd.members {
            member.healthy().await;
        }
        etcd
    }

    /// The URL of all servers.
    pub fn url(&self) -> String {
        self.url_as("")
    }

    /// The URL of all servers for `user:password@`.
    pub fn url_as(&self, credentials: &str) -> String {
        let scheme = if self.tls { "etcds" } else { "etcd" };
        let hosts = self
            .members
            .iter()
            .map(|m| format!("127.0.0.1:{}", m.client));
        format!(
            "{scheme}://{credentials}{}",
            hosts.collect::<Vec<_>>().join(",")
        )
    }

    /// The URL of one server.
    pub fn url_of(&self, member: usize) -> String {
        format!("etcd://127.0.0.1:{}", self.members[member].client)
    }

    /// Keys as other programs see them, through the first server that runs; not under TLS.
    pub fn gateway(&self) -> Gateway {
        let running = |m: &&Member| m.process.is_some() && !m.stopped;
        let member = self.members.iter().find(running);
        Gateway::new(member.expect("one that runs").client)
    }

    /// The server that leads.
    pub async fn leader(&self) -> usize {
        let leader = self.gateway().status().await.0;
        for (index, member) in self.members.iter().enumerate() {
            let running = member.process.is_some() && !member.stopped;
            if running && Gateway::new(member.client).status().await.1 == leader {
                return index;
            }
        }
        panic!("no running server leads")
    }

    /// Stops a server: it keeps its connections and answers nothing.
    pub fn stop(&mut self, member: usize) {
        self.members[member].stand_still();
        self.members[member].stopped = true;
    }

    /// Lets a stopped server go on.
    pub fn cont(&mut self, member: usize) {
        self.members[member].signal(Signal::CONT);
        self.members[member].stopped = false;
    }

    /// Kills a server.
    pub fn kill(&mut self, member: usize) {
        self.members[member].end();
    }

    /// Waits until a server has a leader and a quorum.
    pub async fn healthy(&mut self, member: usize) {
        self.members[member].healthy().await;
    }

    /// Remembers all data of a single server, which starts again meanwhile.
    pub async fn back_up(&mut self) {
        self.exchange(&self.data(), &self.backup()).await;
    }

    /// Gives a single server the data back that it had at the last [`Etcd::back_up`].
    pub async fn restore(&mut self) {
        self.exchange(&self.backup(), &self.data()).await;
    }

    async fn exchange(&mut self, from: &Path, to: &Path) {
        self.kill(0);
        if to.exists() {
            fs::remove_dir_all(to).unwrap();
        }
        copy(from, to);
        self.restart(0, true).await;
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("0")
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    /// Starts a killed server again, with the data that it had; waits for its health if `wait`, for
    /// which it needs a quorum.
    pub async fn restart(&mut self, member: usize, wait: bool) {
        self.members[member].spawn();
        if wait {
            self.members[member].healthy().await;
        }
    }
}

impl Member {
    fn spawn(&mut self) {
        let log = File::create(&self.log).unwrap();
        let mut command = Command::new("etcd");
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "etcd cannot be started ({error}); the tests need it: apt-get install etcd-server"
            )
        });
        self.process = Some(process);
        self.stopped = false;
    }

    fn stand_still(&self) {
        process::stop(self.process.as_ref().expect("it runs"));
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Waits until it has a leader and a quorum.
    async fn healthy(&mut self) {
        let deadline = Instant::now() + HEALTHY_WITHIN;
        while !gateway::healthy(self.metrics).await {
            let process = self.process.as_mut().expect("it runs");
            let ended = process.try_wait().unwrap().is_some();
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                panic!("etcd is not healthy (ended: {ended}):\n{log}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

/// Copies a folder and all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A folder for data, in memory if there is such a place: etcd waits for the disk at every write.
fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tieline-etcd-");
    let memory = builder.tempdir_in("/dev/shm");
    memory.or_else(|_| builder.tempdir()).unwrap()
}

fn members(size: usize, folder: &Path, authority: Option<&Authority>) -> Vec<Member> {
    let ports = free_ports(3 * size);
    let ports: Vec<_> = ports.chunks_exact(3).collect();
    let peers = ports.iter().enumerate();
    let peers: Vec<_> = peers
        .map(|(index, ports)| format!("{index}=http://127.0.0.1:{}", ports[1]))
        .collect();
    let tls = authority.map_or_else(Vec::new, |authority| tls(folder, authority));
    let scheme = if tls.is_empty() { "http" } else { "https" };
    let member = |(index, ports): (usize, &&[u16])| {
        let client = format!("{scheme}://127.0.0.1:{}", ports[0]);
        let peer = format!("http://127.0.0.1:{}", ports[1]);
        let metrics = format!("http://127.0.0.1:{}", ports[2]);
        let data = folder.join(index.to_string()).display().to_string();
        let settings = [
            ("name", index.to_string()),
            ("data-dir", data),
            ("listen-client-urls", client.clone()),
            ("advertise-client-urls", client),
            ("listen-peer-urls", peer.clone()),
            ("initial-advertise-peer-urls", peer),
            ("initial-cluster", peers.join(",")),
            ("initial-cluster-token", folder.display().to_string()),
            ("listen-metrics-urls", metrics),
            ("heartbeat-interval", "50".to_owned()),
            ("election-timeout", "500".to_owned()),
            ("auth-token-ttl", "1".to_owned()),
            ("bcrypt-cost", "4".to_owned()),
            ("logger", "zap".to_owned()),
            ("log-level", "warn".to_owned()),
        ];
        let arguments = settings
            .iter()
            .map(|(name, value)| format!("--{name}={value}"));
        Member {
            client: ports[0],
            metrics: ports[2],
            arguments: arguments.chain(tls.iter().cloned()).collect(),
            log: folder.join(format!("{index}.log")),
            process: None,
            stopped: false,
        }
    };
    ports.iter().enumerate().map(member).collect()
}

fn tls(folder: &Path, authority: &Authority) -> Vec<String> {
    let (certificate, key) = authority.issue();
    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    vec![
        format!("--cert-file={}", write("server.pem", certificate)),
        format!("--key-file={}", write("server.key", key)),
        format!(
            "--trusted-ca-file={}",
            write("ca.pem", authority.pem().to_owned())
        ),
        "--client-cert-auth".to_owned(),
    ]
}

/// Ports that nobody listens on; all are held until the last is found, so that they differ.
fn free_ports(count: usize) -> Vec<u16> {
    let bind = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let held: Vec<_> = std::iter::repeat_with(bind).take(count).collect();
    held.iter()
        .map(|held| held.local_addr().unwrap().port())
        .collect()
}
