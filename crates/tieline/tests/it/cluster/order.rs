//! Order of delivery from one task to one client, across nodes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tieline::{ClusterConfig, Config, Delivery, Receipt, Summary, registry::Registry};

use crate::kit::{
    GIVEN_UP_AFTER, Mode, Reader, Stopwatch, Store, TestNode, eventually, run_threads, test_config,
};

const CLIENTS: usize = 24;
const MESSAGES: usize = 6000;
/// Receipts that may be undecided at once.
const MAX_OPEN: usize = 400;

/// A message in flight, with its receivers.
enum Sent {
    One(usize, Receipt),
    Many(Vec<usize>, Receipt<Summary>),
}

/// Sends numbers to random clients by id, user, group and broadcast; returns the receivers of each. A
/// number that a busy machine left no time for is not among them.
async fn send_mixed(from: &TestNode, seed: u64) -> HashMap<usize, Vec<usize>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut open, mut arrivals) = (Vec::new(), HashMap::new());
    let mut watch = Stopwatch::start_threads();
    for n in 0..MESSAGES {
        let (text, to) = (n.to_string(), random.usize(0..CLIENTS));
        let cluster = &from.cluster;
        open.push((
            n,
            match random.u8(0..10) {
                0..6 => Sent::One(to, cluster.emit(&format!("client-{to}"), text)),
                6..8 => Sent::Many(vec![to], cluster.emit_user(&format!("user-{to}"), text)),
                8 => {
                    let group = (0..CLIENTS).filter(|i| i % 4 == to % 4).collect();
                    Sent::Many(
                        group,
                        cluster.emit_group(&format!("group-{}", to % 4), text),
                    )
                }
                _ => Sent::Many((0..CLIENTS).collect(), cluster.broadcast(text)),
            },
        ));
        if open.len() == MAX_OPEN || n + 1 == MESSAGES {
            for (n, sent) in open.drain(..) {
                arrivals.extend(arrived(n, sent, &watch).await.map(|to| (n, to)));
            }
            watch = Stopwatch::start_threads();
        }
    }
    arrivals
}

async fn arrived(n: usize, sent: Sent, watch: &Stopwatch) -> Option<Vec<usize>> {
    let was_given_up = || watch.has_lost(GIVEN_UP_AFTER);
    match sent {
        Sent::One(to, receipt) => {
            let delivery = receipt.await;
            let is_delivered = delivery == Delivery::Delivered;
            assert!(is_delivered || was_given_up(), "message {n}: {delivery}");
            is_delivered.then(|| vec![to])
        }
        Sent::Many(to, receipt) => {
            let summary = receipt.await;
            let reached = summary.reached.delivered;
            let is_delivered = summary.is_complete() && reached == to.len() as u64;
            assert!(is_delivered || was_given_up(), "message {n}: {summary:?}");
            is_delivered.then_some(to)
        }
    }
}

async fn verify(seed: u64, arrivals: &HashMap<usize, Vec<usize>>, readers: &[Reader]) {
    let mut expected = vec![Vec::new(); readers.len()];
    for n in 0..MESSAGES {
        let to = arrivals.get(&n).into_iter().flatten();
        to.for_each(|to| expected[*to].push(n));
    }
    for (expected, reader) in expected.iter().zip(readers) {
        let got = || -> Vec<_> {
            let numbers = reader.numbers().into_iter();
            numbers.filter(|n| arrivals.contains_key(n)).collect()
        };
        eventually(|| got().len() >= expected.len()).await;
        let got = got();
        let wrong = got
            .iter()
            .zip(expected)
            .position(|(got, expected)| got != expected);
        assert_eq!(wrong, None, "seed {seed}: the first out of order or lost");
        assert_eq!(got.len(), expected.len(), "seed {seed}");
    }
}

async fn connect_clients(members: &[&TestNode]) -> Vec<Reader> {
    let mut readers = Vec::new();
    for i in 0..CLIENTS {
        let query = format!("id=client-{i}&user=user-{i}&groups=group-{}&quiet", i % 4);
        readers.push(members[i % members.len()].reader(&query).await);
    }
    for member in members {
        assert!(member.cluster.synced().await);
    }
    readers
}

/// Few cached routes, so that most messages need a lookup, which takes time.
fn few_cached_routes() -> ClusterConfig {
    ClusterConfig {
        routes: 16,
        ..test_config()
    }
}

#[test]
fn mixed_calls_arrive_in_order_while_routes_are_looked_up() {
    run_threads(2, async {
        let registry: Arc<dyn Registry> = Store::slow(Duration::from_millis(1));
        let a = TestNode::start_with(&registry, Config::default(), few_cached_routes()).await;
        let b = TestNode::start(&registry).await;
        let c = TestNode::start(&registry).await;
        a.wait_for_links(2).await;
        let readers = connect_clients(&[&b, &c, &a]).await;
        let arrivals = send_mixed(&a, 1).await;
        verify(1, &arrivals, &readers).await;
    });
}

#[test]
fn mixed_calls_arrive_in_order_over_slow_links() {
    run_threads(2, async {
        let registry: Arc<dyn Registry> = Store::slow(Duration::from_millis(3));
        let a = TestNode::start_with(&registry, Config::default(), few_cached_routes()).await;
        let (b, near) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let (c, far) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        a.wait_for_links(2).await;
        b.wait_for_links(2).await;
        near.set(Mode::Delay(Duration::from_millis(1)));
        far.set(Mode::Delay(Duration::from_millis(4)));
        let readers = connect_clients(&[&b, &c]).await;
        let arrivals = send_mixed(&a, 2).await;
        verify(2, &arrivals, &readers).await;
    });
}
