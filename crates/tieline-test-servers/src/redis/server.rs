//! One Redis server: its configuration, its process and its commands.

use std::{
    fmt::Write as _,
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use redis::{AsyncConnectionConfig, FromRedisValue, RedisResult, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{authority::Authority, ports::free_port, process};

/// How often a starting server is asked whether it answers.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long one of these attempts may take: what answers at the port may not be the server.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long a command of a test may take. It says nothing about the server: on a busy machine, some
/// commands take seconds, and the test has its own deadline.
const PATIENCE: Duration = Duration::from_mins(1);

/// The configuration of a server.
#[derive(Default)]
pub struct RedisSetup {
    config: String,
    password: Option<String>,
    persistent: bool,
    tls: Option<Authority>,
}

/// A running server. It is killed when the value is dropped.
pub struct Redis {
    /// The port on 127.0.0.1.
    pub port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    folder: Arc<TempDir>,
    process: Child,
}

impl RedisSetup {
    /// Keeps the data across [`Redis::kill`] and [`Redis::restart`].
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Requires a password of the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}"))
    }

    /// Listens with TLS on a second port. With `clients`, clients must present a certificate.
    pub fn tls(mut self, authority: Authority, clients: bool) -> Self {
        self.tls = Some(authority);
        self.line(if clients {
            "tls-auth-clients yes"
        } else {
            "tls-auth-clients no"
        })
    }

    /// Adds a line to the configuration file.
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
            fs::write(
                folder.path().join("redis.conf"),
                self.config_file(port, tls_port),
            )
            .unwrap();
            let mut redis = Redis {
                port,
                tls_port,
                password: self.password.clone(),
                process: spawn("redis-server", &folder),
                folder: folder.clone(),
            };
            // Otherwise another process took the port between the check and the start.
            if redis.wait_until_up().await {
                return redis;
            }
        }
    }

    fn config_file(&self, port: u16, tls_port: Option<u16>) -> String {
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
    /// Starts a server without data. It keeps nothing when it ends.
    pub async fn start() -> Self {
        RedisSetup::default().start().await
    }

    /// The URL for clients, as the default user.
    pub fn url(&self) -> String {
        let port = self.port;
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// The URL for clients with credentials, as `user:password`.
    pub fn url_as(&self, credentials: &str) -> String {
        format!("redis://{credentials}@127.0.0.1:{}", self.port)
    }

    /// The URL for clients with TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.unwrap())
    }

    /// Stops the process with SIGSTOP: it keeps its connections and answers nothing.
    pub fn stop(&self) {
        process::stop(&self.process);
    }

    /// Resumes a stopped process.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.process), Signal::CONT).unwrap();
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server again on the same port, with its data if it is persistent.
    pub async fn restart(&mut self) {
        self.process = spawn("redis-server", &self.folder);
        assert!(self.wait_until_up().await, "port {} is taken", self.port);
    }

    /// Deletes all data.
    pub async fn wipe(&self) {
        self.command::<()>(&["FLUSHALL"]).await;
    }

    /// Sends a command as the default user. An error reply fails the test.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.unwrap()
    }

    /// Sends a command with binary arguments.
    pub async fn command_bytes<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        self.send(words).await.unwrap()
    }

    /// Sends a command that the server may reject.
    pub async fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.send(&words).await
    }

    async fn send<T: FromRedisValue>(&self, words: &[&[u8]]) -> RedisResult<T> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut connect(&self.url()).await?).await
    }

    /// The value of one field of `INFO`; empty if there is none.
    pub async fn info_field(&self, name: &str) -> String {
        let info: String = self.command(&["INFO"]).await;
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// Waits until a replica has copied this empty server. `INFO` reports the replica too early:
    /// until it has acknowledged the first copy, it gets no writes.
    pub(super) async fn wait_for_first_sync(&self) {
        let mut connection = connect(&self.url()).await.unwrap();
        let mut write = redis::pipe();
        write.cmd("FLUSHALL").ignore().cmd("WAIT").arg(1).arg(100);
        while write.query_async(&mut connection).await != Ok([1]) {}
    }

    /// Waits until a replica has everything that was written. On a cluster, `key` must belong to a
    /// slot of this server.
    pub async fn wait_for_replica(&self, key: &str) {
        let mut connection = connect(&self.url()).await.unwrap();
        let mut write = redis::pipe();
        write.cmd("SET").arg(key).arg("").ignore();
        write.cmd("DEL").arg(key).ignore();
        write.cmd("WAIT").arg(1).arg(100);
        while write.query_async(&mut connection).await != Ok([1]) {}
    }

    /// Waits until the server answers. Returns `false` if the process has ended instead.
    async fn wait_until_up(&mut self) -> bool {
        loop {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            let ping = timeout(ATTEMPT, self.try_command::<String>(&["PING"]));
            if matches!(ping.await, Ok(Ok(_))) {
                return true;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection for the commands of the tests. It fails at once if nobody listens.
pub(super) async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

pub(super) fn spawn(program: &str, folder: &TempDir) -> Child {
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
            "cannot start {program}: {error}; these tests need it, install it with: \
             apt-get install redis-server redis-sentinel"
        )
    })
}
