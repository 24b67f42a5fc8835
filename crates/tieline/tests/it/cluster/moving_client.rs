//! Order of delivery to a client that moves between nodes, with many calls in flight.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline::{Cluster, Config, Delivery, Receipt, Summary, registry::Registry};
use tokio::time::sleep;

use crate::kit::{
    Mode, Reader, Store, TestNode, deliver, eventually, memory_registry, run, run_threads,
    test_config,
};

/// Longer than a link waits for answers before it sends no more.
const FROZEN: Duration = Duration::from_millis(1100);
/// Messages in flight while the client moves.
const MAX_OPEN: usize = 400;
const QUERY: &str = "id=mover&user=mover&quiet";

enum Sent {
    One(Receipt),
    Many(Receipt<Summary>),
}

impl Sent {
    async fn decided(self) -> SentNumber {
        match self {
            Self::One(receipt) => SentNumber {
                by_id: true,
                outcome: receipt.await,
            },
            Self::Many(receipt) => SentNumber {
                by_id: false,
                outcome: match receipt.await.reached.delivered {
                    0 => Delivery::Offline,
                    _ => Delivery::Delivered,
                },
            },
        }
    }
}

/// A number that was sent, with its outcome.
struct SentNumber {
    by_id: bool,
    /// Of a message to many: `Offline` if nobody is known to have received it.
    outcome: Delivery,
}

/// Sends numbers by id, by user and by broadcast. At most `max_open` of them are undecided, so that a
/// busy machine has time for each.
async fn send(from: Cluster, stop: Arc<AtomicBool>, max_open: usize) -> Vec<SentNumber> {
    let (mut open, mut decided) = (VecDeque::new(), Vec::new());
    while !stop.load(Ordering::Acquire) {
        for _ in 0..8 {
            let n = decided.len() + open.len();
            open.push_back(match n % 7 {
                3 => Sent::Many(from.emit_user("mover", n.to_string())),
                6 => Sent::Many(from.broadcast(n.to_string())),
                _ => Sent::One(from.emit("mover", n.to_string())),
            });
        }
        sleep(Duration::from_millis(1)).await;
        while open.len() > max_open
            && let Some(sent) = open.pop_front()
        {
            decided.push(sent.decided().await);
        }
    }
    for sent in open {
        decided.push(sent.decided().await);
    }
    decided
}

/// A client moves between nodes, and leaves its old connections open and silent. It stays on each
/// node for `stay` messages, so that when it returns to a node, no message from its previous stay
/// is still in flight to it.
async fn follow_moving_client(nodes: &[TestNode; 3], stay: usize, moves: usize) {
    let mut connections = vec![nodes[1].reader(QUERY).await];
    let stop = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send(nodes[0].cluster.clone(), Arc::clone(&stop), MAX_OPEN));
    for n in 0..moves {
        let latest = connections.last().expect("it has one");
        eventually(|| latest.count() > stay).await;
        connections.push(nodes[[2, 0, 1, 0, 2, 1][n % 6]].reader(QUERY).await);
    }
    let (latest, older) = connections.split_last().expect("it has one");
    eventually(|| latest.count() > stay).await;
    stop.store(true, Ordering::Release);
    let sent = sending.await.unwrap();
    for connection in older {
        assert_eq!(connection.until_closed().await, Some(4409));
    }
    deliver(&nodes[0].cluster, "mover", "last").await;
    latest.until("last").await;
    verify_connections(&sent, &connections);
    verify_outcomes(&sent);
}

#[test]
fn calls_arrive_in_order_while_their_client_moves() {
    run(async {
        follow_moving_client(&TestNode::start_linked(&memory_registry()).await, 20, 40).await;
    });
}

#[test]
fn calls_arrive_in_order_while_their_client_moves_over_slow_links() {
    run_threads(2, async {
        let registry: Arc<dyn Registry> = Store::stale(Duration::from_millis(3));
        let (a, to_a) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let (b, to_b) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let (c, to_c) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        for member in [&a, &b, &c] {
            member.wait_for_links(2).await;
        }
        for (proxy, millis) in [(&to_a, 2), (&to_b, 5), (&to_c, 1)] {
            proxy.set(Mode::Delay(Duration::from_millis(millis)));
        }
        follow_moving_client(&[a, b, c], 400, 20).await;
    });
}

/// Each connection received its messages in the order of the calls, whatever they were; what was sent
/// by id reached one connection at most, never an older one than the number before it.
fn verify_connections(sent: &[SentNumber], connections: &[Reader]) {
    let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
    for (connection, reader) in connections.iter().enumerate() {
        let numbers = reader.numbers();
        let wrong: Vec<_> = numbers.windows(2).filter(|two| two[0] >= two[1]).collect();
        assert!(wrong.is_empty(), "connection {connection}: {wrong:?}");
        for n in numbers {
            places.entry(n).or_default().push(connection);
        }
    }
    let mut at = 0;
    for (n, message) in sent.iter().enumerate() {
        let came = places.get(&n).map_or(&[][..], Vec::as_slice);
        let is_delivered = message.outcome.is_delivered();
        assert!(!is_delivered || !came.is_empty(), "{n} was lost");
        if message.by_id {
            assert!(came.len() <= 1, "{n} came twice");
            let may_have_come = is_delivered || message.outcome == Delivery::Unknown;
            let outcome = message.outcome;
            assert!(may_have_come || came.is_empty(), "{n}: {outcome}, and came");
            let connection = came.first().copied().unwrap_or(at);
            assert!(
                connection >= at,
                "{n} came to connection {connection}, after {at}"
            );
            at = connection;
        }
    }
}

/// No message is refused, and none is lost but those in transit while the client moved.
fn verify_outcomes(sent: &[SentNumber]) {
    for (n, message) in sent.iter().enumerate().filter(|(_, it)| it.by_id) {
        // The client has been connected since its first connection. What its old node returned is not
        // delivered behind a later message to many.
        let outcome = message.outcome;
        let is_expected = [Delivery::Delivered, Delivery::Unreachable].contains(&outcome);
        assert!(is_expected, "{n}: {outcome}");
    }
    let delivered = sent.iter().filter(|it| it.outcome.is_delivered()).count();
    assert!(delivered * 2 > sent.len(), "{delivered} of {}", sent.len());
}

#[test]
fn calls_arrive_in_order_while_the_answers_of_an_old_node_are_frozen() {
    run_threads(2, async {
        let registry = memory_registry();
        let a = TestNode::start(&registry).await;
        let (b, to_b) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        let (c, to_c) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        for member in [&a, &b, &c] {
            member.wait_for_links(2).await;
        }
        let mut connections = vec![b.reader(QUERY).await];
        let stop = Arc::new(AtomicBool::new(false));
        let sending = tokio::spawn(send(a.cluster.clone(), Arc::clone(&stop), usize::MAX));
        for round in 0..6 {
            let latest = connections.last().expect("it has one");
            eventually(|| latest.count() > 300).await;
            let (old, next) =
                [(&to_b, &c), (&to_c, &b), (&to_b, &a), (&to_b, &b)][[0, 1, 2, 3, 0, 1][round]];
            if round != 3 {
                old.set(Mode::SilentBack);
            }
            connections.push(next.reader(QUERY).await);
            sleep(FROZEN).await;
            old.set(Mode::Pass);
        }
        let (latest, _) = connections.split_last().expect("it has one");
        eventually(|| latest.count() > 300).await;
        stop.store(true, Ordering::Release);
        let sent = sending.await.unwrap();
        while !a.cluster.emit("mover", "last").await.is_delivered() {}
        latest.until("last").await;
        verify_connections(&sent, &connections);
    });
}

#[test]
fn calls_arrive_in_order_after_a_return_to_the_same_node() {
    run_threads(2, async {
        let registry = memory_registry();
        let a = TestNode::start(&registry).await;
        let (b, way) = TestNode::behind_proxy(&registry, Config::default(), test_config()).await;
        a.wait_for_links(1).await;
        b.wait_for_links(1).await;
        way.set(Mode::Delay(Duration::from_millis(3)));
        let mut connection = b.reader(QUERY).await;
        let stop = Arc::new(AtomicBool::new(false));
        let sending = tokio::spawn(send(a.cluster.clone(), Arc::clone(&stop), usize::MAX));
        let mut connections = Vec::new();
        for _ in 0..20 {
            eventually(|| connection.count() > 50).await;
            connection.send_close().await;
            eventually(|| !b.has("mover")).await;
            let next = b.reader(QUERY).await;
            connections.push(std::mem::replace(&mut connection, next));
        }
        stop.store(true, Ordering::Release);
        sending.await.unwrap();
        for connection in &connections {
            let numbers = connection.numbers();
            let wrong: Vec<_> = numbers.windows(2).filter(|two| two[0] >= two[1]).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    });
}
