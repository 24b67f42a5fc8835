//! Redis fails over, and loses what it had not replicated.
//!
//! Promise: lost entries are claimed again and stale ones are removed, within a lease and an audit
//! interval, whether the nodes have to reconnect (Sentinel promotes the replica) or notice nothing
//! (the server itself goes back in time).

use std::time::Duration;

use tieline_test_servers::redis::{Redis, Sentinels};

use super::{
    checker::{state_faults, wait_until_consistent},
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, pause},
    store::reader,
};
use crate::kit::run_within;

/// A lease and an audit interval, which are equal here.
const REPAIRED: Duration = LEASE.saturating_mul(2);

#[test]
fn writes_that_a_failover_lost_are_repaired() {
    run_within(Duration::from_secs(40), async {
        let mut sentinels = Sentinels::start(3).await;
        let registry = reader(&sentinels.url()).await;
        let nodes: [NodeProcess; 3] = node_process::start(&sentinels.url()).await;
        let nodes = nodes.each_ref();
        let mut clients = Clients::default();
        clients.fill(&nodes, 30).await;
        wait_until_consistent(LEASE, &nodes, &clients, &registry).await;

        // Replication ends here: the replica follows nobody.
        let replica = &sentinels.replica;
        replica
            .command::<()>(&["REPLICAOF", "127.0.0.1", "1"])
            .await;
        changes(&nodes, &mut clients).await;
        let lost: bool = sentinels
            .master
            .command(&["HEXISTS", "nodes", "new-0"])
            .await;
        let kept: bool = replica.command(&["HEXISTS", "nodes", "new-0"]).await;
        assert!(lost && !kept, "the write must be lost");
        sentinels.master.kill();
        until_master(&sentinels.replica).await;
        let took = wait_until_consistent(REPAIRED, &nodes, &clients, &registry).await;
        eprintln!("repaired {took:?} after the promotion");
    });
}

#[test]
fn writes_that_were_lost_unnoticed_are_repaired() {
    run_within(Duration::from_secs(40), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let nodes: [NodeProcess; 3] = node_process::start(&redis.url()).await;
        let nodes = nodes.each_ref();
        let mut clients = Clients::default();
        clients.fill(&nodes, 30).await;
        wait_until_consistent(LEASE, &nodes, &clients, &registry).await;

        let snapshot = Snapshot::of(&redis).await;
        changes(&nodes, &mut clients).await;
        wait_until_consistent(LEASE, &nodes, &clients, &registry).await;
        snapshot.restore(&redis).await;
        let faults = state_faults(&nodes, &clients, &registry).await;
        assert!(!faults.is_empty(), "the write must be lost");
        let took = wait_until_consistent(REPAIRED, &nodes, &clients, &registry).await;
        eprintln!("repaired after {took:?}");
    });
}

/// Waits until a replica is promoted, which ends all of its connections.
async fn until_master(replica: &Redis) {
    loop {
        let answer = replica
            .try_command::<String>(&["INFO", "replication"])
            .await;
        if answer.is_ok_and(|answer| answer.contains("role:master")) {
            return;
        }
        pause().await;
    }
}

/// Clients connect, disconnect and move.
async fn changes(nodes: &[&NodeProcess; 3], clients: &mut Clients) {
    let [a, b, c] = nodes;
    for n in 0..15 {
        let node = nodes[n % nodes.len()];
        clients.connect(node, &format!("new-{n}")).await.unwrap();
    }
    for (from, to) in [(a, b), (b, c), (c, a)] {
        let ids = clients.ids_at(from);
        ids[..5].iter().for_each(|id| clients.newest(id).leave());
        for id in &ids[5..10] {
            clients.move_to(to, id).await;
        }
    }
}

/// The data of a server at one moment.
struct Snapshot(Vec<(Vec<u8>, Vec<u8>)>);

impl Snapshot {
    async fn of(redis: &Redis) -> Self {
        let keys: Vec<String> = redis.command(&["KEYS", "*"]).await;
        let mut all = Vec::new();
        for key in keys {
            let value = redis.command(&["DUMP", &key]).await;
            all.push((key.into_bytes(), value));
        }
        Self(all)
    }

    /// Restores the data in one step, so that no reader sees part of them.
    async fn restore(&self, redis: &Redis) {
        let client = ::redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut pipe = ::redis::pipe();
        pipe.atomic().cmd("FLUSHALL").ignore();
        for (key, value) in &self.0 {
            pipe.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
        }
        pipe.exec_async(&mut connection).await.unwrap();
    }
}
