//! Presence on Redis.

use std::time::Duration;

use tieline_test_servers::redis::Sentinels;

use super::{
    LIMIT, Stage, changes_nodes, cut_off, enter, is_away, killed, lost_everything, suspended,
    suspended_shortly, told, with_presence,
};
use crate::{
    kit::run_within,
    processes::{
        node_process::{self, LEASE, pause},
        store::Store,
    },
};

#[test]
fn the_users_of_a_killed_node_go_once_its_lease_is_over() {
    run_within(LIMIT, async {
        killed(Store::redis().await, Duration::from_millis(1500)).await;
    });
}

#[test]
fn the_users_of_a_suspended_node_go_and_come_back() {
    run_within(LIMIT, async { suspended(Store::redis().await).await });
}

#[test]
fn a_short_pause_of_a_node_has_no_effect() {
    run_within(LIMIT, async {
        suspended_shortly(Store::redis().await).await;
    });
}

#[test]
fn a_wiped_redis_drives_nobody_out() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Store::redis().await, Duration::ZERO).await;
        stage.begin(["ada,joan", "grace"]).await;
        stage.store.wipe().await;
        lost_everything(&mut stage).await;
    });
}

#[test]
fn what_happens_while_redis_is_away_is_told_when_it_is_back() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Store::redis().await, Duration::ZERO).await;
        stage.begin(["ada,joan", ""]).await;
        stage.store.stop();
        is_away(&mut stage).await;
        stage.store.resume().await;
        stage.until_all_show(&[0, 1], &["ada", "mary"]).await;
        let heard = stage.heard();
        assert_eq!(heard, ["+mary", "-joan"], "Ada was there all the time");
    });
}

#[test]
fn a_client_that_changes_nodes_within_the_grace_has_not_gone() {
    run_within(LIMIT, async { changes_nodes(Store::redis().await).await });
}

#[test]
fn the_users_of_a_node_that_is_cut_off_go_and_come_back() {
    run_within(LIMIT, async {
        cut_off(Store::redis().await, "redis").await;
    });
}

#[test]
fn a_redis_that_fails_over_drives_nobody_out() {
    run_within(LIMIT, async {
        let sentinels = Sentinels::start(3).await;
        let url = sentinels.url();
        let nodes = node_process::start_with(|| with_presence(&url, Duration::ZERO)).await;
        let mut stage = Stage::with(sentinels, &url, nodes).await;
        stage.begin(["ada", "grace"]).await;
        stage.store.master.wait_for_replica("{nodes}:pj").await;
        // Replication ends here, so what comes now is lost: the replica follows nobody.
        let replica = &stage.store.replica;
        replica
            .command::<()>(&["REPLICAOF", "127.0.0.1", "1"])
            .await;
        enter(&stage.nodes[0], "lost").await;
        stage.observer.until_heard("+lost").await;
        stage.store.master.kill();
        // Whoever takes part in the new journal is told of it.
        while told(&stage.nodes[0])
            .await
            .is_none_or(|told| told.len() < 3)
        {
            pause().await;
        }
        stage.observer.hear_for(LEASE * 3).await;
        enter(&stage.nodes[1], "joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan", "lost"])
            .await;
        assert_eq!(stage.observer.history.heard, ["+lost", "+joan"]);
    });
}
