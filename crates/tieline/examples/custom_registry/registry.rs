//! A registry in a file, for the processes of one machine.
//!
//! Each operation locks the file, reads it, applies itself and writes the file again, as a transaction of
//! a database would. That takes time in proportion to the file: a few thousand clients, no more.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use tieline::{
    ClientId,
    registry::{
        Claim, ClaimOutcomes, Cursor, ExpiredNode, JoinOutcome, JoinRequest, Located, NodeInfo,
        NodeReport, NodeSession, Page, Registry, RegistryError, RegistryErrorKind, RegistryFuture,
        Release, ReleaseOutcome, Renewal, Stamp,
    },
};

use super::tables::Tables;

/// Ids of one page.
const PAGE: usize = 512;

#[derive(Debug)]
pub(crate) struct FileRegistry {
    path: PathBuf,
    /// The file is the cluster.
    cluster: String,
}

impl FileRegistry {
    /// A registry in this file, which need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        let cluster = path.display().to_string();
        Self { path, cluster }
    }

    /// Runs one operation on the tables. File access blocks, so it happens on a thread for that; a caller
    /// that stops waiting does not stop the operation, which the contract allows.
    fn transact<T: Send + 'static>(
        &self,
        what: &'static str,
        operation: impl FnOnce(&mut Tables) -> T + Send + 'static,
    ) -> RegistryFuture<'_, T> {
        let path = self.path.clone();
        Box::pin(async move {
            let result = tokio::task::spawn_blocking(move || transact(path, operation)).await;
            let result = result.map_err(io::Error::other).flatten();
            result.map_err(|error| {
                RegistryError::new(format!("{what} (file {})", self.path.display()), error)
            })
        })
    }
}

fn transact<T>(path: PathBuf, operation: impl FnOnce(&mut Tables) -> T) -> io::Result<T> {
    // The lock needs a file of its own, since the other one is replaced.
    let lock = File::create(path.with_added_extension("lock"))?;
    lock.lock()?;
    let mut tables: Tables = match fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Tables::default(),
        Err(error) => return Err(error),
    };
    // The processes share the wall clock. Where it jumps back, the clocks of the nodes continue.
    let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let micros = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
    tables.advance(micros);
    let result = operation(&mut tables);
    // A crash must leave the old file or the new one.
    let new = path.with_added_extension("new");
    fs::write(&new, serde_json::to_vec(&tables)?)?;
    fs::rename(new, path)?;
    Ok(result)
}

impl Registry for FileRegistry {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        let request = request.clone();
        self.transact("let a node join", move |t| t.join(&request))
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        let session = session.clone();
        self.transact("renew a lease", move |t| t.renew(&session, report))
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        let session = session.clone();
        self.transact("let a node leave", move |t| t.leave(&session))
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        self.transact("list the nodes", |t| t.nodes())
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        let (session, claims) = (session.clone(), claims.to_vec());
        self.transact("claim ids", move |t| t.claim(&session, &claims))
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        let (session, releases) = (session.clone(), releases.to_vec());
        self.transact("release ids", move |t| t.release(&session, &releases))
    }

    fn locate<'a>(&'a self, key: &'a str, _fresh: bool) -> RegistryFuture<'a, Located> {
        let key = key.to_owned();
        self.transact("locate an id", move |t| t.locate(&key))
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        let address = session.address.clone();
        self.transact("list the ids of a node", move |t| {
            let ids = t.ids_of(&address);
            page(ids, &from, |(id, _)| id.key().as_bytes())
        })
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        self.transact("list the expired nodes", |t| t.expired())
    }

    fn reap<'a>(&'a self, expired: &'a ExpiredNode, limit: usize) -> RegistryFuture<'a, bool> {
        let expired = expired.clone();
        self.transact("remove an expired node", move |t| t.reap(&expired, limit))
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        let address = address.to_owned();
        Box::pin(async move {
            let id = shared_id(id)?;
            let setting = self.transact("set an id", move |t| t.set(&id, address));
            setting.await
        })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let id = shared_id(id)?;
            let deleting = self.transact("delete an id", move |t| t.delete(&id));
            deleting.await
        })
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        let address = address.to_owned();
        self.transact("delete the ids of a node", move |t| t.delete_node(&address))
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        self.transact("list all ids", move |t| {
            page(t.scan(), &from, |(id, _)| id.key().as_bytes())
        })
    }
}

/// An id that another program may write: it knows the default namespace only.
fn shared_id(id: &str) -> Result<ClientId, RegistryError> {
    ClientId::new(id).map_err(|error| {
        RegistryError::of_kind(RegistryErrorKind::InvalidInput, "write an id", error)
    })
}

/// The page after a cursor, which is the key of the last id of the page before.
fn page<T>(sorted: impl Iterator<Item = T>, from: &Cursor, key: impl Fn(&T) -> &[u8]) -> Page<T> {
    let after = sorted.skip_while(|item| !from.0.is_empty() && key(item) <= from.0.as_slice());
    let items: Vec<_> = after.take(PAGE).collect();
    let last = items.last().filter(|_| items.len() == PAGE);
    let next = last.map(|item| Cursor(key(item).to_vec()));
    Page { items, next }
}
