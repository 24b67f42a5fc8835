//! The line to Redis: at most one connection, dialled anew whenever it is of no more use.
//!
//! Owns when to dial, how long to wait, and what is asked again. Invariants: one dial at a time, which
//! goes on when those who wait for it give up; a call takes no longer than the timeout; between a
//! failed dial and the next lies a pause of [`PAUSE`], never more, so that a server that is back is
//! noticed by the next call.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::{
    sync::SetOnce,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    connection::RedisConnection,
    connector::Connector,
    server_error::{Fault, ends_connection, timed_out},
};
use crate::error::RegistryError;

/// Between a failed dial and the next one.
const PAUSE: Duration = Duration::from_millis(100);

/// How many timeouts of one server a dial may take, which asks several in turn.
const PATIENCE: u32 = 3;

/// A connection that comes back by itself.
pub(super) struct ReconnectingClient {
    connector: Arc<Connector>,
    timeout: Duration,
    attempt: Mutex<Option<Arc<Attempt>>>,
}

/// A dial and what came of it.
struct Attempt {
    outcome: Arc<SetOnce<Outcome>>,
    task: AbortOnDropHandle<()>,
}

type Outcome = Result<Arc<RedisConnection>, (Fault, Instant)>;

impl ReconnectingClient {
    pub(super) fn new(connector: Connector, timeout: Duration) -> Self {
        Self {
            connector: Arc::new(connector),
            timeout,
            attempt: Mutex::new(None),
        }
    }

    /// Dials, with the patience that asking several servers in turn takes.
    pub(super) async fn open(&self) -> Result<(), RegistryError> {
        let deadline = Instant::now() + PATIENCE * self.timeout;
        self.connection("connect", deadline).await.map(drop)
    }

    /// Sends a command.
    pub(super) async fn ask(
        &self,
        what: &'static str,
        command: Cmd,
    ) -> Result<Value, RegistryError> {
        let mut answers = self.ask_all(what, &[command]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Sends commands, calls of one script, together. What a broken connection swallowed is sent once
    /// more over a new one, which does no harm: whatever comes twice or late does what it did before.
    pub(super) async fn ask_all(
        &self,
        what: &'static str,
        commands: &[Cmd],
    ) -> Result<Vec<Value>, RegistryError> {
        let deadline = Instant::now() + self.timeout;
        let mut again = true;
        loop {
            let connection = self.connection(what, deadline).await?;
            let answered = timeout_at(deadline, connection.send(commands)).await;
            let elapsed = answered.is_err();
            let error = match answered.unwrap_or_else(|_| Err(timed_out())) {
                Ok(answers) => return Ok(answers),
                Err(error) => error,
            };
            let ended = ends_connection(&error);
            if ended {
                self.hang_up(&connection);
            }
            if elapsed {
                return Err(RegistryError::timeout(what));
            }
            if !(ended && again) {
                return Err(Fault::new(connection.server.to_string(), error).during(what));
            }
            again = false;
        }
    }

    async fn connection(
        &self,
        what: &'static str,
        deadline: Instant,
    ) -> Result<Arc<RedisConnection>, RegistryError> {
        let attempt = self.attempt();
        match timeout_at(deadline, attempt.outcome.wait()).await {
            Ok(Ok(connection)) => Ok(connection.clone()),
            Ok(Err((fault, _))) => Err(fault.clone().during(what)),
            Err(_) => Err(RegistryError::timeout(what)),
        }
    }

    /// The dial under way, or one that led to a connection of use; else a new one.
    fn attempt(&self) -> Arc<Attempt> {
        let mut slot = self.attempt.lock();
        let mut not_before = Instant::now();
        if let Some(attempt) = &*slot {
            // Asked first, so that a dial that ends meanwhile is not taken for one that was lost with
            // its runtime.
            let ended = attempt.task.is_finished();
            match attempt.outcome.get() {
                Some(Ok(connection)) if connection.is_usable(self.timeout) => {
                    return attempt.clone();
                }
                Some(Err((_, failed))) => not_before = *failed + PAUSE,
                None if !ended => return attempt.clone(),
                _ => {}
            }
        }
        let attempt = Arc::new(Attempt::start(
            self.connector.clone(),
            not_before,
            self.timeout,
        ));
        *slot = Some(attempt.clone());
        attempt
    }

    /// Uses a connection no more.
    fn hang_up(&self, connection: &Arc<RedisConnection>) {
        let mut slot = self.attempt.lock();
        let current = slot.as_ref().and_then(|attempt| attempt.outcome.get());
        if current.is_some_and(|outcome| matches!(outcome, Ok(now) if Arc::ptr_eq(now, connection)))
        {
            *slot = None;
        }
    }
}

impl Attempt {
    fn start(connector: Arc<Connector>, not_before: Instant, timeout: Duration) -> Self {
        let outcome = Arc::new(SetOnce::new());
        let dialled = outcome.clone();
        let task = tokio::spawn(async move {
            sleep_until(not_before).await;
            let servers = connector.servers();
            let dialling = timeout_at(Instant::now() + PATIENCE * timeout, connector.dial());
            let result = match dialling.await {
                Ok(result) => result.map(Arc::new),
                Err(_) => Err(Fault::new(servers, timed_out())),
            };
            let result = result.map_err(|fault| (fault, Instant::now()));
            if let Err((fault, _)) = &result {
                tracing::debug!(error = %fault.error(), "no connection to Redis");
            }
            let set = dialled.set(result);
            debug_assert!(set.is_ok(), "one task sets it");
        });
        let task = AbortOnDropHandle::new(task);
        Self { outcome, task }
    }
}

impl fmt::Debug for ReconnectingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("servers", &self.connector.servers())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
