//! One connection to one server.
//!
//! Owns the connection's driver and the memory of how long it has been silent. Must not know which
//! server is the right one (`dial`) or what comes after this connection (`line`).

use std::time::Duration;

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisResult, Value,
    aio::{AsyncStream, MultiplexedConnection},
};
use tokio::{net::TcpStream, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{
    scripts,
    server_error::is_unknown_script,
    tls::Tls,
    url::{Credentials, Server},
};

/// How many calls may wait for the connection's driver; more wait in their callers.
const QUEUE: usize = 256;

/// How many bytes are gathered before a write: a batch of 512 claims is about 40 KiB.
const WRITE_BUFFER: usize = 64 * 1024;

/// A connection that many use at once. Ends with its last user: a server that hangs keeps no task.
pub(super) struct RedisConnection {
    pub(super) server: Server,
    connection: MultiplexedConnection,
    driver: AbortOnDropHandle<()>,
    /// When the oldest call was sent since whose time nothing has been answered. Kept here since
    /// callers that give up before our own deadline must not hide a dead connection.
    silent_since: Mutex<Option<Instant>>,
}

/// How to connect, apart from the server.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) tls: Option<Tls>,
    pub(super) credentials: Option<Credentials>,
    pub(super) database: i64,
}

impl RedisConnection {
    pub(super) async fn connect(server: Server, access: &Access) -> RedisResult<Self> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn AsyncStream + Send + Sync> = match &access.tls {
            Some(tls) => Box::new(tls.connect(&server.host, tcp).await?),
            None => Box::new(tcp),
        };
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_write_backpressure_boundary(WRITE_BUFFER);
        let settings = access.settings();
        let stream = Box::into_pin(stream);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&settings, stream, config).await?;
        Ok(Self {
            server,
            connection,
            driver: AbortOnDropHandle::new(tokio::spawn(driver)),
            silent_since: Mutex::new(None),
        })
    }

    /// Whether to use it: it did not end, and has not kept silent for longer than that.
    pub(super) fn is_usable(&self, patience: Duration) -> bool {
        let silent_since = *self.silent_since.lock();
        !self.driver.is_finished() && silent_since.is_none_or(|since| since.elapsed() <= patience)
    }

    /// Sends commands and waits for all their answers. A script that the server does not know is sent
    /// along.
    pub(super) async fn send(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        match self.exchange(commands).await {
            Err(error) if is_unknown_script(&error) => {
                // All are calls of one script, so the first one loads it for the others.
                let mut commands = commands.to_vec();
                if let Some(by_text) = commands.first().and_then(scripts::by_text) {
                    commands[0] = by_text;
                }
                self.exchange(&commands).await
            }
            answered => answered,
        }
    }

    async fn exchange(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        self.silent_since.lock().get_or_insert_with(Instant::now);
        let mut connection = self.connection.clone();
        let answered = match commands {
            [command] => command
                .query_async(&mut connection)
                .await
                .map(|one| vec![one]),
            several => {
                let mut pipeline = Pipeline::with_capacity(several.len());
                several.iter().for_each(|command| {
                    pipeline.add_command(command.clone());
                });
                pipeline.query_async(&mut connection).await
            }
        };
        *self.silent_since.lock() = None;
        answered
    }
}

impl Access {
    fn settings(&self) -> RedisConnectionInfo {
        let settings = RedisConnectionInfo::default()
            .set_skip_set_lib_name()
            .set_db(self.database);
        let Some(Credentials { user, password }) = &self.credentials else {
            return settings;
        };
        let settings = settings.set_password(password);
        match user {
            Some(user) => settings.set_username(user),
            None => settings,
        }
    }
}
