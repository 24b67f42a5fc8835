//! A master, its replica, and the sentinels that watch them.

use std::{fs, process::Child};

use tempfile::TempDir;

use super::{POLL, Redis, RedisSetup, connect, free_port, spawn};

/// The name of the master.
const NAME: &str = "main";

/// Servers under the watch of sentinels; all are killed when it is dropped.
pub struct Sentinels {
    /// The master, until a failover.
    pub master: Redis,
    /// The master after one.
    pub replica: Redis,
    watching: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Sentinels {
    /// Starts a master, a replica and sentinels, most of which must agree on a failover. A master that
    /// is gone for half a second is replaced.
    pub async fn start(sentinels: usize) -> Self {
        let master = Redis::start().await;
        let replica = format!("replicaof 127.0.0.1 {}", master.port);
        let replica = RedisSetup::default().line(&replica).start().await;
        master.until_replicated().await;
        let quorum = sentinels / 2 + 1;
        let watching = (0..sentinels).map(|_| Sentinel::start(master.port, quorum));
        let all = Self {
            watching: watching.collect(),
            master,
            replica,
        };
        all.until_known().await;
        all
    }

    /// For clients.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.watching.iter().map(Sentinel::server).collect();
        format!("redis+sentinel://{}/{NAME}", servers.join(","))
    }

    /// Waits until every sentinel knows the replica and the other sentinels.
    async fn until_known(&self) {
        let others = (self.watching.len() - 1).to_string();
        for sentinel in &self.watching {
            while !sentinel.knows(&others).await {
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

impl Sentinel {
    fn start(master: u16, quorum: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n"
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
        let mut question = redis::cmd("SENTINEL");
        question.arg("MASTER").arg(NAME);
        let said: Vec<String> = match question.query_async(&mut connection).await {
            Ok(said) => said,
            Err(_) => return false,
        };
        let is = |name: &str, wanted: &str| said.windows(2).any(|pair| pair == [name, wanted]);
        is("num-slaves", "1") && is("num-other-sentinels", others)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
