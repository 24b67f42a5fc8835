//! The memory that all outboxes of a node may take together.

use tieline::{CloseReason, Config, Hub};

use super::millis;
use crate::kit::{Server, run};

const MIB: usize = 1024 * 1024;
const FRAME: usize = 64 * 1024;

fn config() -> Config {
    Config {
        outbox_bytes: 6 * MIB,
        max_outbox_memory: Some(8 * MIB),
        close_timeout: millis(300),
        ..Config::default()
    }
}

/// Sends until this much more waits in outboxes, besides what the kernel took.
async fn fill(hub: &Hub, bytes: usize, send: impl Fn(Vec<u8>)) {
    let target = hub.stats().waiting_bytes + bytes;
    while hub.stats().waiting_bytes < target {
        send(vec![0; FRAME]);
        tokio::task::yield_now().await;
    }
}

#[test]
fn those_for_whom_most_waits_are_closed_when_all_outboxes_take_too_much() {
    run(async {
        let server = Server::start(config()).await;
        let hub = &server.hub;
        let mut clients = Vec::new();
        for id in ["a", "b", "most", "c"] {
            clients.push(server.narrow(&format!("id={id}")).await);
        }
        for (id, mib) in [("a", 1), ("most", 4), ("b", 2)] {
            fill(hub, mib * MIB, |frame| drop(hub.emit(id, frame))).await;
        }
        assert_eq!(hub.stats().max_waiting_bytes, 8 * MIB);
        let largest = hub.largest_outbox();
        assert!((3 * MIB..6 * MIB).contains(&largest), "{largest}");
        assert_eq!(hub.stats().shed, 0);
        // The last one exceeds the bound, and has less than another.
        while hub.stats().shed == 0 {
            assert!(hub.stats().waiting_bytes < 9 * MIB, "no bound");
            hub.emit("c", vec![0; FRAME]);
            tokio::task::yield_now().await;
        }
        assert_eq!(server.log.end_of("most").await, CloseReason::SlowConsumer);
        for id in ["a", "b", "c"] {
            assert!(hub.online(id), "{id} was closed");
        }
        let stats = hub.stats();
        assert_eq!((stats.shed, stats.slow_consumers), (1, 0));
        assert!(stats.waiting_bytes < 6 * MIB, "{stats:?}");
        drop(clients);
        server.empty().await;
        assert_eq!((hub.stats().waiting_bytes, hub.largest_outbox()), (0, 0));
    });
}

#[test]
fn a_long_frame_that_has_begun_to_leave_costs_no_other_client_its_connection() {
    run(async {
        let server = Server::start(config()).await;
        let hub = &server.hub;
        let mut clients = Vec::new();
        for id in ["little", "less", "most"] {
            clients.push(server.narrow(&format!("id={id}")).await);
        }
        fill(hub, FRAME, |frame| drop(hub.emit("little", frame))).await;
        hub.emit("less", vec![0; 4 * MIB]);
        hub.emit("most", vec![0; 5 * MIB]);
        assert_eq!(server.log.end_of("most").await, CloseReason::SlowConsumer);
        for id in ["little", "less"] {
            assert!(hub.online(id), "{id} was closed");
        }
        assert_eq!(hub.stats().shed, 1);
        drop(clients);
        server.empty().await;
        assert_eq!(hub.stats().waiting_bytes, 0);
    });
}

#[test]
fn what_waits_for_many_counts_once() {
    run(async {
        let server = Server::start(config()).await;
        let hub = &server.hub;
        let mut clients = Vec::new();
        for i in 0..8 {
            clients.push(server.narrow(&format!("id=c{i}")).await);
        }
        fill(hub, 4 * MIB, |frame| drop(hub.broadcast(frame))).await;
        assert_eq!(hub.stats().shed, 0);
        for i in 0..8 {
            assert!(hub.online(&format!("c{i}")));
        }
    });
}
