//! What one task sends to a client that moves from node to node arrives in the order of the calls, with
//! many calls under way at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tieline::{Cluster, Config, Delivery, Receipt, Summary, registry::Registry};
use tokio::time::sleep;

use crate::kit::{Member, Mode, Reader, Store, eventually, memory, quick, run};

const MOVES: usize = 40;
const QUERY: &str = "id=roamer&user=roamer&quiet";

enum Sent {
    One(Receipt),
    Many(Receipt<Summary>),
}

/// A number to one client, with what became of it.
struct Numbered {
    by_id: bool,
    delivered: bool,
}

/// Sends numbers in every way that there is, without waiting for what becomes of them.
async fn send(from: Cluster, stop: Arc<AtomicBool>) -> Vec<Numbered> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Acquire) {
        for _ in 0..8 {
            let n = sent.len();
            sent.push(match n % 7 {
                3 => Sent::Many(from.emit_user("roamer", n.to_string())),
                6 => Sent::Many(from.broadcast(n.to_string())),
                _ => Sent::One(from.emit("roamer", n.to_string())),
            });
        }
        sleep(Duration::from_millis(1)).await;
    }
    let mut numbered = Vec::new();
    for sent in sent {
        numbered.push(match sent {
            Sent::One(receipt) => Numbered {
                by_id: true,
                delivered: receipt.await.is_delivered(),
            },
            Sent::Many(receipt) => Numbered {
                by_id: false,
                delivered: receipt.await.reached.delivered > 0,
            },
        });
    }
    numbered
}

/// A client that goes from node to node, and leaves its old connections open and silent. It stays
/// everywhere for so many messages: when it comes back to a node, nothing is on its way there that was
/// sent when it was there before.
async fn wander(nodes: &[Member; 3], stay: usize) {
    let mut lives = vec![nodes[1].reader(QUERY).await];
    let stop = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send(nodes[0].cluster.clone(), Arc::clone(&stop)));
    for n in 0..MOVES {
        let latest = lives.last().expect("it has one");
        eventually(|| latest.count() > stay).await;
        lives.push(nodes[[2, 0, 1, 0, 2, 1][n % 6]].reader(QUERY).await);
    }
    let (latest, older) = lives.split_last().expect("it has one");
    eventually(|| latest.count() > stay).await;
    stop.store(true, Ordering::Release);
    let sent = sending.await.unwrap();
    for life in older {
        assert_eq!(life.until_closed().await, Some(4409));
    }
    let last = nodes[0].cluster.emit("roamer", "last").await;
    assert_eq!(last, Delivery::Delivered);
    latest.until("last").await;
    judge_lives(&sent, &lives);
}

#[test]
fn calls_arrive_in_order_while_their_client_moves() {
    run(async {
        wander(&Member::several(&memory()).await, 20).await;
    });
}

#[test]
fn calls_arrive_in_order_while_their_client_moves_and_all_ways_are_slow() {
    run(async {
        let registry: Arc<dyn Registry> = Store::stale(Duration::from_millis(3));
        let (a, to_a) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        let (b, to_b) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        let (c, to_c) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        for member in [&a, &b, &c] {
            member.linked(2).await;
        }
        for (proxy, millis) in [(&to_a, 2), (&to_b, 5), (&to_c, 1)] {
            proxy.set(Mode::Delay(Duration::from_millis(millis)));
        }
        wander(&[a, b, c], 400).await;
    });
}

/// Each connection has in order what was sent by id, and what was sent to many; what was sent by id
/// came to one connection, never to an older one than the number before it.
fn judge_lives(sent: &[Numbered], lives: &[Reader]) {
    let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
    for (life, reader) in lives.iter().enumerate() {
        let numbers = reader.numbers();
        for by_id in [true, false] {
            let mut numbers = numbers.iter().filter(|n| sent[**n].by_id == by_id);
            let in_order = numbers.clone().is_sorted_by(|a, b| a < b);
            assert!(
                in_order,
                "life {life}: {:?}",
                numbers.by_ref().collect::<Vec<_>>()
            );
        }
        numbers
            .iter()
            .for_each(|n| places.entry(*n).or_default().push(life));
    }
    let mut at = 0;
    for (n, message) in sent.iter().enumerate() {
        let came = places.get(&n).map_or(&[][..], Vec::as_slice);
        assert!(!message.delivered || !came.is_empty(), "{n} was lost");
        if message.by_id {
            // From its first connection on the client was never away.
            assert!(message.delivered, "{n} was not delivered");
            assert!(came.len() <= 1, "{n} came twice");
            let life = came.first().copied().unwrap_or(at);
            assert!(life >= at, "{n} came to connection {life}, after {at}");
            at = life;
        }
    }
}

#[test]
fn a_client_that_comes_back_to_its_node_has_calls_in_order() {
    run(async {
        let registry = memory();
        let a = Member::start(&registry).await;
        let (b, way) = Member::behind_proxy(&registry, Config::default(), quick()).await;
        a.linked(1).await;
        b.linked(1).await;
        way.set(Mode::Delay(Duration::from_millis(3)));
        let mut life = b.reader(QUERY).await;
        let stop = Arc::new(AtomicBool::new(false));
        let sending = tokio::spawn(send(a.cluster.clone(), Arc::clone(&stop)));
        let mut lives = Vec::new();
        for _ in 0..40 {
            eventually(|| life.count() > 50).await;
            life.send_close().await;
            eventually(|| !b.has("roamer")).await;
            let next = b.reader(QUERY).await;
            lives.push(std::mem::replace(&mut life, next));
        }
        stop.store(true, Ordering::Release);
        let sent = sending.await.unwrap();
        for life in &lives {
            let numbers: Vec<_> = life
                .numbers()
                .into_iter()
                .filter(|n| sent[*n].by_id)
                .collect();
            let wrong: Vec<_> = numbers.windows(2).filter(|two| two[0] > two[1]).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    });
}
