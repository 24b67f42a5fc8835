//! How often, and when, the registry is asked for what keeps its entries right. The clock of these tests is
//! simulated.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tieline_registry::{
    Claim, ClaimOutcomes, ClientId, Cursor, ExpiredNode, JoinOutcome, JoinRequest, Located,
    MemoryRegistry, NodeInfo, NodeReport, NodeSession, Page, Registry, RegistryFuture, Release,
    ReleaseOutcome, Renewal, Stamp,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{Host, config};
use crate::{
    config::Config,
    hub::{Hub, connect_as},
    registrar::{LocalInstant, Registrar},
};

/// How long a batch of a reaper takes.
const REAP: Duration = Duration::from_millis(50);

/// How long the reply to a departure takes.
const LEAVE: Duration = Duration::from_secs(1);

/// A registry in memory with one node that has expired, and endless entries of it.
#[derive(Debug, Default)]
struct Recorder {
    memory: MemoryRegistry,
    /// Renewals are on their way until a node has left.
    renewals_are_late: bool,
    renewing: Notify,
    left: Notify,
    claims: Mutex<Vec<Instant>>,
    reaps: Mutex<Vec<Instant>>,
}

impl Registry for Recorder {
    fn cluster(&self) -> &str {
        self.memory.cluster()
    }

    fn join<'a>(&'a self, request: &'a JoinRequest) -> RegistryFuture<'a, JoinOutcome> {
        self.memory.join(request)
    }

    fn renew<'a>(
        &'a self,
        session: &'a NodeSession,
        report: NodeReport,
    ) -> RegistryFuture<'a, Renewal> {
        Box::pin(async move {
            if self.renewals_are_late {
                self.renewing.notify_one();
                self.left.notified().await;
            }
            self.memory.renew(session, report).await
        })
    }

    fn leave<'a>(&'a self, session: &'a NodeSession) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            self.memory.leave(session).await?;
            self.left.notify_one();
            sleep(LEAVE).await;
            Ok(())
        })
    }

    fn nodes(&self) -> RegistryFuture<'_, Vec<NodeInfo>> {
        self.memory.nodes()
    }

    fn claim<'a>(
        &'a self,
        session: &'a NodeSession,
        claims: &'a [Claim],
    ) -> RegistryFuture<'a, ClaimOutcomes> {
        self.claims.lock().push(Instant::now());
        self.memory.claim(session, claims)
    }

    fn release<'a>(
        &'a self,
        session: &'a NodeSession,
        releases: &'a [Release],
    ) -> RegistryFuture<'a, ReleaseOutcome> {
        self.memory.release(session, releases)
    }

    fn locate<'a>(&'a self, id: &'a str, fresh: bool) -> RegistryFuture<'a, Located> {
        self.memory.locate(id, fresh)
    }

    fn ids_of<'a>(
        &'a self,
        session: &'a NodeSession,
        from: Cursor,
    ) -> RegistryFuture<'a, Page<(ClientId, Stamp)>> {
        self.memory.ids_of(session, from)
    }

    fn expired(&self) -> RegistryFuture<'_, Vec<ExpiredNode>> {
        let node = ExpiredNode {
            address: "10.0.0.2:7000".into(),
            mark: "1".into(),
        };
        Box::pin(async { Ok(vec![node]) })
    }

    fn reap<'a>(&'a self, _: &'a ExpiredNode, _: usize) -> RegistryFuture<'a, bool> {
        self.reaps.lock().push(Instant::now());
        Box::pin(async {
            sleep(REAP).await;
            Ok(true)
        })
    }

    fn set<'a>(&'a self, id: &'a str, address: &'a str) -> RegistryFuture<'a, ()> {
        self.memory.set(id, address)
    }

    fn delete<'a>(&'a self, id: &'a str) -> RegistryFuture<'a, ()> {
        self.memory.delete(id)
    }

    fn delete_node<'a>(&'a self, address: &'a str) -> RegistryFuture<'a, u64> {
        self.memory.delete_node(address)
    }

    fn scan(&self, from: Cursor) -> RegistryFuture<'_, Page<(ClientId, Arc<str>)>> {
        self.memory.scan(from)
    }
}

async fn start(registry: &Arc<Recorder>, host: &Arc<Host>) -> Registrar<Host> {
    let host: Weak<Host> = Arc::downgrade(host);
    let registrar = Registrar::start(registry.clone(), config(), host);
    registrar.await.expect("the memory answers")
}

#[tokio::test(start_paused = true)]
async fn a_reaper_takes_a_twentieth_of_the_registrys_time() {
    let (registry, host) = (Arc::new(Recorder::default()), Arc::new(Host));
    let registrar = start(&registry, &host).await;
    sleep(Duration::from_mins(2)).await;
    registrar.stop();
    let reaps = registry.reaps.lock();
    // The first pause is short: one slow reply may be a stall.
    let pauses = reaps
        .windows(2)
        .skip(1)
        .map(|pair| (pair[1] - pair[0]).saturating_sub(REAP));
    let pauses: Vec<_> = pauses.collect();
    assert!(pauses.len() > 50, "{} batches", pauses.len());
    let are_long = pauses.iter().all(|pause| *pause >= REAP * 19);
    assert!(are_long, "{pauses:?}");
}

/// How often a node with one client claims within ten hours.
async fn claims_in_ten_hours(registry: &Arc<Recorder>, registrar: &Registrar<Host>) -> usize {
    // What was begun before is done then.
    sleep(registrar.0.config.audit_interval).await;
    registry.claims.lock().clear();
    sleep(Duration::from_hours(10)).await;
    registry.claims.lock().len()
}

#[tokio::test(start_paused = true)]
async fn audits_are_rare_until_another_program_has_written_entries() {
    let (registry, host) = (Arc::new(Recorder::default()), Arc::new(Host));
    let registrar = start(&registry, &host).await;
    let hub = Hub::new(Config::default()).unwrap();
    let guard = connect_as(&hub, "client", None, &[]);
    let id = ClientId::new("client").unwrap();
    let stamp = registrar.0.clock.stamp(LocalInstant::now());
    let conn = guard.connection().inner().clone();
    registrar.0.table.lock().connect(&id, stamp, conn, false);
    registrar.0.wake_sender.notify_one();
    let quiet = claims_in_ten_hours(&registry, &registrar).await;
    assert!((5..=7).contains(&quiet), "{quiet} claims");

    registry.set("other", "go.test:7000").await.unwrap();
    let shared = claims_in_ten_hours(&registry, &registrar).await;
    assert!((54..=66).contains(&shared), "{shared} claims");
    // Once there was one, there may be another: its writes can leave the counts as they are.
    registry.delete("other").await.unwrap();
    let after = claims_in_ten_hours(&registry, &registrar).await;
    assert!((54..=66).contains(&after), "{after} claims");
    registrar.stop();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_on_its_way_does_not_bring_back_a_node_that_leaves() {
    let registry = Arc::new(Recorder {
        renewals_are_late: true,
        ..Recorder::default()
    });
    let host = Arc::new(Host);
    let registrar = start(&registry, &host).await;
    registry.renewing.notified().await;
    registrar.leave(Instant::now() + 2 * LEAVE).await;
    let nodes = registry.nodes().await.unwrap();
    assert!(nodes.is_empty(), "{nodes:?}");
}
