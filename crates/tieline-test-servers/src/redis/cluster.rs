//! A Redis Cluster of three masters, with or without replicas.

use std::time::Duration;

use super::server::{POLL_INTERVAL, Redis, RedisSetup};
use crate::ports::free_port;

/// The number of slots in every Redis Cluster.
const SLOTS: usize = 16_384;

/// Masters that share the slots, and replicas if there are any. All are killed when the value is
/// dropped.
pub struct RedisCluster {
    /// The masters, each with a third of the slots.
    pub masters: Vec<Redis>,
    /// One replica for each master, or none.
    pub replicas: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters, each with a replica if `replicated`. A master that is unreachable for
    /// a second is replaced by its replica.
    pub async fn start(replicated: bool) -> Self {
        let mut cluster = Self {
            masters: Vec::new(),
            replicas: Vec::new(),
        };
        let mut bus_ports = Vec::new();
        for index in 0..if replicated { 6 } else { 3 } {
            let (server, bus) = start_server().await;
            let servers = match index {
                0..3 => &mut cluster.masters,
                _ => &mut cluster.replicas,
            };
            servers.push(server);
            bus_ports.push(bus);
        }
        cluster.share_slots().await;
        cluster.meet(&bus_ports).await;
        cluster.replicate().await;
        cluster
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.all().map(address).collect();
        format!("redis+cluster://{}", servers.join(","))
    }

    /// The index of the master that owns a key, if no slot was moved.
    pub async fn master_of(&self, key: &str) -> usize {
        let slot: usize = self.masters[0].command(&["CLUSTER", "KEYSLOT", key]).await;
        slot / SLOTS.div_ceil(3)
    }

    /// Moves the slot of a key, with all its keys, to the next master.
    pub async fn move_slot(&self, key: &str) {
        let owner = self.master_of(key).await;
        self.move_slot_slowly(key, [owner, (owner + 1) % 3], [Duration::ZERO; 2])
            .await;
    }

    /// Moves the slot of a key, with all its keys one by one, from one master to another. The first pause
    /// is before the first key and after the last, the second one between two keys.
    pub async fn move_slot_slowly(
        &self,
        key: &str,
        [from, to]: [usize; 2],
        [around, between]: [Duration; 2],
    ) {
        let (from, to) = (&self.masters[from], &self.masters[to]);
        let slot: u16 = from.command(&["CLUSTER", "KEYSLOT", key]).await;
        let (slot, port) = (slot.to_string(), to.port.to_string());
        let old: String = from.command(&["CLUSTER", "MYID"]).await;
        let new: String = to.command(&["CLUSTER", "MYID"]).await;
        let set_slot = ["CLUSTER", "SETSLOT", &slot];
        let words = [&set_slot[..], &["IMPORTING", &old]].concat();
        to.command::<()>(&words).await;
        let words = [&set_slot[..], &["MIGRATING", &new]].concat();
        from.command::<()>(&words).await;
        tokio::time::sleep(around).await;
        let keys: Vec<String> = from
            .command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])
            .await;
        for key in keys {
            let words = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
            from.command::<()>(&words).await;
            tokio::time::sleep(between).await;
        }
        tokio::time::sleep(around).await;
        for server in [to, from] {
            let words = [&set_slot[..], &["NODE", &new]].concat();
            server.command::<()>(&words).await;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Redis> {
        self.masters.iter().chain(&self.replicas)
    }

    async fn share_slots(&self) {
        let share = SLOTS.div_ceil(3);
        for (index, master) in self.masters.iter().enumerate() {
            let first = (index * share).to_string();
            let last = (SLOTS.min((index + 1) * share) - 1).to_string();
            let words = ["CLUSTER", "ADDSLOTSRANGE", &first, &last];
            master.command::<()>(&words).await;
            // With different epochs from the start, the masters need not resolve a conflict first,
            // which takes seconds.
            let epoch = (index + 1).to_string();
            let words = ["CLUSTER", "SET-CONFIG-EPOCH", &epoch];
            master.command::<()>(&words).await;
        }
    }

    async fn meet(&self, bus_ports: &[u16]) {
        for (server, bus) in self.all().zip(bus_ports).skip(1) {
            let (port, bus) = (server.port.to_string(), bus.to_string());
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            self.masters[0].command::<()>(&words).await;
        }
        let all = self.all().count().to_string();
        for server in self.all() {
            while server.cluster_info_field("cluster_known_nodes").await != all
                || server.cluster_info_field("cluster_state").await != "ok"
            {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    async fn replicate(&self) {
        for (master, replica) in self.masters.iter().zip(&self.replicas) {
            let id: String = master.command(&["CLUSTER", "MYID"]).await;
            let words = ["CLUSTER", "REPLICATE", &id];
            replica.command::<()>(&words).await;
            master.wait_for_first_sync().await;
        }
    }
}

impl Redis {
    async fn cluster_info_field(&self, name: &str) -> String {
        let info: String = self.command(&["CLUSTER", "INFO"]).await;
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

async fn start_server() -> (Redis, u16) {
    let bus_port = free_port();
    let server = RedisSetup::default()
        .line("cluster-enabled yes")
        .line("cluster-node-timeout 1000")
        .line(&format!("cluster-port {bus_port}"))
        .start()
        .await;
    (server, bus_port)
}

fn address(server: &Redis) -> String {
    format!("127.0.0.1:{}", server.port)
}
