//! A node is suspended (SIGSTOP) for longer than its lease, and resumed.
//!
//! Promise: emits to its clients are decided within a second; a client that connected elsewhere in
//! between keeps its connection and its entry; one that waited at the suspended node and
//! disconnected displaces nobody, and one that waited while a newer one connected elsewhere is
//! refused; clients that are still connected to the node are registered again; no client of another
//! node is closed.

use std::time::Duration;

use futures_util::future::join_all;
use tieline::registry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::{
    checker::wait_until_consistent,
    client::Client,
    clients::Clients,
    node_process::{self, LEASE, NodeProcess, pause},
    store::Store,
};
use crate::kit::{DECIDED_WITHIN, raw::request, run_within};

#[test]
fn a_suspended_node_affects_no_other_on_redis() {
    run_within(Duration::from_secs(40), async {
        stopped(Store::redis().await).await;
    });
}

#[test]
fn a_suspended_node_affects_no_other_on_etcd() {
    run_within(Duration::from_secs(40), async {
        stopped(Store::etcd().await).await;
    });
}

async fn has_entry(registry: &dyn Registry, id: &str) -> bool {
    registry.locate(id, true).await.unwrap().entry().is_some()
}

async fn stopped(store: Store) {
    let registry = store.registry().await;
    let [a, b, c] = node_process::start(&store.url()).await;
    let mut clients = Clients::default();
    clients.fill(&[&a, &b, &c], 30).await;
    let of_b = clients.ids_at(&b);
    let (moving, staying) = of_b.split_at(15);
    let others = clients.ids_at(&a);
    b.stop();
    let begun = Instant::now();
    // Newer than the connections with the same ids on another node, and gone before the node reads
    // them.
    let left = join_all(others.iter().take(10).map(|id| start_connecting(&b, id))).await;
    // Older than the connections with the same ids that are made elsewhere while these wait.
    let waiting = join_all(moving.iter().take(10).map(|id| start_connecting(&b, id))).await;
    drop(left);
    while begun.elapsed() < LEASE / 2 {
        for node in [&a, &c] {
            for one in node.emit(staying, "meanwhile").await {
                let is_open = ["unreachable", "unknown"].contains(&one.delivery.as_str());
                assert!(is_open && one.took < DECIDED_WITHIN, "{one:?}");
            }
        }
    }
    // Later than the waiting ones by more than the clocks of the nodes differ.
    for id in moving {
        clients.move_to(&a, id).await;
    }
    c.deliver(moving, "moved").await;
    // Until the other nodes have removed it.
    while has_entry(&*registry, &staying[0]).await {
        for one in a.emit(staying, "later").await {
            assert!(
                one.delivery != "delivered" && one.took < DECIDED_WITHIN,
                "{one:?}"
            );
        }
        pause().await;
    }
    let lasted = begun.elapsed();
    b.resume();
    let rest = wait_until_consistent(LEASE * 2, &[&a, &b, &c], &clients, &registry).await;
    eprintln!("consistent {rest:?} after a suspension of {lasted:?}");
    assert_eq!(clients.ids_at(&b).len(), staying.len(), "they stayed");
    assert_eq!(
        clients.ids_at(&a).len(),
        30 + moving.len(),
        "nobody was closed"
    );
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}

/// When it is resumed, the node renews its overdue lease before it accepts the clients, several
/// with one id together.
#[test]
fn clients_that_return_to_a_suspended_node_have_one_connection_each() {
    run_within(Duration::from_secs(30), async {
        let store = Store::redis().await;
        let registry = store.registry().await;
        let [a, b] = node_process::start(&store.url()).await;
        let mut clients = Clients::default();
        clients.fill(&[&a, &b], 10).await;
        let ids: Vec<_> = (0..40).map(|n| format!("again-{n}")).collect();
        b.stop();
        let begun = Instant::now();
        let connecting = (0..3).flat_map(|_| ids.iter().map(|id| Client::connect(&b, id)));
        let connecting = join_all(connecting);
        let resumed = async {
            // Longer than a pause that the node ignores.
            tokio::time::sleep(LEASE * 3 / 4).await;
            b.resume();
        };
        let (results, ()) = tokio::join!(connecting, resumed);
        for (id, results) in ids.iter().cycle().zip(results) {
            // The older ones may be refused.
            let _ = clients.record(id, results);
        }
        let rest = wait_until_consistent(LEASE, &[&a, &b], &clients, &registry).await;
        assert_eq!(clients.connected().count(), 60, "each has one");
        eprintln!(
            "consistent {rest:?} later, {:?} after the suspension",
            begun.elapsed()
        );
    });
}

/// A connection to a node that does not answer.
async fn start_connecting(node: &NodeProcess, id: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.setup.clients).await.unwrap();
    let request = request(&format!("/ws?id={id}"), "Connection: close\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
