//! Clients that do not read, and the policies for them.

use tieline::{CloseReason, Config, Delivery, Hub, SlowConsumer};

use super::millis;
use crate::kit::{Raw, Server, raw::CLOSE, run};

/// More than the kernel holds for a socket with a narrow receive window: 4 MiB to send, and some.
const KERNEL: usize = 6 * 1024 * 1024;

const OUTBOX: usize = 1024 * 1024;

const FRAME: usize = 16 * 1024;

fn config(slow_consumer: SlowConsumer) -> Config {
    Config {
        outbox_bytes: OUTBOX,
        message_size: OUTBOX - 1,
        slow_consumer,
        close_timeout: millis(300),
        ..Config::default()
    }
}

/// A numbered message of `FRAME` bytes.
fn numbered(n: usize) -> String {
    format!("{n:0FRAME$}")
}

/// Sends until a frame is refused, and returns how many were taken.
async fn fill(hub: &Hub, id: &str) -> usize {
    let mut delivered = 0;
    loop {
        match hub.emit(id, numbered(delivered)).await {
            Delivery::Delivered => delivered += 1,
            Delivery::Refused => break,
            other => panic!("{other}"),
        }
        assert!(delivered * FRAME < KERNEL + OUTBOX, "no bound");
        tokio::task::yield_now().await;
    }
    assert!(delivered * FRAME > OUTBOX / 2, "refused too early");
    delivered
}

#[test]
fn disconnect_closes_a_client_that_does_not_read_with_1013() {
    run(async {
        let server = Server::start(config(SlowConsumer::Disconnect)).await;
        let mut slow = server.narrow("id=a").await;
        let mut neighbour = server.raw("id=b").await;
        let delivered = fill(&server.hub, "a").await;
        assert_eq!(server.hub.emit("a", "more").await, Delivery::Offline);
        assert_eq!(server.log.end_of("a").await, CloseReason::SlowConsumer);
        server.hub.emit("b", "well");
        assert_eq!(neighbour.text().await, "well");

        // What had left before is complete and in order; what waited is gone.
        let mut received = 0;
        while let Some(frame) = slow.frame().await {
            if frame.opcode == CLOSE {
                assert_eq!(frame.payload[..2], 1013_u16.to_be_bytes());
                continue;
            }
            assert_eq!(frame.payload, numbered(received).into_bytes());
            received += 1;
        }
        assert!(received < delivered);
        server.assert_unharmed().await;
    });
}

#[test]
fn a_slow_client_that_reads_after_all_learns_of_1013() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(10_000),
            ..config(SlowConsumer::Disconnect)
        })
        .await;
        let mut slow = server.narrow("id=a").await;
        fill(&server.hub, "a").await;
        let code = loop {
            let frame = slow.frame().await.unwrap();
            if frame.opcode == CLOSE {
                break u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
            }
        };
        assert_eq!(code, 1013);
        slow.send_close(1013).await;
        slow.end().await;
        server.empty().await;
    });
}

#[test]
fn drop_newest_keeps_a_client_that_does_not_read_and_what_was_delivered() {
    run(async {
        let server = Server::start(config(SlowConsumer::DropNewest)).await;
        let mut slow = server.narrow("id=a").await;
        let mut delivered = fill(&server.hub, "a").await;
        // The kernels still move a few bytes, and the socket is tried each time.
        let mut refused = 0;
        while refused < 1000 {
            if server
                .hub
                .emit("a", numbered(delivered))
                .await
                .is_delivered()
            {
                (delivered, refused) = (delivered + 1, 0);
            } else {
                refused += 1;
            }
        }
        assert_eq!(server.hub.broadcast(numbered(0)).await.refused, 1);
        for n in 0..delivered {
            assert_eq!(slow.text().await, numbered(n));
        }
        assert_eq!(
            server.hub.emit("a", "room again").await,
            Delivery::Delivered
        );
        assert_eq!(slow.text().await, "room again");
        assert!(server.log.disconnects("a").is_empty());
    });
}

#[test]
fn drop_oldest_keeps_a_client_that_does_not_read_and_the_newest() {
    run(async {
        let server = Server::start(config(SlowConsumer::DropOldest)).await;
        let mut slow = server.narrow("id=a").await;
        let sent = 2 * (KERNEL + OUTBOX) / FRAME;
        for n in 0..sent {
            assert_eq!(server.hub.emit("a", numbered(n)).await, Delivery::Delivered);
            tokio::task::yield_now().await;
        }
        let received = read_numbers(&mut slow, sent - 1).await;
        assert!(received.is_sorted_by(|a, b| a < b), "in order, none twice");
        assert!(received.len() < sent, "memory is bounded");
        let newest = OUTBOX / FRAME - 2;
        let kept: Vec<_> = (sent - newest..sent).collect();
        assert_eq!(received[received.len() - newest..], kept);
        server.hub.emit("a", "up to date");
        assert_eq!(slow.text().await, "up to date");
    });
}

async fn read_numbers(slow: &mut Raw, last: usize) -> Vec<usize> {
    let mut received = Vec::new();
    while received.last() != Some(&last) {
        let text = slow.text().await;
        assert_eq!(text.len(), FRAME);
        received.push(text.parse().unwrap());
    }
    received
}

#[test]
fn slow_readers_do_not_affect_others() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            ..config(SlowConsumer::Disconnect)
        })
        .await;
        let mut crowd = server.crowd("c", 40, "quiet=1").await;
        let _slow = server.narrow("id=slow").await;
        let mut sent = 0;
        while server.log.disconnects("slow").is_empty() {
            server.hub.broadcast(numbered(sent)).await;
            for client in &mut crowd {
                assert_eq!(client.text().await, numbered(sent));
            }
            sent += 1;
            assert!(sent * FRAME < 2 * (KERNEL + OUTBOX), "no bound");
        }
        assert_eq!(server.log.end_of("slow").await, CloseReason::SlowConsumer);
        assert_eq!(server.hub.broadcast("end").await.delivered, 40);
    });
}
