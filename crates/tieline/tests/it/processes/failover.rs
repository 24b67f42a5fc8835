//! Redis fails over, and loses what it had not replicated.
//!
//! Promise: what was lost is claimed again, what came back is swept, within a lease and an audit
//! interval; whether the nodes had to connect anew (Sentinel promotes the replica) or noticed nothing
//! (the server itself goes back in time).

use std::time::Duration;

use tieline_test_servers::redis::{Redis, Sentinels};

use super::{
    checker::{at_rest, standing},
    fleet::{self, LEASE, Process, pause},
    party::Party,
    store::reader,
};
use crate::kit::run_within;

/// A lease and an audit interval; both are alike here.
const REPAIRED: Duration = LEASE.saturating_mul(2);

#[test]
fn writes_that_a_failover_lost_are_repaired() {
    run_within(Duration::from_secs(40), async {
        let mut sentinels = Sentinels::start(3).await;
        let registry = reader(&sentinels.url()).await;
        let nodes: [Process; 3] = fleet::start(&sentinels.url()).await;
        let nodes = nodes.each_ref();
        let mut party = Party::default();
        party.fill(&nodes, 30).await;
        at_rest(LEASE, &nodes, &party, &registry).await;

        // Replication ends here: the replica follows nobody.
        let replica = &sentinels.replica;
        replica
            .command::<()>(&["REPLICAOF", "127.0.0.1", "1"])
            .await;
        changes(&nodes, &mut party).await;
        let lost: bool = sentinels
            .master
            .command(&["HEXISTS", "fleet", "new-0"])
            .await;
        let kept: bool = replica.command(&["HEXISTS", "fleet", "new-0"]).await;
        assert!(lost && !kept, "it is to be lost");
        sentinels.master.kill();
        until_master(&sentinels.replica).await;
        let took = at_rest(REPAIRED, &nodes, &party, &registry).await;
        eprintln!("repaired {took:?} after the promotion");
    });
}

#[test]
fn writes_that_were_lost_without_a_word_are_repaired() {
    run_within(Duration::from_secs(40), async {
        let redis = Redis::start().await;
        let registry = reader(&redis.url()).await;
        let nodes: [Process; 3] = fleet::start(&redis.url()).await;
        let nodes = nodes.each_ref();
        let mut party = Party::default();
        party.fill(&nodes, 30).await;
        at_rest(LEASE, &nodes, &party, &registry).await;

        let memory = Memory::of(&redis).await;
        changes(&nodes, &mut party).await;
        at_rest(LEASE, &nodes, &party, &registry).await;
        memory.restore(&redis).await;
        let faults = standing(&nodes, &party, &registry).await;
        assert!(!faults.is_empty(), "it is to be lost");
        let took = at_rest(REPAIRED, &nodes, &party, &registry).await;
        eprintln!("repaired after {took:?}");
    });
}

/// Waits until a replica is promoted, upon which it ends all connections.
async fn until_master(replica: &Redis) {
    loop {
        let told = replica
            .try_command::<String>(&["INFO", "replication"])
            .await;
        if told.is_ok_and(|told| told.contains("role:master")) {
            return;
        }
        pause().await;
    }
}

/// Clients come, go and move.
async fn changes(nodes: &[&Process; 3], party: &mut Party) {
    let [a, b, c] = nodes;
    for n in 0..15 {
        let node = nodes[n % nodes.len()];
        party.enter(node, &format!("new-{n}")).await.unwrap();
    }
    for (from, to) in [(a, b), (b, c), (c, a)] {
        let ids = party.ids_at(from);
        ids[..5].iter().for_each(|id| party.last(id).leave());
        for id in &ids[5..10] {
            party.enter(to, id).await.unwrap();
        }
    }
}

/// All that a server knew at one moment.
struct Memory(Vec<(Vec<u8>, Vec<u8>)>);

impl Memory {
    async fn of(redis: &Redis) -> Self {
        let keys: Vec<String> = redis.command(&["KEYS", "*"]).await;
        let mut all = Vec::new();
        for key in keys {
            let value = redis.command(&["DUMP", &key]).await;
            all.push((key.into_bytes(), value));
        }
        Self(all)
    }

    /// Gives it back, so that nobody sees a moment between.
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
