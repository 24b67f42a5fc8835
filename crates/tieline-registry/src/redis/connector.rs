//! Finding the server that holds the data, and connecting to it.
//!
//! Owns what differs between a single server, Sentinel and Cluster: a single server is connected to;
//! sentinels are asked for theirs; a server of a cluster names the right one itself (MOVED), since all
//! our keys are in one slot. So a node holds one connection whatever the deployment, and a failover is
//! nothing but a reason to dial again. Every connection is checked before it is used: a server that does
//! not serve, such as a replica or one that still loads, counts as not connected.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::{Access, RedisConnection},
    keys::Keys,
    scripts::CHECK,
    server_error::{Fault, advice, clustered, timed_out},
    url::{Deployment, Server, Target},
};

/// How long one server is waited for before the next is tried as well.
const STAGGER: Duration = Duration::from_millis(100);

/// How often a server of a cluster may point to another one.
const REDIRECTS: usize = 5;

/// How many servers of a cluster are remembered beyond those of the URL.
const KNOWN: usize = 64;

/// Connects to wherever the data is.
pub(super) struct Connector {
    target: Target,
    access: Access,
    keys: Keys,
    /// For one server.
    timeout: Duration,
    /// Servers of the cluster, learned at the last connection: those of the URL may be replaced one by
    /// one while we run.
    known: Mutex<Vec<Server>>,
}

impl Connector {
    pub(super) fn new(target: Target, access: Access, keys: Keys, timeout: Duration) -> Self {
        Self {
            target,
            access,
            keys,
            timeout,
            known: Mutex::default(),
        }
    }

    /// The servers of the URL, for messages.
    pub(super) fn servers(&self) -> String {
        let servers = self.target.servers.iter().map(Server::to_string);
        servers.collect::<Vec<_>>().join(",")
    }

    /// A connection to the server that holds the data. Bounded by a few times the timeout of one server.
    pub(super) async fn dial(self: Arc<Self>) -> Result<RedisConnection, Fault> {
        let servers = self.target.servers.clone();
        match &self.target.deployment {
            Deployment::Single => first_of(servers, |server| self.serving(server)).await,
            Deployment::Sentinel {
                master,
                credentials,
            } => {
                let access = Access {
                    tls: self.access.tls.clone(),
                    credentials: credentials.clone(),
                    database: 0,
                };
                let through = |sentinel| {
                    let (master, access) = (master.clone(), access.clone());
                    self.clone().through(sentinel, master, access)
                };
                first_of(servers, through).await
            }
            Deployment::Cluster => {
                let servers = self.with_known(servers);
                let connection = first_of(servers, |server| self.clone().follow(server)).await?;
                self.learn(&connection).await;
                Ok(connection)
            }
        }
    }

    /// A connection to this server, if it serves.
    fn serving(
        self: &Arc<Self>,
        server: Server,
    ) -> impl Future<Output = Result<RedisConnection, Fault>> + Send + use<> {
        let connector = self.clone();
        async move {
            let name = server.to_string();
            let serving = async {
                let connection = RedisConnection::connect(server, &connector.access).await?;
                connection.send(&[CHECK.load(&connector.keys, "")]).await?;
                Ok(connection)
            };
            let ended = timeout(connector.timeout, serving).await;
            let error = match ended.unwrap_or_else(|_| Err(timed_out())) {
                Ok(connection) => return Ok(connection),
                Err(error) if connector.is_cluster() || !is_moved(&error) => error,
                Err(_) => clustered(),
            };
            Err(Fault::new(name, error))
        }
    }

    /// A connection to the server that a sentinel names.
    async fn through(
        self: Arc<Self>,
        sentinel: Server,
        master: String,
        access: Access,
    ) -> Result<RedisConnection, Fault> {
        let name = format!("sentinel {sentinel}");
        let asked = timeout(self.timeout, ask(sentinel, &master, &access)).await;
        let server = asked
            .unwrap_or_else(|_| Err(timed_out()))
            .map_err(|error| Fault::new(name, error))?;
        self.serving(server).await
    }

    /// A connection to the server that holds our slot, beginning at any of the cluster.
    async fn follow(self: Arc<Self>, mut server: Server) -> Result<RedisConnection, Fault> {
        for _ in 0..REDIRECTS {
            let fault = match self.serving(server.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(fault) => fault,
            };
            match moved_to(&fault, &server) {
                Some(next) => server = next,
                None => return Err(fault),
            }
        }
        let lost = (
            ErrorKind::Parse,
            "the servers of the cluster point to each other",
        );
        Err(Fault::new(server.to_string(), lost.into()))
    }

    fn is_cluster(&self) -> bool {
        self.target.deployment == Deployment::Cluster
    }

    fn with_known(&self, mut servers: Vec<Server>) -> Vec<Server> {
        let known = self.known.lock();
        let new = known.iter().filter(|server| !servers.contains(server));
        let new: Vec<_> = new.cloned().collect();
        servers.extend(new);
        servers
    }

    /// Remembers the servers of the cluster. A user who may not ask for them is served all the same.
    async fn learn(&self, connection: &RedisConnection) {
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let asking = [question];
        let Ok(Ok(answer)) = timeout(self.timeout, connection.send(&asking)).await else {
            return;
        };
        let mut known = Vec::new();
        answer
            .iter()
            .for_each(|answer| servers_in(answer, &mut known));
        known.truncate(KNOWN);
        *self.known.lock() = known;
    }
}

/// Where a sentinel says that the master is.
async fn ask(sentinel: Server, master: &str, access: &Access) -> RedisResult<Server> {
    let connection = RedisConnection::connect(sentinel, access).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer = connection
        .send(&[question])
        .await?
        .pop()
        .unwrap_or_default();
    let found: Option<(String, u16)> = redis::from_redis_value(answer)?;
    let (host, port) = found.ok_or((
        ErrorKind::MasterNameNotFoundBySentinel,
        "the sentinel knows no master of that name",
    ))?;
    Ok(Server { host, port })
}

fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// Where a server of a cluster says that our slot is; without a host where it does not know its own name.
fn moved_to(fault: &Fault, from: &Server) -> Option<Server> {
    let error = fault.error();
    let (address, _) = error.redirect_node().filter(|_| is_moved(error))?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { &from.host } else { host };
    Some(Server {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
    })
}

/// Finds the servers in an answer to CLUSTER SLOTS: arrays that begin with a host and a port, within
/// arrays.
fn servers_in(answer: &Value, found: &mut Vec<Server>) {
    let Value::Array(items) = answer else { return };
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
        None => items.iter().for_each(|item| servers_in(item, found)),
    }
}

/// The first of several servers to which a connection comes about. Each gets a short head start before
/// the next; one that fails makes way at once.
async fn first_of<F>(
    servers: Vec<Server>,
    dial: impl Fn(Server) -> F,
) -> Result<RedisConnection, Fault>
where
    F: Future<Output = Result<RedisConnection, Fault>> + Send + 'static,
{
    let mut waiting = servers.into_iter();
    let mut dialing = JoinSet::new();
    let mut worst: Option<Fault> = None;
    loop {
        if let Some(server) = waiting.next() {
            dialing.spawn(dial(server));
        }
        let ended = tokio::select! {
            ended = dialing.join_next() => ended,
            () = sleep(STAGGER), if waiting.len() > 0 => continue,
        };
        match ended {
            Some(Ok(Ok(connection))) => return Ok(connection),
            Some(Ok(Err(fault))) => {
                // What passes is the better news: with it, trying again may help.
                let passes = worst
                    .as_ref()
                    .is_some_and(|worst| advice(worst.error()).is_none());
                if !passes {
                    worst = Some(fault);
                }
            }
            Some(Err(_cancelled)) => {}
            None => {
                let none = || Fault::new("no server", timed_out());
                return Err(worst.unwrap_or_else(none));
            }
        }
    }
}
