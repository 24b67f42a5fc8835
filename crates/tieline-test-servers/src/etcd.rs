//! Private etcd servers for one test: a single one or a cluster.
//!
//! Owns the processes and their folder. The servers listen on free ports of 127.0.0.1 and keep
//! their data in memory if the machine has `/dev/shm`. They elect fast, so a lease can be as short
//! as 1 s.

mod gateway;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

pub use self::gateway::Gateway;
use crate::{Stopwatch, authority::Authority, ports::free_port, process};

/// The shortest lease that these servers grant.
pub const LEASE: Duration = Duration::from_secs(1);

/// How long a cluster may take to become healthy, by a stopwatch.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(15);

/// A running cluster. It is killed when the value is dropped.
pub struct Etcd {
    members: Vec<EtcdMember>,
    tls: bool,
    // Declared after the members, so that it is deleted after they have ended.
    folder: TempDir,
}

struct EtcdMember {
    client: u16,
    metrics: u16,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
    stopped: bool,
}

impl Etcd {
    /// Starts a single server.
    pub async fn start() -> Self {
        Self::cluster(1).await
    }

    /// Starts a cluster of `size` servers and waits until each is healthy.
    pub async fn cluster(size: usize) -> Self {
        Self::launch(size, None).await
    }

    /// Starts a single server with TLS. Clients must present a certificate of `authority`.
    pub async fn with_tls(authority: &Authority) -> Self {
        Self::launch(1, Some(authority)).await
    }

    /// Starts a single server with a user `tieline`, password `secret`, who may read and write only
    /// below these prefixes. A token expires when it is not used for one to two seconds.
    pub async fn with_users(prefixes: &[&str]) -> Self {
        let etcd = Self::start().await;
        etcd.gateway().enable_users(prefixes).await;
        etcd
    }

    async fn launch(size: usize, authority: Option<&Authority>) -> Self {
        loop {
            let folder = folder();
            let mut etcd = Self {
                members: members(size, folder.path(), authority),
                tls: authority.is_some(),
                folder,
            };
            if etcd.try_start().await {
                return etcd;
            }
        }
    }

    /// Starts all servers. Returns `false` if another process took a port before one of them did.
    async fn try_start(&mut self) -> bool {
        self.members.iter_mut().for_each(EtcdMember::spawn);
        for member in &mut self.members {
            match member.try_until_healthy().await {
                Ok(()) => {}
                Err(why) if why.contains("address already in use") => return false,
                Err(why) => panic!("{why}"),
            }
        }
        true
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

    /// The keys as other programs see them, through the first running server. Not available with
    /// TLS.
    pub fn gateway(&self) -> Gateway {
        let running = |m: &&EtcdMember| m.process.is_some() && !m.stopped;
        let member = self.members.iter().find(running);
        Gateway::new(member.expect("a running server").client)
    }

    /// The index of the leader.
    pub async fn leader(&self) -> usize {
        let leader = self.gateway().status().await.0;
        for (index, member) in self.members.iter().enumerate() {
            let running = member.process.is_some() && !member.stopped;
            if running && Gateway::new(member.client).status().await.1 == leader {
                return index;
            }
        }
        panic!("none of the running servers is the leader")
    }

    /// Stops a server with SIGSTOP: it keeps its connections and answers nothing.
    pub fn stop(&mut self, member: usize) {
        self.members[member].stop();
        self.members[member].stopped = true;
    }

    /// Resumes a stopped server.
    pub fn resume(&mut self, member: usize) {
        self.members[member].signal(Signal::CONT);
        self.members[member].stopped = false;
    }

    /// Kills a server with SIGKILL.
    pub fn kill(&mut self, member: usize) {
        self.members[member].kill();
    }

    /// Waits until a server has a leader and a quorum.
    pub async fn wait_until_healthy(&mut self, member: usize) {
        self.members[member].wait_until_healthy().await;
    }

    /// Saves all data of a single server, which restarts meanwhile.
    pub async fn snapshot(&mut self) {
        self.replace_folder(&self.data_folder(), &self.snapshot_folder())
            .await;
    }

    /// Restores the data of the last [`Etcd::snapshot`] of a single server, which restarts
    /// meanwhile.
    pub async fn restore(&mut self) {
        self.replace_folder(&self.snapshot_folder(), &self.data_folder())
            .await;
    }

    /// Loses all data of a single server, which restarts meanwhile and begins to count anew.
    pub async fn wipe(&mut self) {
        self.kill(0);
        fs::remove_dir_all(self.data_folder()).unwrap();
        self.restart(0, true).await;
    }

    async fn replace_folder(&mut self, from: &Path, to: &Path) {
        self.kill(0);
        if to.exists() {
            fs::remove_dir_all(to).unwrap();
        }
        copy(from, to);
        self.restart(0, true).await;
    }

    fn data_folder(&self) -> PathBuf {
        self.folder.path().join("0")
    }

    fn snapshot_folder(&self) -> PathBuf {
        self.folder.path().join("snapshot")
    }

    /// Starts a killed server again, with its data. With `wait`, waits until it is healthy, which
    /// needs a quorum.
    pub async fn restart(&mut self, member: usize, wait: bool) {
        self.members[member].spawn();
        if wait {
            self.members[member].wait_until_healthy().await;
        }
    }
}

impl EtcdMember {
    fn spawn(&mut self) {
        let log = File::create(&self.log).unwrap();
        let mut command = Command::new("etcd");
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot start etcd: {error}; these tests need it, install it with: \
                 apt-get install etcd-server"
            )
        });
        self.process = Some(process);
        self.stopped = false;
    }

    fn stop(&self) {
        process::stop(self.process.as_ref().expect("the server is running"));
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server is running");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // The process may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Waits until the server has a leader and a quorum.
    async fn wait_until_healthy(&mut self) {
        self.try_until_healthy()
            .await
            .unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same; the error says why it is not healthy.
    async fn try_until_healthy(&mut self) -> Result<(), String> {
        let watch = Stopwatch::start_threads();
        while !gateway::healthy(self.metrics).await {
            let process = self.process.as_mut().expect("the server is running");
            let ended = process.try_wait().unwrap().is_some();
            if ended || watch.elapsed() > HEALTH_TIMEOUT {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let why = "etcd did not become healthy";
                return Err(format!("{why} (process ended: {ended}); its log:\n{log}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for EtcdMember {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Copies a folder with everything in it.
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

/// A folder for the data, in memory if possible: etcd waits for the disk at every write.
fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tieline-etcd-");
    let memory = builder.tempdir_in("/dev/shm");
    memory.or_else(|_| builder.tempdir()).unwrap()
}

fn members(size: usize, folder: &Path, authority: Option<&Authority>) -> Vec<EtcdMember> {
    let ports: Vec<_> = (0..size).map(|_| [(); 3].map(|()| free_port())).collect();
    let peers = ports.iter().enumerate();
    let peers: Vec<_> = peers
        .map(|(index, ports)| format!("{index}=http://127.0.0.1:{}", ports[1]))
        .collect();
    let tls = authority.map_or_else(Vec::new, |authority| tls(folder, authority));
    let scheme = if tls.is_empty() { "http" } else { "https" };
    let member = |(index, ports): (usize, &[u16; 3])| {
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
        EtcdMember {
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
