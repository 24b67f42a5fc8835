//! A client that reconnects: at most one connection, replaced whenever it is no longer usable.
//!
//! Owns when to dial, how long to wait, and what is sent again. Invariants: there is one dial at a time,
//! and it continues when the callers that wait for it give up; a query takes no longer than the timeout;
//! after a failed dial, the next one starts [`REDIAL_PAUSE`] later and no later than the next query, so
//! that a server that is back is used at once.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::{
    sync::SetOnce,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    clock::ServerClock,
    connection::RedisConnection,
    connector::Connector,
    recovery::{Recovery, recovery},
    scripts::{ScriptCall, Timing},
    server_error::{ServerError, refuses_for_now, timed_out},
    url::Server,
};
use crate::{error::RegistryError, types::Stamp};

/// Between a failed dial and the next one.
const REDIAL_PAUSE: Duration = Duration::from_millis(100);

/// Before a request is sent again whose slot is moving: about the time in which some keys move.
const SLOT_PAUSE: Duration = Duration::from_millis(20);

/// A dial may take this many timeouts of one server, because it asks several in turn.
const DIAL_TIMEOUTS: u32 = 3;

/// A refusal to write that comes this long after the last one is logged again.
const REFUSAL_PAUSE: Duration = Duration::from_mins(1);

pub(super) struct ReconnectingClient {
    connector: Arc<Connector>,
    /// Of a query, and of each server during a dial.
    timeout: Duration,
    dial: Mutex<Option<Arc<Dial>>>,
    /// To the server that the slot of the keys was last moving to.
    asked: Mutex<Option<Arc<RedisConnection>>>,
    clock: ServerClock,
    /// Why the server last refused to write, and when.
    refusal: Mutex<Option<(&'static str, Instant)>>,
}

/// An attempt to connect, and the connection that it led to.
struct Dial {
    result: Arc<SetOnce<DialResult>>,
    task: AbortOnDropHandle<()>,
}

/// A connection, or what failed and when.
type DialResult = Result<Arc<RedisConnection>, (ServerError, Instant)>;

impl ReconnectingClient {
    pub(super) fn new(connector: Connector, timeout: Duration) -> Self {
        Self {
            connector: Arc::new(connector),
            timeout,
            dial: Mutex::new(None),
            asked: Mutex::new(None),
            clock: ServerClock::new(),
            refusal: Mutex::new(None),
        }
    }

    /// Of an operation.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Connects, within three times the timeout.
    pub(super) async fn connect(&self) -> Result<(), RegistryError> {
        let deadline = Instant::now() + DIAL_TIMEOUTS * self.timeout;
        self.connection("connect", deadline).await.map(drop)
    }

    /// The cluster's clock, as a reply has just shown it.
    pub(super) fn observe(&self, time: Stamp) {
        self.clock.observe(time);
    }

    /// Sends a command and waits for its reply.
    pub(super) async fn query(
        &self,
        operation: &'static str,
        command: Cmd,
    ) -> Result<Value, RegistryError> {
        let commands = [command];
        let mut replies = self.send(operation, |_| commands.to_vec()).await?;
        Ok(replies.pop().unwrap_or_default())
    }

    /// Calls a script and waits for its reply.
    pub(super) async fn call(
        &self,
        operation: &'static str,
        call: ScriptCall,
    ) -> Result<Value, RegistryError> {
        let mut replies = self.call_all(operation, &[call]).await?;
        Ok(replies.pop().unwrap_or_default())
    }

    /// Sends several calls of one script in one pipeline. Sending them again does no harm: a script that
    /// runs twice has the effect of running once, and one that runs after the timeout has none.
    pub(super) async fn call_all(
        &self,
        operation: &'static str,
        calls: &[ScriptCall],
    ) -> Result<Vec<Value>, RegistryError> {
        let commands = |timing| calls.iter().map(|call| call.evalsha(timing)).collect();
        self.send(operation, commands).await
    }

    /// Sends commands until they are answered, as often as their errors permit.
    async fn send(
        &self,
        operation: &'static str,
        commands: impl Fn(Timing) -> Vec<Cmd>,
    ) -> Result<Vec<Value>, RegistryError> {
        let deadline = Instant::now() + self.timeout;
        let mut may_reconnect = true;
        let mut asked: Option<Server> = None;
        loop {
            let connection = self.connection(operation, deadline).await?;
            let now = Instant::now();
            let commands = commands(self.clock.timing(deadline.saturating_duration_since(now)));
            let sending = async {
                match asked.take() {
                    Some(server) => self.send_asking(server, &commands).await,
                    None => connection.send(&commands).await,
                }
            };
            let result = timeout_at(deadline, sending).await;
            let elapsed = result.is_err();
            let error = match result.unwrap_or_else(|_| Err(timed_out())) {
                Ok(replies) => return Ok(replies),
                Err(error) => error,
            };
            let recovery = recovery(&error, &connection.server);
            if recovery == Recovery::Reconnect {
                self.discard(&connection);
            }
            if elapsed {
                return Err(RegistryError::timeout(operation));
            }
            match recovery {
                Recovery::Reconnect if may_reconnect => may_reconnect = false,
                Recovery::Late(time) => self.clock.observe(time),
                Recovery::Ask(server) => asked = Some(server),
                Recovery::Pause => sleep_until(deadline.min(now + SLOT_PAUSE)).await,
                Recovery::Reconnect | Recovery::Fail => {
                    self.log_refusal(&connection.server, &error);
                    let error = ServerError::new(connection.server.to_string(), error);
                    return Err(error.into_registry_error(operation));
                }
            }
        }
    }

    /// Sends commands to the server that a slot of a Redis Cluster is moving to.
    async fn send_asking(&self, server: Server, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        let known = self.asked.lock().clone();
        let usable =
            |known: &Arc<RedisConnection>| known.server == server && known.is_usable(self.timeout);
        let connection = match known.filter(usable) {
            Some(connection) => connection,
            None => Arc::new(self.connector.connect(server).await?),
        };
        *self.asked.lock() = Some(connection.clone());
        connection.send_asking(commands).await
    }

    /// Says once, not with each renewal, that the server accepts no writes, and what to do about it.
    fn log_refusal(&self, server: &Server, error: &RedisError) {
        let Some(cure) = refuses_for_now(error) else {
            return;
        };
        let now = Instant::now();
        let before = self.refusal.lock().replace((cure, now));
        let is_known = |(before, last): (_, Instant)| before == cure && now - last < REFUSAL_PAUSE;
        if !before.is_some_and(is_known) {
            tracing::error!(%server, %error, "Redis refuses to write: {cure}");
        }
    }

    async fn connection(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Arc<RedisConnection>, RegistryError> {
        let dial = self.current_dial();
        match timeout_at(deadline, dial.result.wait()).await {
            Ok(Ok(connection)) => Ok(connection.clone()),
            Ok(Err((error, _))) => Err(error.clone().into_registry_error(operation)),
            Err(_) => Err(RegistryError::timeout(operation)),
        }
    }

    /// The dial in progress, or the one that led to a usable connection; else a new one.
    fn current_dial(&self) -> Arc<Dial> {
        let mut slot = self.dial.lock();
        let mut not_before = Instant::now();
        if let Some(dial) = &*slot {
            // Read before the result: a dial that ends in between must not look like one whose runtime
            // was shut down.
            let ended = dial.task.is_finished();
            match dial.result.get() {
                Some(Ok(connection)) if connection.is_usable(self.timeout) => {
                    return dial.clone();
                }
                Some(Err((_, failed))) => not_before = *failed + REDIAL_PAUSE,
                None if !ended => return dial.clone(),
                _ => {}
            }
        }
        let dial = Arc::new(Dial::start(
            self.connector.clone(),
            not_before,
            self.timeout,
        ));
        *slot = Some(dial.clone());
        dial
    }

    /// Stops using a connection.
    fn discard(&self, connection: &Arc<RedisConnection>) {
        let mut slot = self.dial.lock();
        let current = slot.as_ref().and_then(|dial| dial.result.get());
        if current.is_some_and(|result| matches!(result, Ok(now) if Arc::ptr_eq(now, connection))) {
            *slot = None;
        }
    }
}

impl Dial {
    fn start(connector: Arc<Connector>, not_before: Instant, timeout: Duration) -> Self {
        let result = Arc::new(SetOnce::new());
        let sender = result.clone();
        let task = tokio::spawn(async move {
            sleep_until(not_before).await;
            let servers = connector.servers();
            let dialing = timeout_at(Instant::now() + DIAL_TIMEOUTS * timeout, connector.dial());
            let result = match dialing.await {
                Ok(result) => result.map(Arc::new),
                Err(_) => Err(ServerError::new(servers, timed_out())),
            };
            let result = result.map_err(|error| (error, Instant::now()));
            if let Err((error, _)) = &result {
                tracing::debug!(error = %error.error(), "failed to connect to Redis");
            }
            let set = sender.set(result);
            debug_assert!(set.is_ok(), "only this task sets it");
        });
        let task = AbortOnDropHandle::new(task);
        Self { result, task }
    }
}

impl fmt::Debug for ReconnectingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingClient")
            .field("servers", &self.connector.servers())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
