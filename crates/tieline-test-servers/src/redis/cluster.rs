//! A cluster of servers.

use super::{POLL, Redis, RedisSetup, free_port};

/// The number of slots of every cluster.
const SLOTS: usize = 16_384;

/// Masters that share the slots, and perhaps replicas; all are killed when it is dropped.
pub struct RedisCluster {
    /// Each has a third of the slots.
    pub masters: Vec<Redis>,
    /// One for each master, or none.
    pub replicas: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters, each with a replica if asked for. A master that is gone for a second is
    /// replaced by its replica.
    pub async fn start(replicated: bool) -> Self {
        let mut cluster = Self {
            masters: Vec::new(),
            replicas: Vec::new(),
        };
        let mut buses = Vec::new();
        for index in 0..if replicated { 6 } else { 3 } {
            let (server, bus) = start_server().await;
            let kin = match index {
                0..3 => &mut cluster.masters,
                _ => &mut cluster.replicas,
            };
            kin.push(server);
            buses.push(bus);
        }
        cluster.share_slots().await;
        cluster.meet(&buses).await;
        cluster.replicate().await;
        cluster
    }

    /// For clients.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.all().map(address).collect();
        format!("redis+cluster://{}", servers.join(","))
    }

    /// The master that has a key now, as an index.
    pub async fn master_of(&self, key: &str) -> usize {
        let slot: usize = self.masters[0].command(&["CLUSTER", "KEYSLOT", key]).await;
        slot / SLOTS.div_ceil(3)
    }

    /// Moves the slot of a key, and all keys in it, to the next master.
    pub async fn move_slot(&self, key: &str) {
        let owner = self.master_of(key).await;
        let (from, to) = (&self.masters[owner], &self.masters[(owner + 1) % 3]);
        let slot: u16 = from.command(&["CLUSTER", "KEYSLOT", key]).await;
        let (slot, port) = (slot.to_string(), to.port.to_string());
        let old: String = from.command(&["CLUSTER", "MYID"]).await;
        let new: String = to.command(&["CLUSTER", "MYID"]).await;
        let set_slot = ["CLUSTER", "SETSLOT", &slot];
        let words = [&set_slot[..], &["IMPORTING", &old]].concat();
        to.command::<()>(&words).await;
        let words = [&set_slot[..], &["MIGRATING", &new]].concat();
        from.command::<()>(&words).await;
        let keys: Vec<String> = from
            .command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])
            .await;
        for key in keys {
            let words = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
            from.command::<()>(&words).await;
        }
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
            // Epochs that differ from the start need not be settled first.
            let epoch = (index + 1).to_string();
            let words = ["CLUSTER", "SET-CONFIG-EPOCH", &epoch];
            master.command::<()>(&words).await;
        }
    }

    async fn meet(&self, buses: &[u16]) {
        for (server, bus) in self.all().zip(buses).skip(1) {
            let (port, bus) = (server.port.to_string(), bus.to_string());
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            self.masters[0].command::<()>(&words).await;
        }
        let all = self.all().count().to_string();
        for server in self.all() {
            while server.cluster_info("cluster_known_nodes").await != all
                || server.cluster_info("cluster_state").await != "ok"
            {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn replicate(&self) {
        for (master, replica) in self.masters.iter().zip(&self.replicas) {
            let id: String = master.command(&["CLUSTER", "MYID"]).await;
            let words = ["CLUSTER", "REPLICATE", &id];
            replica.command::<()>(&words).await;
            master.until_replicated().await;
        }
    }
}

impl Redis {
    async fn cluster_info(&self, name: &str) -> String {
        let info: String = self.command(&["CLUSTER", "INFO"]).await;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

async fn start_server() -> (Redis, u16) {
    let bus = free_port();
    let server = RedisSetup::default()
        .line("cluster-enabled yes")
        .line("cluster-node-timeout 1000")
        .line(&format!("cluster-port {bus}"))
        .start()
        .await;
    (server, bus)
}

fn address(server: &Redis) -> String {
    format!("127.0.0.1:{}", server.port)
}
