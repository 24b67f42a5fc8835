//! Presence on etcd.

use std::time::Duration;

use tieline_test_servers::etcd::Etcd;

use super::{
    LIMIT, Stage, changes_nodes, cut_off, enter, is_away, killed, lost_everything, suspended,
    suspended_shortly, with_presence,
};
use crate::{
    kit::run_within,
    processes::{
        node_process::{self, LEASE},
        store::Store,
    },
};

#[test]
fn on_etcd_the_users_of_a_killed_node_go_once_its_lease_is_over() {
    run_within(LIMIT, async {
        // etcd looks for leases that have run out twice a second.
        killed(Store::etcd().await, Duration::from_secs(2)).await;
    });
}

#[test]
fn on_etcd_the_users_of_a_suspended_node_go_and_come_back() {
    run_within(LIMIT, async { suspended(Store::etcd().await).await });
}

#[test]
fn on_etcd_a_short_pause_of_a_node_has_no_effect() {
    run_within(LIMIT, async {
        suspended_shortly(Store::etcd().await).await;
    });
}

#[test]
fn on_etcd_a_client_that_changes_nodes_within_the_grace_has_not_gone() {
    run_within(LIMIT, async { changes_nodes(Store::etcd().await).await });
}

#[test]
fn on_etcd_the_users_of_a_node_that_is_cut_off_go_and_come_back() {
    run_within(LIMIT, async {
        cut_off(Store::etcd().await, "etcd").await;
    });
}

#[test]
fn an_etcd_that_begins_anew_drives_nobody_out() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Store::etcd().await, Duration::ZERO).await;
        stage.begin(["ada,joan", "grace"]).await;
        stage.store.wipe().await;
        lost_everything(&mut stage).await;
    });
}

#[test]
fn an_etcd_that_is_restored_from_a_backup_drives_nobody_out() {
    run_within(LIMIT, async {
        let etcd = Etcd::start().await;
        let url = etcd.url();
        let nodes = node_process::start_with(|| with_presence(&url, Duration::ZERO)).await;
        let mut stage = Stage::with(etcd, &url, nodes).await;
        stage.begin(["ada", "grace"]).await;
        stage.store.snapshot().await;
        enter(&stage.nodes[0], "lost").await;
        stage.observer.until_heard("+lost").await;
        stage.store.restore().await;
        stage.observer.hear_for(LEASE * 3).await;
        enter(&stage.nodes[1], "joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan", "lost"])
            .await;
        assert_eq!(stage.observer.history.heard, ["+lost", "+joan"]);
    });
}

/// Leases last as long again when a server has begun to lead, so nobody goes. There is no hold: the grace covers who
/// changes nodes.
#[test]
fn what_happens_while_etcd_is_away_is_told_when_it_is_back() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Store::etcd().await, Duration::from_secs(2)).await;
        stage.begin(["ada,joan", ""]).await;
        stage.store.kill();
        is_away(&mut stage).await;
        stage.store.restart().await;
        stage.until_all_show(&[0, 1], &["ada", "mary"]).await;
        let heard = stage.heard();
        assert_eq!(heard, ["+mary", "-joan"], "Ada was there all the time");
    });
}

#[test]
fn an_etcd_that_loses_its_leader_drives_nobody_out() {
    run_within(LIMIT, async {
        let etcd = Etcd::cluster(3).await;
        let url = etcd.url();
        let nodes = node_process::start_with(|| with_presence(&url, Duration::ZERO)).await;
        let mut stage = Stage::with(etcd, &url, nodes).await;
        stage.begin(["ada", "grace"]).await;
        let leader = stage.store.leader().await;
        stage.store.kill(leader);
        stage.observer.hear_for(LEASE * 2).await;
        enter(&stage.nodes[0], "joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan"])
            .await;
        assert_eq!(stage.observer.history.heard, ["+joan"]);
    });
}

/// The leases of a sole server run out while it is suspended. Everybody is back when it is.
#[test]
fn an_etcd_that_was_suspended_has_everybody_back() {
    run_within(LIMIT, async {
        let mut stage = Stage::start(Store::etcd().await, Duration::ZERO).await;
        stage.begin(["ada", "grace"]).await;
        stage.store.stop();
        stage.observer.hear_for(LEASE * 2).await;
        assert!(stage.observer.history.heard.is_empty());
        assert!(stage.observer.is_stale());
        stage.store.resume().await;
        enter(&stage.nodes[1], "joan").await;
        stage.observer.until_heard("+joan").await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan"])
            .await;
        stage.observer.hear_for(LEASE * 2).await;
        stage
            .until_all_show(&[0, 1], &["ada", "grace", "joan"])
            .await;
    });
}
