//! One connection to one server.
//!
//! Owns the connection's driver, and since when the server has been silent. Must not know which server
//! holds the data (`connector`) or what replaces this connection (`client`).

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
    server_error::{first_of_pipeline, is_unknown_script},
    tls::Tls,
    url::{Credentials, Server},
};

/// How many calls the connection's driver queues; further calls wait in their callers.
const DRIVER_QUEUE: usize = 256;

/// How many bytes are gathered before a write, in bytes. A batch of 512 claims is about 40 KiB.
const WRITE_BUFFER: usize = 64 * 1024;

/// A connection that many calls share. It ends with its last user, so that a server that hangs keeps no
/// task alive.
pub(super) struct RedisConnection {
    pub(super) server: Server,
    connection: MultiplexedConnection,
    driver: AbortOnDropHandle<()>,
    /// When the oldest call was sent that has had no reply; none after any reply. Kept across calls:
    /// callers that give up before the timeout must not hide a dead connection.
    silent_since: Mutex<Option<Instant>>,
}

/// How to connect, apart from the server's address.
#[derive(Clone)]
pub(super) struct ConnectionConfig {
    pub(super) tls: Option<Tls>,
    pub(super) credentials: Option<Credentials>,
    pub(super) database: i64,
}

impl RedisConnection {
    pub(super) async fn connect(server: Server, config: &ConnectionConfig) -> RedisResult<Self> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn AsyncStream + Send + Sync> = match &config.tls {
            Some(tls) => Box::new(tls.connect(&server.host, tcp).await?),
            None => Box::new(tcp),
        };
        let driver_config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(DRIVER_QUEUE)
            .set_write_backpressure_boundary(WRITE_BUFFER);
        let settings = config.settings();
        let stream = Box::into_pin(stream);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&settings, stream, driver_config).await?;
        Ok(Self {
            server,
            connection,
            driver: AbortOnDropHandle::new(tokio::spawn(driver)),
            silent_since: Mutex::new(None),
        })
    }

    /// Whether the connection is open, and the server has not been silent for longer than this.
    pub(super) fn is_usable(&self, max_silence: Duration) -> bool {
        let silent_since = *self.silent_since.lock();
        !self.driver.is_finished()
            && silent_since.is_none_or(|since| since.elapsed() <= max_silence)
    }

    /// Sends commands and waits for all replies. If the server does not know a script, sends its text.
    pub(super) async fn send(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        match self.send_once(commands).await {
            Err(error) if is_unknown_script(&error) => self.send_once(&load_first(commands)).await,
            result => result,
        }
    }

    /// Sends commands to a server that is about to get the slot of their keys, and does not serve it
    /// otherwise.
    pub(super) async fn send_asking(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        let asking = |commands: &[Cmd]| -> Vec<Cmd> {
            let pairs = commands.iter();
            pairs
                .flat_map(|command| [redis::cmd("ASKING"), command.clone()])
                .collect()
        };
        let replies = match self.send_once(&asking(commands)).await {
            Err(error) if is_unknown_script(&error) => {
                self.send_once(&asking(&load_first(commands))).await?
            }
            result => result?,
        };
        Ok(replies.into_iter().skip(1).step_by(2).collect())
    }

    async fn send_once(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        self.silent_since.lock().get_or_insert_with(Instant::now);
        let mut connection = self.connection.clone();
        let result = match commands {
            [command] => command
                .query_async(&mut connection)
                .await
                .map(|reply| vec![reply]),
            several => {
                let mut pipeline = Pipeline::with_capacity(several.len());
                several.iter().for_each(|command| {
                    pipeline.add_command(command.clone());
                });
                let replies = pipeline.query_async(&mut connection).await;
                replies.map_err(first_of_pipeline)
            }
        };
        *self.silent_since.lock() = None;
        result
    }
}

/// Calls of one script, of which the first one loads it for the others.
fn load_first(commands: &[Cmd]) -> Vec<Cmd> {
    let mut commands = commands.to_vec();
    if let Some(eval) = commands.first().and_then(scripts::to_eval) {
        commands[0] = eval;
    }
    commands
}

impl ConnectionConfig {
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
