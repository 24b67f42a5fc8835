//! How fast rosters on etcd are. The figures of docs/presence.md: `cargo test -p tieline-registry --features etcd --test
//! it etcd::rosters_in_numbers -- --nocapture`, best of some runs.

use std::time::Duration;

use tieline_registry::{EtcdOptions, EtcdRegistry, MAX_PUT, PutOp, Rosters, TransitionKind};
use tieline_test_servers::etcd::Etcd;
use tokio::time::Instant;

use super::{
    PREFIX, STEADY,
    rosters::{Writer, item, lobby, read},
};
use crate::kit::run_threads_for;

/// The users of one node.
const USERS: usize = 10_000;

/// On a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

#[test]
fn ten_thousand_users_enter_and_go_within_seconds() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::start().await;
        enter_and_go(&etcd.url()).await;
    });
}

#[test]
fn the_same_where_etcd_has_users() {
    run_threads_for(LIMIT, 2, async {
        let etcd = Etcd::with_users(&[PREFIX, "!tieline/ws/"]).await;
        enter_and_go(&etcd.url_as("tieline:secret@")).await;
    });
}

async fn enter_and_go(url: &str) {
    let options = EtcdOptions::new().timeout(Duration::from_secs(20));
    let registry = EtcdRegistry::connect_with(url, PREFIX, options);
    let registry = registry.await.unwrap();
    let mut writer = Writer::new(&registry, STEADY).await;
    let mut at = writer.begin.clone();
    let names: Vec<_> = (0..USERS)
        .map(|number| format!("user {number:05}"))
        .collect();
    // It is followed from the beginning.
    read(&registry, &at).await.expect("the journal has begun");
    let entering = Instant::now();
    for names in names.chunks(MAX_PUT) {
        let items = names.iter().map(|name| item(PutOp::Enter, name));
        writer.put(None, items.collect()).await;
    }
    let took = entering.elapsed();
    eprintln!("{USERS} enter in puts of {MAX_PUT} in {took:?}");
    let told = until_told(&registry, &mut at, TransitionKind::Joined).await;
    eprintln!("all are told {told:?} later");
    let first = Instant::now();
    let count = registry.roster(&lobby(), 0).await.unwrap().count;
    eprintln!("{count} are counted in {:?}", first.elapsed());
    let ending = Instant::now();
    registry.end(&writer.term, Duration::ZERO).await.unwrap();
    let ended = ending.elapsed();
    let told = until_told(&registry, &mut at, TransitionKind::Left).await;
    eprintln!("the term ends in {ended:?}, and all are told {told:?} later");
    let all = ending.elapsed();
    assert!(
        took < Duration::from_mins(1) && all < Duration::from_secs(30),
        "{took:?}, {all:?}"
    );
}

/// Reads until all users have come or gone. How long that took.
async fn until_told(
    registry: &EtcdRegistry,
    at: &mut tieline_registry::Position,
    kind: TransitionKind,
) -> Duration {
    let begun = Instant::now();
    let mut told = 0;
    while told < USERS {
        let (entries, reached) = read(registry, at).await.expect("nothing is lost");
        assert!(entries.iter().all(|entry| entry.kind == kind));
        told += entries.len();
        *at = reached;
        if entries.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    begun.elapsed()
}
