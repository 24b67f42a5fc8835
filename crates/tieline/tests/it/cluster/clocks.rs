//! Clocks that differ, where the registry keeps none.

use std::{sync::Arc, time::Duration};

use tieline::registry::{MemoryRegistry, Owner, Registry};

use crate::kit::{Store, TestNode, run};

/// How far one clock is ahead.
const AHEAD: Duration = Duration::from_hours(1);

/// The stamp of a client that connects now, in µs.
async fn stamp_of(node: &TestNode, registry: &MemoryRegistry, id: &str) -> u64 {
    let client = node.client(&format!("id={id}")).await;
    let entry = registry.locate(id, true).await.unwrap().entry().unwrap();
    drop(client);
    match entry.owner {
        Owner::Node { stamp, .. } => stamp.0,
        Owner::Foreign => panic!("{entry:?}"),
    }
}

#[test]
fn the_clock_of_one_node_reaches_the_others_with_a_ping() {
    run(async {
        let memory = MemoryRegistry::new();
        let ahead: Arc<dyn Registry> = Store::ahead(&memory, AHEAD);
        let plain: Arc<dyn Registry> = Arc::new(memory.clone());
        let first = TestNode::start(&plain).await;
        let before = stamp_of(&first, &memory, "before").await;
        let second = TestNode::start(&ahead).await;
        first.wait_for_links(1).await;
        second.wait_for_links(1).await;
        let half = u64::try_from(AHEAD.as_micros()).unwrap() / 2;
        let mut round = 0;
        while stamp_of(&first, &memory, &format!("client-{round}")).await < before + half {
            round += 1;
        }
        first.stop().await;
        second.stop().await;
    });
}
