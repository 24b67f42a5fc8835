//! Outcomes, and messages that leave some clients out.

use tieline::{Config, Delivery, Reached, SlowConsumer};

use crate::kit::{Server, run};

fn delivered(count: u64) -> Reached {
    let mut reached = Reached::default();
    reached.delivered = count;
    reached
}

#[test]
fn an_emit_is_delivered_or_offline() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let mut receipt = server.hub.emit("a", "hello");
        assert_eq!(receipt.try_outcome(), Some(Delivery::Delivered), "at once");
        assert_eq!(client.text().await, "hello");
        assert_eq!(server.hub.emit("nobody", "hello").await, Delivery::Offline);
        drop(client);
        server.empty().await;
        assert_eq!(server.hub.emit("a", "hello").await, Delivery::Offline);
    });
}

#[test]
fn messages_to_many_are_counted() {
    run(async {
        for shards in [1, 4] {
            let server = Server::start(Config {
                shards: Some(shards),
                ..Config::default()
            })
            .await;
            assert_eq!(server.hub.broadcast("nobody yet").await, delivered(0));
            // A small audience is served by the caller, a large one by the workers.
            for (prefix, count) in [("few", 3), ("many", 150)] {
                let query = format!("user=u{prefix}&groups=g{prefix}");
                let mut crowd = server.crowd(prefix, count, &query).await;
                let group = format!("g{prefix}");
                let reached = server.hub.emit_group(&group, "group").await;
                assert_eq!(reached, delivered(count as u64));
                let reached = server.hub.emit_user(&format!("u{prefix}"), "user").await;
                assert_eq!(reached, delivered(count as u64));
                let reached = server.hub.broadcast("all").await;
                assert_eq!(reached, delivered(count as u64));
                for client in &mut crowd {
                    for text in ["group", "user", "all"] {
                        assert_eq!(client.text().await, text);
                    }
                }
                drop(crowd);
                server.empty().await;
            }
        }
    });
}

#[test]
fn a_message_is_delivered_even_if_its_receipt_is_dropped() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut crowd = server.crowd("c", 100, "groups=g").await;
        drop(server.hub.emit("c0", "one"));
        drop(server.hub.emit_group("g", "group"));
        drop(server.hub.broadcast("all"));
        assert_eq!(crowd[0].text().await, "one");
        for client in &mut crowd {
            assert_eq!(client.text().await, "group");
            assert_eq!(client.text().await, "all");
        }
    });
}

#[test]
fn exceptions_are_left_out_of_messages_to_many() {
    run(async {
        for count in [5, 80] {
            let server = Server::start(Config::default()).await;
            let mut crowd = server.crowd("c", count, "user=u&groups=g").await;
            let except = server.hub.except(["c0", "c2", "nobody"]);
            let reached = delivered(count as u64 - 2);
            assert_eq!(except.broadcast("all").await, reached);
            assert_eq!(except.emit_group("g", "group").await, reached);
            assert_eq!(except.emit_user("u", "user").await, reached);
            server.hub.broadcast("end");
            for (i, client) in crowd.iter_mut().enumerate() {
                if i != 0 && i != 2 {
                    for text in ["all", "group", "user"] {
                        assert_eq!(client.text().await, text);
                    }
                }
                assert_eq!(client.text().await, "end");
            }
        }
    });
}

#[test]
fn refusals_are_counted_apart_from_deliveries() {
    run(async {
        let server = Server::start(Config {
            outbox_frames: 2,
            slow_consumer: SlowConsumer::DropNewest,
            ..Config::default()
        })
        .await;
        let mut crowd = server.crowd("c", 40, "quiet=1").await;
        let _stuck = server.narrow("id=stuck").await;
        // Its socket takes no more, and two frames wait.
        let long = "x".repeat(1024 * 1024);
        while server.hub.emit("stuck", &long).await != Delivery::Refused {}
        let reached = server.hub.broadcast("all").await;
        assert_eq!((reached.delivered, reached.refused), (40, 1));
        for client in &mut crowd {
            assert_eq!(client.text().await, "all");
        }
    });
}
