//! Whether messages have left for their clients.

use futures_util::FutureExt;
use tieline::{
    CloseReason, Config, Connection, Delivery, Hub, SlowConsumer, TrackedReceipt, WriteOutcome,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::coop::unconstrained,
};

use crate::kit::{Raw, Server, eventually, run, run_threads};

const OUTBOX: usize = 1024 * 1024;
const FRAME: usize = 16 * 1024;

fn config(slow_consumer: SlowConsumer) -> Config {
    Config {
        outbox_bytes: OUTBOX,
        message_size: OUTBOX - 1,
        slow_consumer,
        ..Config::default()
    }
}

/// A numbered message of `FRAME` bytes.
fn numbered(n: usize) -> String {
    format!("{n:0FRAME$}")
}

/// Sends numbered messages until some wait.
async fn fill(connection: &Connection) -> Vec<TrackedReceipt> {
    let mut receipts = Vec::new();
    while connection.queued().0 < 10 {
        let mut receipt = connection.emit_tracked(numbered(receipts.len()));
        assert_eq!(receipt.delivery().await, Delivery::Delivered);
        receipts.push(receipt);
        tokio::task::yield_now().await;
    }
    receipts
}

/// How many have left, which come before all others.
fn written(receipts: &mut [TrackedReceipt]) -> usize {
    // Without the budget of a task, which so many receipts exhaust.
    let outcomes = receipts
        .iter_mut()
        .map(|receipt| unconstrained(receipt.written()).now_or_never());
    let outcomes: Vec<_> = outcomes.collect();
    let count = outcomes.iter().filter(|it| it.is_some()).count();
    let (left, waiting) = outcomes.split_at(count);
    assert!(left.iter().all(|it| *it == Some(WriteOutcome::Written)));
    assert!(waiting.iter().all(Option::is_none));
    count
}

/// What a client reads that has not read before, while `left` says how many messages may have left.
async fn read_all<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Raw<S>,
    receipts: &mut [TrackedReceipt],
    connection: &Connection,
    is_exact: bool,
) {
    let sent = receipts.len();
    assert_eq!(receipts[sent - 1].written().now_or_never(), None);
    for n in 0..sent {
        let (waiting, left) = (connection.queued().0, written(receipts));
        assert!(left <= sent - waiting, "{left} of {sent}, {waiting} wait");
        if is_exact {
            assert_eq!(left, sent - waiting);
        }
        assert_eq!(client.text().await, numbered(n));
    }
    for receipt in receipts {
        assert_eq!(receipt.written().await, WriteOutcome::Written);
    }
}

#[test]
fn a_message_has_left_when_the_client_has_read_what_was_before_it() {
    run(async {
        let server = Server::start(config(SlowConsumer::Disconnect)).await;
        let mut client = server.narrow("id=a").await;
        let connection = server.connection("a");
        let mut receipts = fill(&connection).await;
        read_all(&mut client, &mut receipts, &connection, true).await;
    });
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_it_has_left_when_the_socket_has_taken_what_was_encrypted() {
    use crate::kit::Secure;
    run(async {
        let server = Secure::start(config(SlowConsumer::Disconnect)).await;
        let mut client = server.narrow("id=a").await;
        let connection = server.node.hub().connection("a").unwrap();
        let mut receipts = fill(&connection).await;
        read_all(&mut client, &mut receipts, &connection, false).await;
        // And at once, if the client reads.
        let mut receipt = connection.emit_tracked("short");
        assert_eq!(receipt.written().await, WriteOutcome::Written);
        assert_eq!(client.text().await, "short");
        let mut receipts = fill(&connection).await;
        drop(client);
        assert_lost(&mut receipts).await;
    });
}

/// Some have left, the others are lost.
async fn assert_lost(receipts: &mut [TrackedReceipt]) {
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(receipt.written().await);
    }
    let left = outcomes.partition_point(|it| it.is_written());
    assert!(left < outcomes.len());
    let lost = |outcome: &WriteOutcome| *outcome == WriteOutcome::Lost;
    assert!(outcomes[left..].iter().all(lost), "{outcomes:?}");
}

#[test]
fn what_waits_when_the_client_dies_is_lost() {
    run(async {
        let server = Server::start(config(SlowConsumer::Disconnect)).await;
        let client = server.narrow("id=a").await;
        let mut receipts = fill(&server.connection("a")).await;
        client.reset();
        assert_lost(&mut receipts).await;
        server.empty().await;
        let mut late = server.hub.emit_tracked("a", "late");
        let offline = WriteOutcome::NotDelivered(Delivery::Offline);
        assert_eq!(late.written().await, offline);
        assert_eq!(late.delivery().await, Delivery::Offline);
    });
}

#[test]
fn what_waits_for_a_slow_consumer_that_is_closed_is_lost_and_what_was_refused_is_not_delivered() {
    run(async {
        let server = Server::start(config(SlowConsumer::Disconnect)).await;
        let _client = server.narrow("id=a").await;
        let mut receipts = fill(&server.connection("a")).await;
        loop {
            let mut receipt = server.hub.emit_tracked("a", numbered(0));
            if receipt.delivery().await == Delivery::Refused {
                let refused = WriteOutcome::NotDelivered(Delivery::Refused);
                assert_eq!(receipt.written().await, refused);
                break;
            }
            receipts.push(receipt);
        }
        assert_lost(&mut receipts).await;
        assert_eq!(server.log.end_of("a").await, CloseReason::SlowConsumer);
    });
}

#[test]
fn a_client_gets_what_has_left_and_nothing_that_was_discarded() {
    run(async {
        let server = Server::start(config(SlowConsumer::DropOldest)).await;
        let mut client = server.narrow("id=a").await;
        let mut receipts = fill(&server.connection("a")).await;
        while receipts.len() < 2 * (6 * 1024 * 1024 + OUTBOX) / FRAME {
            let receipt = server.hub.emit_tracked("a", numbered(receipts.len()));
            receipts.push(receipt);
            tokio::task::yield_now().await;
        }
        let last = receipts.len() - 1;
        let (mut received, mut next) = (Vec::new(), None);
        while next != Some(last) {
            let n = client.text().await.parse().unwrap();
            received.push(n);
            next = Some(n);
        }
        assert!(received.len() < receipts.len(), "some were discarded");
        for (n, receipt) in receipts.iter_mut().enumerate() {
            let expected = if received.binary_search(&n).is_ok() {
                WriteOutcome::Written
            } else {
                WriteOutcome::Discarded
            };
            assert_eq!(receipt.written().await, expected, "{n}");
        }
    });
}

/// Sends in each way that there is, and returns the outcomes.
async fn send_all_ways(hub: &Hub, connection: &Connection) -> Vec<WriteOutcome> {
    let mut receipts = vec![
        hub.emit_tracked("a", "1"),
        connection.emit_tracked("2"),
        connection.send_tracked("3").await.unwrap(),
    ];
    let mut outcomes = Vec::new();
    for receipt in &mut receipts {
        assert_eq!(receipt.delivery().await, Delivery::Delivered);
        outcomes.push(receipt.written().await);
    }
    outcomes
}

#[test]
fn each_way_to_send_to_one_client_tells() {
    run(async {
        for compression in [None, Some(tieline::Deflate::default())] {
            let server = Server::start(Config {
                compression,
                ..Config::default()
            })
            .await;
            let mut client = server.raw("id=a&quiet=1").await;
            let connection = server.connection("a");
            let outcomes = send_all_ways(&server.hub, &connection).await;
            assert_eq!(outcomes, [WriteOutcome::Written; 3]);
            for n in 1..=3 {
                assert_eq!(client.text().await, n.to_string());
            }
            // A shared frame is tracked for one of its receivers.
            let frame = tieline::Frame::text("shared");
            drop(connection.emit(frame.clone()));
            let mut receipt = connection.emit_tracked(frame.clone());
            drop(connection.emit(frame));
            assert_eq!(receipt.written().await, WriteOutcome::Written);
            connection.close(crate::kit::close_frame(1000));
            let closed = connection.send_tracked("4").await;
            assert!(closed.is_err());
        }
    });
}

#[test]
fn it_leaves_with_the_cork_and_behind_broadcasts() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut crowd = server.crowd("c", 100, "quiet=1").await;
        let mut corked = {
            let _cork = server.hub.cork();
            let mut receipt = server.hub.emit_tracked("c0", "corked");
            let delivery = receipt.delivery().now_or_never();
            assert_eq!(delivery, Some(Delivery::Delivered));
            assert_eq!(receipt.written().now_or_never(), None);
            receipt
        };
        let outcome = corked.written().now_or_never();
        assert_eq!(outcome, Some(WriteOutcome::Written));
        drop(server.hub.broadcast("all"));
        let mut behind = server.hub.emit_tracked("c0", "behind");
        assert_eq!(behind.written().now_or_never(), None);
        assert_eq!(behind.written().await, WriteOutcome::Written);
        for text in ["corked", "all", "behind"] {
            assert_eq!(crowd[0].text().await, text);
        }
    });
}

#[test]
fn whoever_sends_when_a_message_has_left_does_not_meet_a_lock() {
    run_threads(2, async {
        const MESSAGES: usize = 2_000;
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let (first, second) = (server.connection("a"), server.connection("a"));
        let send = async |connection: Connection| {
            for n in 0..MESSAGES {
                let mut receipt = connection.send_tracked(n.to_string()).await.unwrap();
                assert_eq!(receipt.written().await, WriteOutcome::Written);
            }
        };
        let reading = tokio::spawn(async move {
            for _ in 0..2 * MESSAGES {
                client.text().await;
            }
            client
        });
        tokio::join!(send(first), send(second));
        let client = reading.await.unwrap();
        drop(client);
        eventually(|| server.hub.is_empty()).await;
    });
}
