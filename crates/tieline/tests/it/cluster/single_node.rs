//! A cluster of one node: nobody else has a client, so everything is decided by its hub, at once.

use tieline::{CloseCode, CloseFrame, Config, Delivery, Membership};

use crate::kit::{TestNode, run};

#[test]
fn every_outcome_is_decided_by_the_call() {
    run(async {
        let node = TestNode::single(Config::default()).await;
        let mut ann = node.client("id=ann&user=u&groups=room").await;
        let mut ben = node.client("id=ben&user=u&groups=room").await;
        let cluster = &node.cluster;
        let close = || CloseFrame::new(CloseCode::NORMAL, "");

        let mut receipts = [
            cluster.emit("ann", "by id"),
            cluster.emit("nobody", "by id"),
            cluster.emit("", "by id"),
            cluster.close("nobody", close()),
        ];
        let outcomes = receipts
            .each_mut()
            .map(|receipt| receipt.try_outcome().expect("it is decided"));
        let offline = Delivery::Offline;
        assert_eq!(outcomes, [Delivery::Delivered, offline, offline, offline]);

        let others = cluster.except(["ann"]);
        let mut receipts = [
            cluster.emit_user("u", "to the user"),
            cluster.emit_group("room", "to the room"),
            cluster.broadcast("to all"),
            others.emit_user("u", "to ben"),
            others.emit_group("room", "to ben"),
            others.broadcast("to ben"),
            cluster.emit_group("nowhere", "to nobody"),
        ];
        let summaries = receipts
            .each_mut()
            .map(|receipt| receipt.try_outcome().expect("it is decided"));
        assert!(receipts[0].try_outcome().is_none(), "yielded once");
        let delivered = summaries.each_ref().map(|sum| sum.reached.delivered);
        assert_eq!(delivered, [2, 2, 2, 1, 1, 1, 0]);
        for summary in &summaries {
            assert!(summary.is_complete());
            let [part] = &summary.nodes[..] else {
                panic!("this node alone: {summary:?}");
            };
            assert_eq!((&part.node, part.outcome), (&None, Ok(summary.reached)));
        }

        assert!(cluster.close("ann", close()).await.is_delivered());
        for expected in ["by id", "to the user", "to the room", "to all"] {
            assert_eq!(ann.text().await, expected);
        }
        let to_ben = ["to the user", "to the room", "to all"];
        for expected in to_ben.into_iter().chain(["to ben"; 3]) {
            assert_eq!(ben.text().await, expected);
        }
    });
}

#[test]
fn groups_are_joined_and_left_as_on_many_nodes() {
    run(async {
        let config = Config {
            groups_per_connection: 2,
            ..Config::default()
        };
        let node = TestNode::single(config).await;
        let mut ann = node.client("id=ann").await;
        let cluster = &node.cluster;
        assert_eq!(cluster.join_group("ann", "a").await, Membership::Changed);
        assert_eq!(cluster.join_group("ann", "a").await, Membership::Unchanged);
        assert_eq!(cluster.join_group("ann", "b").await, Membership::Changed);
        assert_eq!(cluster.join_group("ann", "c").await, Membership::TooMany);
        assert_eq!(cluster.join_group("nobody", "a").await, Membership::Offline);
        assert_eq!(cluster.join_group("", "a").await, Membership::Offline);
        assert_eq!(cluster.emit_group("a", "x").await.reached.delivered, 1);
        assert_eq!(ann.text().await, "x");
        assert_eq!(cluster.leave_group("ann", "a").await, Membership::Changed);
        assert_eq!(cluster.leave_group("ann", "a").await, Membership::Unchanged);
        assert_eq!(
            cluster.leave_group("nobody", "a").await,
            Membership::Offline
        );
        assert_eq!(cluster.emit_group("a", "x").await.reached.delivered, 0);
    });
}
