//! Finds the server that holds the data, and connects to it.
//!
//! Owns the differences between the deployments. With a single server, it connects to that one. It asks
//! sentinels for the master. In a Redis Cluster, any server names the right one (MOVED), because all keys
//! of a prefix are in one slot. So a node needs one connection in every deployment, and after a failover
//! it only dials again, which resolves host names anew. Invariant: every connection is checked before it is
//! used, so that a replica, or a server that still loads its data, counts as not connected. A master that
//! accepts no writes for now is used: it answers reads.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::{ConnectionConfig, RedisConnection},
    keys::{KeyUse, Keys},
    recovery::{is_slot_moving, redirected},
    scripts::{CHECK, Timing},
    server_error::{ServerError, cluster_member, permanent, refuses_for_now, timed_out},
    url::{Deployment, Server, Target},
};

/// How long to wait for one server before dialing the next one as well.
const HEAD_START: Duration = Duration::from_millis(100);

/// How many times servers of a cluster may redirect one dial.
const MAX_REDIRECTS: usize = 5;

/// How many servers of a cluster are remembered in addition to those of the URL.
const MAX_DISCOVERED: usize = 64;

pub(super) struct Connector {
    target: Target,
    config: ConnectionConfig,
    keys: Keys,
    /// Of each server.
    timeout: Duration,
    /// The servers of the cluster, as of the last connection. While the node runs, those of the URL may
    /// be replaced one by one.
    discovered: Mutex<Vec<Server>>,
}

impl Connector {
    pub(super) fn new(
        target: Target,
        config: ConnectionConfig,
        keys: Keys,
        timeout: Duration,
    ) -> Self {
        Self {
            target,
            config,
            keys,
            timeout,
            discovered: Mutex::default(),
        }
    }

    /// The servers of the URL, for messages.
    pub(super) fn servers(&self) -> String {
        let servers = self.target.servers.iter().map(Server::to_string);
        servers.collect::<Vec<_>>().join(",")
    }

    /// Connects to the server that holds the data. The caller bounds the time: several servers may each
    /// take the timeout.
    pub(super) async fn dial(self: Arc<Self>) -> Result<RedisConnection, ServerError> {
        let servers = self.target.servers.clone();
        match &self.target.deployment {
            Deployment::Single => {
                first_connected(servers, |server| self.connect_checked(server)).await
            }
            Deployment::Sentinel {
                master,
                credentials,
            } => {
                let config = ConnectionConfig {
                    tls: self.config.tls.clone(),
                    credentials: credentials.clone(),
                    database: 0,
                };
                let via_sentinel = |sentinel| {
                    let (master, config) = (master.clone(), config.clone());
                    self.clone().connect_via_sentinel(sentinel, master, config)
                };
                first_connected(servers, via_sentinel).await
            }
            Deployment::Cluster => {
                let servers = self.with_discovered(servers);
                let dial = |server| self.clone().follow_redirects(server);
                let connection = first_connected(servers, dial).await?;
                self.discover(&connection).await;
                Ok(connection)
            }
        }
    }

    /// Connects to this server.
    pub(super) async fn connect(&self, server: Server) -> RedisResult<RedisConnection> {
        RedisConnection::connect(server, &self.config).await
    }

    /// Connects to this server, and checks that it holds the data and permits what is needed.
    fn connect_checked(
        self: &Arc<Self>,
        server: Server,
    ) -> impl Future<Output = Result<RedisConnection, ServerError>> + Send + use<> {
        let connector = self.clone();
        async move {
            let name = server.to_string();
            let connecting = async {
                let connection = connector.connect(server).await?;
                let check = CHECK.call(&connector.keys, KeyUse::NodeAndEntries(""));
                match connection.send(&[check.eval(Timing::default())]).await {
                    // It has the slot until all keys have moved, or holds the data and answers reads.
                    Err(error) if !is_slot_moving(&error) && refuses_for_now(&error).is_none() => {
                        Err(error)
                    }
                    _ => Ok(connection),
                }
            };
            let result = timeout(connector.timeout, connecting).await;
            let error = match result.unwrap_or_else(|_| Err(timed_out())) {
                Ok(connection) => return Ok(connection),
                Err(error) if connector.is_cluster() || !is_moved(&error) => error,
                Err(_) => cluster_member(),
            };
            Err(ServerError::new(name, error))
        }
    }

    /// Connects to the master that a sentinel names.
    async fn connect_via_sentinel(
        self: Arc<Self>,
        sentinel: Server,
        master: String,
        config: ConnectionConfig,
    ) -> Result<RedisConnection, ServerError> {
        let name = format!("sentinel {sentinel}");
        let asking = master_address(sentinel, &master, &config);
        let server = timeout(self.timeout, asking)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
            .map_err(|error| ServerError::new(name, error))?;
        self.connect_checked(server).await
    }

    /// Connects to the server that holds the slot of the keys, starting at any server of the cluster.
    async fn follow_redirects(
        self: Arc<Self>,
        mut server: Server,
    ) -> Result<RedisConnection, ServerError> {
        for _ in 0..MAX_REDIRECTS {
            let error = match self.connect_checked(server.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            match moved_to(&error, &server) {
                Some(next) => server = next,
                None => return Err(error),
            }
        }
        let error = (
            ErrorKind::Parse,
            "the servers of the cluster redirect to each other",
        );
        Err(ServerError::new(server.to_string(), error.into()))
    }

    fn is_cluster(&self) -> bool {
        self.target.deployment == Deployment::Cluster
    }

    fn with_discovered(&self, mut servers: Vec<Server>) -> Vec<Server> {
        let discovered = self.discovered.lock();
        let new = discovered.iter().filter(|server| !servers.contains(server));
        let new: Vec<_> = new.cloned().collect();
        servers.extend(new);
        servers
    }

    /// Remembers the servers of the cluster. Without the permission to ask for them, nothing is
    /// remembered, and the connection works all the same.
    async fn discover(&self, connection: &RedisConnection) {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let commands = [command];
        let Ok(Ok(replies)) = timeout(self.timeout, connection.send(&commands)).await else {
            return;
        };
        let mut discovered = Vec::new();
        for reply in &replies {
            collect_servers(reply, &mut discovered);
        }
        discovered.truncate(MAX_DISCOVERED);
        *self.discovered.lock() = discovered;
    }
}

/// Asks a sentinel for the address of the master.
async fn master_address(
    sentinel: Server,
    master: &str,
    config: &ConnectionConfig,
) -> RedisResult<Server> {
    let connection = RedisConnection::connect(sentinel, config).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let reply = connection.send(&[command]).await?.pop().unwrap_or_default();
    let found: Option<(String, u16)> = redis::from_redis_value(reply)?;
    let (host, port) = found.ok_or((
        ErrorKind::MasterNameNotFoundBySentinel,
        "the sentinel knows no master of that name",
    ))?;
    Ok(Server { host, port })
}

fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// Where a server of a cluster says that the slot has moved to.
fn moved_to(error: &ServerError, from: &Server) -> Option<Server> {
    let error = error.error();
    is_moved(error).then(|| redirected(error, from)).flatten()
}

/// Collects the servers of a reply to CLUSTER SLOTS: nested arrays, in which each server is an array that
/// begins with a host and a port.
fn collect_servers(reply: &Value, found: &mut Vec<Server>) {
    let Value::Array(items) = reply else { return };
    let server = match items.as_slice() {
        [Value::BulkString(host), Value::Int(port), ..] if !host.is_empty() => {
            let host = String::from_utf8(host.clone()).ok();
            host.zip(u16::try_from(*port).ok())
        }
        _ => None,
    };
    match server {
        Some((host, port)) => {
            let server = Server { host, port };
            if !found.contains(&server) {
                found.push(server);
            }
        }
        None => items.iter().for_each(|item| collect_servers(item, found)),
    }
}

/// The first connection to any of several servers. Each server gets a short head start before the next
/// one; after a failure, the next one is dialed at once.
async fn first_connected<F>(
    servers: Vec<Server>,
    dial: impl Fn(Server) -> F,
) -> Result<RedisConnection, ServerError>
where
    F: Future<Output = Result<RedisConnection, ServerError>> + Send + 'static,
{
    let mut waiting = servers.into_iter();
    let mut dialing = JoinSet::new();
    let mut failure: Option<ServerError> = None;
    loop {
        if let Some(server) = waiting.next() {
            dialing.spawn(dial(server));
        }
        let result = tokio::select! {
            result = dialing.join_next() => result,
            () = sleep(HEAD_START), if waiting.len() > 0 => continue,
        };
        match result {
            Some(Ok(Ok(connection))) => return Ok(connection),
            Some(Ok(Err(error))) => {
                // Keep an error that may pass: if one server may recover, the error is not permanent.
                let may_pass = failure
                    .as_ref()
                    .is_some_and(|failure| permanent(failure.error()).is_none());
                if !may_pass {
                    failure = Some(error);
                }
            }
            Some(Err(_cancelled)) => {}
            None => {
                let none = || ServerError::new("no server", timed_out());
                return Err(failure.unwrap_or_else(none));
            }
        }
    }
}
