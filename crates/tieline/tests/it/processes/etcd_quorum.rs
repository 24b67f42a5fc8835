//! An etcd cluster of three loses its leader, then its quorum.
//!
//! Promise: with a new leader no entry of a connected client is lost; without a quorum the cluster
//! behaves as in any outage of the registry.

use std::{collections::BTreeSet, time::Duration};

use tieline_test_servers::etcd::Etcd;
use tokio::time::Instant;

use super::{
    node_process::{LEASE, pause},
    outage::Outage,
    store::reader,
};
use crate::kit::run_within;

#[test]
fn etcd_without_its_leader_and_then_without_a_quorum() {
    run_within(Duration::from_mins(1), async {
        let mut etcd = Etcd::cluster(3).await;
        let registry = reader(&etcd.url()).await;
        let mut outage = Outage::prepare(registry, &etcd.url()).await;
        let ids: BTreeSet<_> = outage
            .clients
            .connected()
            .map(|client| client.id.clone())
            .collect();

        let leader = etcd.leader().await;
        etcd.kill(leader);
        let killed = Instant::now();
        let mut answers = 0;
        // Until a lease that could not be renewed in between would have expired twice.
        while killed.elapsed() < LEASE * 2 {
            for id in &ids {
                if let Ok(located) = outage.registry().locate(id, true).await {
                    let entry = located.entry();
                    assert!(entry.is_some(), "{id} is lost after {:?}", killed.elapsed());
                    answers += 1;
                }
            }
            pause().await;
        }
        assert!(answers > 0, "no new leader");
        outage.wait_until_repaired().await;
        eprintln!("{answers} lookups found their entry");

        let second = (leader + 1) % 3;
        etcd.kill(second);
        outage.run_for(LEASE).await;
        etcd.restart(second, true).await;
        outage.wait_until_repaired().await;
        etcd.restart(leader, true).await;
        outage.wait_until_repaired().await;
    });
}
