//! Private Redis servers: a process of its own for each test, in a temporary folder, on a free port.
//!
//! Owns the processes that it starts and ends only those. Must not know what is stored in them.

mod cluster;
mod sentinel;

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use redis::{FromRedisValue, RedisResult, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::{cluster::RedisCluster, sentinel::Sentinels};
use crate::{Authority, process};

/// How often a server that starts is asked whether it answers.
const POLL: Duration = Duration::from_millis(10);

/// What a server is started with.
#[derive(Default)]
pub struct RedisSetup {
    config: String,
    password: Option<String>,
    persistent: bool,
    tls: Option<Authority>,
}

/// A running server; killed when it is dropped.
pub struct Redis {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    folder: Arc<TempDir>,
    process: Child,
}

impl RedisSetup {
    /// Keeps its data over [`Redis::kill`] and [`Redis::restart`].
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Asks the default user for a password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}"))
    }

    /// Listens with TLS on a second port; the clients' certificates are asked for if they are to be.
    pub fn tls(mut self, authority: Authority, clients: bool) -> Self {
        self.tls = Some(authority);
        self.line(if clients {
            "tls-auth-clients yes"
        } else {
            "tls-auth-clients no"
        })
    }

    /// Adds a line to its configuration.
    pub fn line(mut self, line: &str) -> Self {
        writeln!(self.config, "{line}").unwrap();
        self
    }

    /// Starts the server and waits until it answers.
    pub async fn start(self) -> Redis {
        let folder = Arc::new(TempDir::new().unwrap());
        let tls_port = self.tls.as_ref().map(|authority| {
            let (chain, key) = authority.issue();
            fs::write(folder.path().join("chain.pem"), chain).unwrap();
            fs::write(folder.path().join("key.pem"), key).unwrap();
            fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
            free_port()
        });
        loop {
            let port = free_port();
            fs::write(folder.path().join("redis.conf"), self.text(port, tls_port)).unwrap();
            let mut redis = Redis {
                port,
                tls_port,
                password: self.password.clone(),
                process: spawn("redis-server", &folder),
                folder: folder.clone(),
            };
            // Otherwise another process took the port between our look and the start.
            if redis.until_up().await {
                return redis;
            }
        }
    }

    fn text(&self, port: u16, tls_port: Option<u16>) -> String {
        let append = if self.persistent { "yes" } else { "no" };
        let mut text = format!(
            "port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly {append}\nappendfsync always\n\
             repl-diskless-sync-delay 0\nrepl-diskless-load swapdb\n"
        );
        if let Some(tls_port) = tls_port {
            let names = "tls-cert-file chain.pem\ntls-key-file key.pem\ntls-ca-cert-file ca.pem";
            writeln!(text, "tls-port {tls_port}\n{names}").unwrap();
        }
        text + &self.config
    }
}

impl Redis {
    /// A server without data, which forgets what it is told when it ends.
    pub async fn start() -> Self {
        RedisSetup::default().start().await
    }

    /// For clients, as the default user.
    pub fn url(&self) -> String {
        let port = self.port;
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// For clients that name themselves: `user:password`.
    pub fn url_as(&self, credentials: &str) -> String {
        format!("redis://{credentials}@127.0.0.1:{}", self.port)
    }

    /// For clients with TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.unwrap())
    }

    /// Halts the process: it keeps its connections and answers nothing.
    pub fn stop(&self) {
        process::stop(&self.process);
    }

    /// Lets it go on.
    pub fn cont(&self) {
        kill_process(Pid::from_child(&self.process), Signal::CONT).unwrap();
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, with its data if it is persistent.
    pub async fn restart(&mut self) {
        self.process = spawn("redis-server", &self.folder);
        assert!(self.until_up().await, "port {} is taken", self.port);
    }

    /// Deletes all data.
    pub async fn wipe(&self) {
        self.command::<()>(&["FLUSHALL"]).await;
    }

    /// Asks it something, as the default user.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.unwrap()
    }

    /// Asks it something that is not all text.
    pub async fn command_bytes<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        self.ask(words).await.unwrap()
    }

    /// Asks it something that it may refuse.
    pub async fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask(&words).await
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&[u8]]) -> RedisResult<T> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut connect(&self.url()).await?).await
    }

    /// The value of a line of INFO.
    pub async fn info(&self, name: &str) -> String {
        let info: String = self.command(&["INFO"]).await;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// Waits until a replica follows an empty server. What INFO says comes too early: until the replica
    /// has acknowledged its first copy, what is written waits with the master.
    async fn until_replicated(&self) {
        let mut connection = connect(&self.url()).await.unwrap();
        let mut write = redis::pipe();
        write.cmd("FLUSHALL").ignore().cmd("WAIT").arg(1).arg(100);
        while write.query_async(&mut connection).await != Ok([1]) {}
    }

    /// Waits until a replica has all that was written; `key` belongs to a slot of this server.
    pub async fn replicated(&self, key: &str) {
        let mut connection = connect(&self.url()).await.unwrap();
        let mut write = redis::pipe();
        write.cmd("SET").arg(key).arg("").ignore();
        write.cmd("DEL").arg(key).ignore();
        write.cmd("WAIT").arg(1).arg(100);
        while write.query_async(&mut connection).await != Ok([1]) {}
    }

    /// Waits until it answers; `false` when it has ended instead.
    async fn until_up(&mut self) -> bool {
        loop {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.try_command::<String>(&["PING"]).await.is_ok() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection for the tests' own commands; a server that does not answer is an error at once.
async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    client.get_multiplexed_async_connection().await
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(program: &str, folder: &TempDir) -> Child {
    let log = folder.path().join("log");
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    let spawned = Command::new(program)
        .arg("redis.conf")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn();
    spawned.unwrap_or_else(|error| {
        panic!(
            "{program} did not start ({error}); these tests need it: \
             apt-get install redis-server redis-sentinel"
        )
    })
}
