//! What a hub counts.

use std::time::Duration;

use tieline::{Config, Delivery, Ends, HubStats};

use crate::kit::{Server, close_frame, eventually, raw::TEXT, run, run_threads};

#[test]
fn messages_and_bytes_are_counted_in_both_directions() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        for _ in 0..10 {
            client.send(TEXT, &[b'x'; 100]).await;
            client.text().await;
        }
        client.send_text("!burst:5").await;
        for _ in 0..5 {
            client.text().await;
        }
        eventually(|| server.hub.stats().traffic.messages_in == 11).await;
        let traffic = server.hub.stats().traffic;
        // A client's header has 6 bytes, a server's 2.
        assert_eq!(traffic.bytes_in, 10 * 106 + 6 + 8);
        assert_eq!(traffic.frames_out, 15);
        assert!(traffic.bytes_out >= 10 * 102 + 5 * 3, "{traffic:?}");
        assert_eq!(server.hub.stats().deliveries.delivered, 15);
    });
}

#[test]
fn connections_are_counted_by_how_they_end() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut ended = Ends::default();
        let mut leaving = server.raw("id=a").await;
        leaving.send_close(1000).await;
        server.empty().await;
        let mut closed = server.raw("id=b").await;
        server.connection("b").close(close_frame(4000));
        assert_eq!(closed.closed().await, 4000);
        drop(closed);
        server.empty().await;
        let mut faulty = server.raw("id=c").await;
        faulty.write(b"\x81\x02hi").await;
        assert_eq!(faulty.closed().await, 1002);
        drop(faulty);
        server.empty().await;
        let _older = server.raw("id=d").await;
        let _newer = server.raw("id=d").await;
        ended.client += 1;
        ended.application += 1;
        ended.protocol += 1;
        ended.replaced += 1;
        eventually(|| server.hub.stats().ended == ended).await;
        let stats = server.hub.stats();
        assert_eq!((stats.opened, stats.ended.total()), (5, 4));
        assert_eq!(stats.connections, 1);
        // Refused upgrades are none of these.
        let refused = server
            .ask(&format!("groups={}", "x".repeat(1025)), "")
            .await;
        assert_eq!(refused.status, 400);
        assert_eq!(server.hub.stats().opened, 5);
    });
}

#[test]
fn deliveries_are_counted_by_their_outcome() {
    run_threads(2, async {
        let config = Config {
            outbox_frames: 4,
            slow_consumer: tieline::SlowConsumer::DropNewest,
            ..Config::default()
        };
        let server = Server::start(config).await;
        let crowd = server.crowd("r", 100, "").await;
        let of = |stats: &HubStats| stats.deliveries;
        assert_eq!(server.hub.emit("nobody", "x").await, Delivery::Offline);
        assert_eq!(of(&server.hub.stats()).offline, 1);
        let reached = server.hub.broadcast("to all").await;
        assert_eq!(reached.delivered, 100);
        assert_eq!(of(&server.hub.stats()).delivered, 100);
        let mut outcomes = of(&server.hub.stats());
        let long = "x".repeat(1024 * 1024);
        for _ in 0..50 {
            match server.hub.emit("r0", &long).await {
                Delivery::Delivered => outcomes.delivered += 1,
                Delivery::Refused => outcomes.refused += 1,
                other => panic!("{other}"),
            }
        }
        assert!(outcomes.refused > 0);
        server
            .connection("r1")
            .send("waits if it must")
            .await
            .unwrap();
        outcomes.delivered += 1;
        assert_eq!(of(&server.hub.stats()), outcomes);
        drop(crowd);
    });
}

#[test]
fn queues_say_since_when_messages_wait_and_how_long_they_took() {
    run(async {
        let config = Config {
            shards: Some(2),
            ..Config::default()
        };
        let server = Server::start(config).await;
        let crowd = server.crowd("r", 100, "").await;
        let before = server.hub.stats();
        assert_eq!(before.queue_age, Duration::ZERO);
        let receipt = server.hub.broadcast("to all");
        // The workers share this thread.
        let waiting = server.hub.stats();
        assert_eq!(waiting.queued, 2, "one in each shard");
        assert!(waiting.queue_age > Duration::ZERO);
        assert_eq!(receipt.await.delivered, 100);
        eventually(|| server.hub.stats().queue_times.total() == before.queue_times.total() + 2)
            .await;
        let after = server.hub.stats();
        assert_eq!((after.queued, after.queue_age), (0, Duration::ZERO));
        assert!(after.queue_times.sum > before.queue_times.sum);
        drop(crowd);
    });
}
