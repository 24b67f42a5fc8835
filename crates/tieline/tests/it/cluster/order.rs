//! What one task sends to one client arrives in the order of the calls, across nodes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tieline::{ClusterConfig, Config, Delivery, Receipt, Summary, registry::Registry};

use crate::kit::{Member, Mode, Reader, Store, eventually, quick, run_threads};

const CLIENTS: usize = 24;
const MESSAGES: usize = 6000;
/// Receipts that may be open.
const OPEN: usize = 400;

/// A message on its way, by whom it is for.
enum Sent {
    One(usize, Receipt),
    Many(Vec<usize>, Receipt<Summary>),
}

/// Sends numbers to random clients in every way that there is; yields whom each came to for sure.
async fn send_mixed(from: &Member, seed: u64) -> HashMap<usize, Vec<usize>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut open, mut sure) = (Vec::new(), HashMap::new());
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
        if open.len() == OPEN || n + 1 == MESSAGES {
            for (n, sent) in open.drain(..) {
                sure.insert(n, arrived(n, sent).await);
            }
        }
    }
    sure
}

async fn arrived(n: usize, sent: Sent) -> Vec<usize> {
    match sent {
        Sent::One(to, receipt) => {
            assert_eq!(receipt.await, Delivery::Delivered, "message {n}");
            vec![to]
        }
        Sent::Many(to, receipt) => {
            let summary = receipt.await;
            assert!(summary.is_complete(), "message {n}: {summary:?}");
            assert_eq!(summary.reached.delivered, to.len() as u64, "message {n}");
            to
        }
    }
}

async fn judge(seed: u64, sure: &HashMap<usize, Vec<usize>>, readers: &[Reader]) {
    let mut expected = vec![Vec::new(); readers.len()];
    for n in 0..MESSAGES {
        sure[&n].iter().for_each(|to| expected[*to].push(n));
    }
    for (expected, reader) in expected.iter().zip(readers) {
        eventually(|| reader.texts().len() >= expected.len()).await;
        let got = reader.numbers();
        let wrong = got
            .iter()
            .zip(expected)
            .position(|(got, expected)| got != expected);
        assert_eq!(wrong, None, "seed {seed}: the first out of order or lost");
        assert_eq!(got.len(), expected.len(), "seed {seed}");
    }
}

async fn crowd(members: &[&Member]) -> Vec<Reader> {
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

/// Few routes are remembered, so that most are looked up, and a look-up takes time.
fn forgetful() -> ClusterConfig {
    ClusterConfig {
        routes: 16,
        ..quick()
    }
}

#[test]
fn mixed_calls_arrive_in_order_while_routes_are_looked_up() {
    run_threads(2, async {
        let registry: Arc<dyn Registry> = Store::slow(Duration::from_millis(1));
        let a = Member::start_with(&registry, Config::default(), forgetful()).await;
        let b = Member::start(&registry).await;
        let c = Member::start(&registry).await;
        a.linked(2).await;
        let readers = crowd(&[&b, &c, &a]).await;
        let sure = send_mixed(&a, 1).await;
        judge(1, &sure, &readers).await;
    });
}

#[test]
fn mixed_calls_arrive_in_order_over_slow_links() {
    run_threads(2, async {
        let registry: Arc<dyn Registry> = Store::slow(Duration::from_millis(3));
        let a = Member::start_with(&registry, Config::default(), forgetful()).await;
        let (b, near) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        let (c, far) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        a.linked(2).await;
        b.linked(2).await;
        near.set(Mode::Delay(Duration::from_millis(1)));
        far.set(Mode::Delay(Duration::from_millis(4)));
        let readers = crowd(&[&b, &c]).await;
        let sure = send_mixed(&a, 2).await;
        judge(2, &sure, &readers).await;
    });
}
