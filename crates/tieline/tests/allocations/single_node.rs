//! A cluster of one node: its calls allocate no more than those of its hub.

use super::*;

use tieline::Cluster;

const ROUNDS: usize = 16;

/// A node of this many shards, with clients `r0`, `r1` and so on, all of one user and in one group.
fn world(shards: usize, receivers: usize) -> (Harness, Cluster, Vec<TcpStream>) {
    let config = Config {
        shards: Some(shards),
        ..Config::default()
    };
    let harness = Harness::start(echo, config, None);
    let client = |i| harness.client(&format!("id=r{i}&user=u&group=g"), "");
    let clients = (0..receivers).map(client).collect();
    let cluster = harness.run(async { Cluster::single_node(harness.hub.clone()) });
    (harness, cluster, clients)
}

fn message() -> Frame {
    Frame::text("x".repeat(64))
}

/// Reads this many messages from each client.
fn read_all(clients: &mut [TcpStream], messages: usize) {
    for client in clients {
        for _ in 0..messages {
            assert_eq!(frame(client), (false, vec![b'x'; 64]));
        }
    }
}

// Up to 32 receivers are served by the caller.
#[test]
fn a_message_to_few_allocates_nothing() {
    for (shards, receivers) in [(1, 10), (1, 30), (8, 10), (8, 30), (70, 10)] {
        let (_harness, cluster, mut clients) = world(shards, receivers);
        let message = message();
        let counted = count(ROUNDS, |rounds| {
            for _ in 0..rounds {
                drop(cluster.emit("nobody", message.clone()));
                drop(cluster.emit_user("u", message.clone()));
                drop(cluster.emit_group("g", message.clone()));
                drop(cluster.emit_group("nobody", message.clone()));
                drop(cluster.broadcast(message.clone()));
            }
        });
        let none = Counted { times: 0, bytes: 0 };
        assert_eq!(counted, none, "{receivers} in {shards} shards");
        read_all(&mut clients, 4 * ROUNDS * 3);
    }
}

/// Messages to a group whose members the workers of the shards serve.
fn to_a_large_group(shards: usize, receivers: usize) -> Counted {
    let (harness, cluster, mut clients) = world(shards, receivers);
    let message = message();
    let counted = count(ROUNDS, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                let summary = cluster.emit_group("g", message.clone()).await;
                assert_eq!(summary.reached.delivered, receivers as u64);
            }
        });
    });
    read_all(&mut clients, 4 * ROUNDS);
    counted
}

#[test]
fn a_delivery_of_a_group_message_allocates_nothing() {
    for shards in [1, 4] {
        assert_eq!(to_a_large_group(shards, 210), to_a_large_group(shards, 60));
    }
}
