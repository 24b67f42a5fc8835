//! What is sent to a client whose claim is not decided, if its outbox is small.

use tieline::{Config, Delivery};

use super::admission::Setup;
use crate::kit::{Hold, run};

/// What waits while a claim is not decided is no more than the client's own outbox takes at once.
#[test]
fn what_waits_for_a_client_with_a_small_outbox_does_not_close_it() {
    run(async {
        let setup = Setup::start(Config::default()).await;
        let attempt = setup.attempt(Hold::Claims, "id=ann&quiet&outbox=10").await;
        let hub = setup.b.node.hub();
        let receipts: Vec<_> = (0..40).map(|n| hub.emit("ann", n.to_string())).collect();
        let (mut client, answer) = setup.release(attempt).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        let mut delivered = 0;
        for receipt in receipts {
            match receipt.await {
                Delivery::Delivered => delivered += 1,
                other => assert_eq!(other, Delivery::QueueFull),
            }
        }
        assert!((1..=5).contains(&delivered), "{delivered}");
        assert!(hub.emit("ann", "last").await.is_delivered());
        for n in 0..delivered {
            assert_eq!(client.text().await, n.to_string());
        }
        assert_eq!(client.text().await, "last");
    });
}
