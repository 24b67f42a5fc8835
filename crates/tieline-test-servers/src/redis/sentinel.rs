//! A master, its replica, and the sentinels that monitor them.

use std::{fs, process::Child};

use tempfile::TempDir;

use super::server::{POLL_INTERVAL, Redis, RedisSetup, connect, spawn};
use crate::ports::free_port;

/// The name under which the sentinels know the master.
const MASTER_NAME: &str = "main";

/// Servers that sentinels monitor. All are killed when the value is dropped.
pub struct Sentinels {
    /// The master, until a failover.
    pub master: Redis,
    /// The replica, which a failover makes the master.
    pub replica: Redis,
    monitors: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Sentinels {
    /// Starts a master, a replica and sentinels, a majority of which must agree on a failover. A
    /// master that is unreachable for half a second is replaced.
    pub async fn start(sentinels: usize) -> Self {
        let master = Redis::start().await;
        let replica = format!("replicaof 127.0.0.1 {}", master.port);
        let replica = RedisSetup::default().line(&replica).start().await;
        master.wait_for_first_sync().await;
        let quorum = sentinels / 2 + 1;
        let monitors = (0..sentinels).map(|_| Sentinel::start(master.port, quorum));
        let all = Self {
            monitors: monitors.collect(),
            master,
            replica,
        };
        all.wait_until_known().await;
        all
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.monitors.iter().map(Sentinel::server).collect();
        format!("redis+sentinel://{}/{MASTER_NAME}", servers.join(","))
    }

    /// Waits until every sentinel knows the replica and the other sentinels.
    async fn wait_until_known(&self) {
        let others = (self.monitors.len() - 1).to_string();
        for sentinel in &self.monitors {
            while !sentinel.knows(&others).await {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}

impl Sentinel {
    fn start(master: u16, quorum: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER_NAME} 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds {MASTER_NAME} 500\nsentinel failover-timeout {MASTER_NAME} 2000\n"
        );
        fs::write(folder.path().join("redis.conf"), text).unwrap();
        let process = spawn("redis-sentinel", &folder);
        Self {
            port,
            process,
            _folder: folder,
        }
    }

    fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn knows(&self, others: &str) -> bool {
        let Ok(mut connection) = connect(&format!("redis://{}", self.server())).await else {
            return false;
        };
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(MASTER_NAME);
        let fields: Vec<String> = match command.query_async(&mut connection).await {
            Ok(fields) => fields,
            Err(_) => return false,
        };
        let is = |name: &str, wanted: &str| fields.windows(2).any(|pair| pair == [name, wanted]);
        is("num-slaves", "1") && is("num-other-sentinels", others)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
