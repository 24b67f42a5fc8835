//! Clients that come and go while messages to many wait.

use super::*;
use crate::{
    close::CloseReason,
    delivery::{Delivery, Reached},
};

fn delivered(delivered: u64) -> Reached {
    Reached {
        delivered,
        ..Reached::default()
    }
}

#[test]
fn messages_leave_together_whoever_sends_them_and_whoever_comes_and_goes() {
    run(async {
        let hub = hub(with_shards(1));
        let mut crowd = crowd(&hub, 100);
        for i in 0..16 {
            // A chat: each sends to all but itself, while others come back, leave, and are closed.
            hub.except([format!("c{i}")]).emit_group("g", "x");
            crowd[20 + i] = connect(&hub, &format!("c{}", 20 + i));
            assert!(crowd[40 + i].connection().leave("g"));
            hub.close_connection(inner(&crowd[60 + i]), CloseReason::Drain);
        }
        let batch = hub.inner.shards[0].queue.next_batch().unwrap().0;
        assert_eq!((batch.len(), batch.entries()), (16, 16 + 16 + 16));
    });
}

#[test]
fn each_gets_what_was_sent_while_it_was_there() {
    run(async {
        let hub = hub(with_shards(1));
        let mut crowd = crowd(&hub, 40);
        let first = hub.emit_group("g", "1");
        let newcomer = connect(&hub, "newcomer");
        let second = hub.except(["c0", "c0", "nobody"]).emit_group("g", "2");
        crowd[1].connection().leave("g");
        let replacement = connect(&hub, "c2");
        let third = hub.emit_group("g", "3");
        crowd[1].connection().join("g").unwrap();
        hub.close_connection(inner(&crowd[3]), CloseReason::Drain);
        let fourth = hub.except(["newcomer"]).emit_group("g", "4");
        // Its connection ends before anything is delivered.
        drop(crowd.pop());

        let offline = Reached {
            offline: 1,
            ..delivered(39)
        };
        assert_eq!(first.await, offline);
        assert_eq!(second.await, offline);
        assert_eq!(third.await, offline);
        // The one that was closed, too.
        assert_eq!(fourth.await.offline, 2);
        let all = ["1", "2", "3", "4"];
        assert_eq!(received(&newcomer), ["2", "3"]);
        assert_eq!(received(&crowd[0]), ["1", "3", "4"]);
        assert_eq!(received(&crowd[1]), ["1", "2", "4"]);
        assert_eq!(received(&crowd[2]), ["1", "2", "4409"]);
        assert_eq!(received(&replacement), ["3", "4"]);
        assert_eq!(received(&crowd[3]), ["1", "2", "3", "1012"]);
        for guard in &crowd[4..] {
            assert_eq!(received(guard), all);
        }
    });
}

#[test]
fn who_is_closed_gets_what_was_sent_before_even_if_its_task_stops_listening() {
    run(async {
        let hub = hub(with_shards(1));
        let crowd = crowd(&hub, 40);
        let before = hub.broadcast("before");
        crowd[0]
            .connection()
            .close(tieline_websocket::CloseFrame::new(
                tieline_websocket::CloseCode::NORMAL,
                "",
            ));
        // The task does this when it notices the close.
        crowd[0].unregister();
        let after = hub.broadcast("after");
        assert_eq!(before.await, delivered(40));
        assert_eq!(after.await, delivered(39));
        assert_eq!(received(&crowd[0]), ["before", "1000"]);
        assert_eq!(received(&crowd[1]), ["before", "after"]);
    });
}

#[test]
fn an_emptied_group_is_served_and_forgotten() {
    for shards in [1, 4] {
        run(check_an_emptied_group(shards));
    }
}

async fn check_an_emptied_group(shards: usize) {
    let hub = hub(with_shards(shards));
    let crowd = crowd(&hub, 40);
    let gathered = hub.emit_group("g", "gathered");
    for guard in &crowd {
        guard.connection().leave("g");
    }
    assert_eq!(hub.members("g"), []);
    assert_eq!(hub.emit_group("g", "nobody").await, Reached::default());
    crowd[0].connection().join("g").unwrap();
    let alone = hub.emit_group("g", "alone");
    assert_eq!(gathered.await, delivered(40));
    assert_eq!(alone.await, delivered(1));
    assert_eq!(received(&crowd[0]), ["gathered", "alone"]);
    assert_eq!(received(&crowd[1]), ["gathered"]);
    crowd[0].connection().leave("g");
    assert_eq!(hub.emit_group("g", "nobody").await, Reached::default());
}

#[test]
fn what_waits_for_those_who_left_is_bounded() {
    run(async {
        let hub = hub(Config {
            broadcast_queue_frames: 8,
            ..with_shards(1)
        });
        let mut crowd = crowd(&hub, 40);
        let first = hub.broadcast("first");
        for round in 0..1_000 {
            // Something waits for each who is replaced.
            drop(hub.emit_group("g", "full soon"));
            crowd[round % 40] = connect(&hub, &format!("c{}", round % 40));
        }
        let shard = &hub.inner.shards[0];
        assert!(shard.index.lock().departed <= 8 + 40);
        assert!(shard.queue.closes() <= 8 + 41);
        assert_eq!(first.await.offline, 40, "all have ended by now");
        assert_eq!(shard.index.lock().departed, 0);
        assert_eq!(hub.broadcast("last").await, delivered(40));
    });
}

#[test]
fn a_message_that_waits_for_one_who_has_ended_is_offline() {
    run(async {
        let hub = hub(with_shards(1));
        let mut crowd = crowd(&hub, 40);
        let waiting = hub.broadcast("x");
        let last = crowd.pop().unwrap();
        let receipt = last.connection().emit("y");
        drop(last);
        assert_eq!(receipt.await, Delivery::Offline);
        assert_eq!(waiting.await.delivered, 39);
    });
}
