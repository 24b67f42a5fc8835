//! Followers of many groups, far from their registry.

use std::{net::Ipv4Addr, time::Duration};

use futures_util::future::join_all;
use tieline::{Change, registry};
use tieline_test_servers::redis::Redis;
use tokio::time::Instant;

use super::members::node;
use crate::kit::{Mode, Proxy, run_within};

const GROUPS: usize = 1000;
/// Each way.
const DELAY: Duration = Duration::from_millis(20);

#[test]
fn a_node_that_follows_many_groups_reads_many_at_once() {
    run_within(Duration::from_mins(2), async {
        let redis = Redis::start().await;
        let near = registry::connect(&redis.url(), "tieline").await.unwrap();
        let (_a, on_a) = node(&near).await;
        let groups: Vec<_> = (0..GROUPS)
            .map(|number| format!("group {number}"))
            .collect();
        join_all(groups.iter().map(|group| on_a.enter(group, "ada", ""))).await;
        while on_a.occupied().await.unwrap().len() < GROUPS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        let proxy = Proxy::start((Ipv4Addr::LOCALHOST, redis.port).into()).await;
        proxy.set(Mode::Delay(DELAY));
        let url = format!("redis://{}", proxy.address());
        let far = registry::connect(&url, "tieline").await.unwrap();
        let (_b, on_b) = node(&far).await;
        let begun = Instant::now();
        let on_b = &on_b;
        join_all(groups.iter().map(|group| async move {
            let mut following = on_b.follow(group).await.unwrap();
            let Some(Change::Snapshot { members, .. }) = following.next().await else {
                panic!("{group} was not read");
            };
            assert_eq!(members.len(), 1, "{group}");
        }))
        .await;
        // One after the other, the ways alone would take 40 s.
        let took = begun.elapsed();
        assert!(took < DELAY * 1000, "{took:?}");
    });
}
