//! Sends that wait for room in the outbox.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use tieline::{CloseReason, Config, Connection, Delivery, Frame, SendError};
use tokio::{io::AsyncRead, task::JoinHandle};

use super::millis;
#[cfg(feature = "tls")]
use crate::kit::Secure;
use crate::kit::{Raw, Server, close_frame, eventually, run, run_threads};

const OUTBOX: usize = 1024 * 1024;

/// More than the kernels hold for a client with a narrow window, in frames of this many bytes: 8 MiB.
const FRAMES: usize = 512;
const LENGTH: usize = 16 * 1024;

fn config() -> Config {
    Config {
        outbox_bytes: OUTBOX,
        message_size: OUTBOX / 2,
        close_timeout: millis(300),
        ..Config::default()
    }
}

/// A frame that says who sent it, and the how many-th it is.
fn labelled(sender: usize, n: usize) -> Frame {
    let mut bytes = vec![b' '; LENGTH];
    let label = format!("{sender} {n} ");
    bytes[..label.len()].copy_from_slice(label.as_bytes());
    Frame::text(String::from_utf8(bytes).unwrap())
}

/// The label of the next frame.
async fn next_label(client: &mut Raw<impl AsyncRead + Unpin>) -> (usize, usize) {
    let text = client.text().await;
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

fn widen(client: &Raw) {
    let socket = socket2::SockRef::from(&client.stream);
    socket.set_recv_buffer_size(1024 * 1024).unwrap();
}

/// Sends frames as fast as they are taken; how many that were.
fn stream(connection: Connection, sender: usize, count: usize) -> JoinHandle<usize> {
    tokio::spawn(async move {
        for n in 0..count {
            if connection.send(labelled(sender, n)).await.is_err() {
                return n;
            }
        }
        count
    })
}

/// Waits until half of the outbox is in use.
async fn half_full(connection: &Connection) {
    eventually(|| connection.queued().1 >= OUTBOX / 2).await;
}

/// A client that has read nothing, and whose outbox is half full of frames with the label 0.
async fn stalled(server: &Server) -> (Raw, Connection, JoinHandle<usize>) {
    let client = server.narrow("id=a&quiet=1").await;
    let connection = server.connection("a");
    let streaming = stream(connection.clone(), 0, FRAMES);
    half_full(&connection).await;
    (client, connection, streaming)
}

#[test]
fn a_replay_of_100_mib_to_a_slow_client_takes_half_an_outbox_and_cuts_nobody() {
    const REPLAYED: usize = 100 * 1024 * 1024 / LENGTH;
    run_threads(2, async {
        let server = Server::start(config()).await;
        let mut client = server.narrow("id=a").await;
        let connection = server.connection("a");
        let streaming = stream(connection.clone(), 0, REPLAYED);
        half_full(&connection).await;
        // The other half is for those who do not wait.
        assert_eq!(connection.emit("urgent").await, Delivery::Delivered);
        widen(&client);
        let mut received = 0;
        while received < REPLAYED {
            let text = client.text().await;
            if text != "urgent" {
                assert!(text.starts_with(&format!("0 {received} ")));
                received += 1;
            }
            let (frames, bytes) = connection.queued();
            assert!(bytes < OUTBOX / 2 + 2 * LENGTH, "{bytes} bytes wait");
            assert!(frames <= OUTBOX / 2 / LENGTH + 2, "{frames} frames wait");
        }
        assert_eq!(streaming.await.unwrap(), REPLAYED);
        assert!(server.log.disconnects("a").is_empty());
        assert_eq!(server.hub.stats().slow_consumers, 0);
        eventually(|| connection.queued() == (0, 0)).await;
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_replay_over_tls_waits_too() {
    run_threads(2, async {
        let server = Secure::start(config()).await;
        let mut client = server.narrow("id=a").await;
        let connection = server.node.hub().connection("a").unwrap();
        let streaming = stream(connection.clone(), 0, FRAMES);
        half_full(&connection).await;
        for n in 0..FRAMES {
            assert_eq!(next_label(&mut client).await, (0, n));
        }
        assert_eq!(streaming.await.unwrap(), FRAMES);
        connection.ready().await.unwrap();
    });
}

#[test]
fn all_who_wait_for_one_client_make_progress_and_each_keeps_its_order() {
    const SENDERS: usize = 40;
    run(async {
        let server = Server::start(config()).await;
        let (mut client, connection, first) = stalled(&server).await;
        let others: Vec<_> = (1..SENDERS)
            .map(|sender| stream(connection.clone(), sender, 10))
            .collect();
        widen(&client);
        let mut next = [0; SENDERS];
        let total = FRAMES + (SENDERS - 1) * 10;
        let mut last_of_others = 0;
        for at in 0..total {
            let (sender, n) = next_label(&mut client).await;
            assert_eq!(n, next[sender], "of {sender}");
            next[sender] += 1;
            if sender > 0 {
                last_of_others = at;
            }
        }
        // They took turns with the one that was there before.
        let first_alone = total - last_of_others - 1;
        assert!(first_alone > 10, "{first_alone}");
        assert_eq!(first.await.unwrap(), FRAMES);
        for other in others {
            assert_eq!(other.await.unwrap(), 10);
        }
    });
}

#[test]
fn a_wait_that_is_dropped_sends_nothing_and_holds_up_nobody() {
    run(async {
        let server = Server::start(config()).await;
        let (mut client, connection, streaming) = stalled(&server).await;
        streaming.abort();
        assert!(streaming.await.unwrap_err().is_cancelled());
        let mut context = Context::from_waker(Waker::noop());
        let mut last = tokio::spawn({
            let connection = connection.clone();
            async move { connection.send(labelled(9, 9)).await }
        });
        {
            let mut first = pin!(connection.send(labelled(1, 0)));
            let mut second = Box::pin(connection.send(labelled(2, 0)));
            let mut third = pin!(connection.ready());
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert!(third.as_mut().poll(&mut context).is_pending());
            // Whose turn comes, but who never looks again, is dropped, and so is one in the middle.
            tokio::select! {
                _ = &mut last => panic!("there is no room"),
                () = tokio::time::sleep(millis(20)) => {}
            }
            drop(second);
            widen(&client);
            while connection.queued().1 >= OUTBOX / 2 {
                next_label(&mut client).await;
            }
        }
        loop {
            match next_label(&mut client).await {
                (0, _) => {}
                other => {
                    assert_eq!(other, (9, 9));
                    break;
                }
            }
        }
        assert_eq!(last.await.unwrap(), Ok(()));
        assert_eq!(connection.ready().await, Ok(()));
    });
}

#[test]
fn a_wait_that_is_kept_and_not_polled_holds_up_nobody() {
    run(async {
        let server = Server::start(config()).await;
        let (mut client, connection, streaming) = stalled(&server).await;
        streaming.abort();
        assert!(streaming.await.unwrap_err().is_cancelled());
        let mut context = Context::from_waker(Waker::noop());
        let mut kept = pin!(connection.send(labelled(1, 0)));
        assert!(kept.as_mut().poll(&mut context).is_pending());
        let others = [2, 3].map(|sender| stream(connection.clone(), sender, 10));
        widen(&client);
        let mut next = [0; 4];
        while next[2] < 10 || next[3] < 10 {
            let (sender, n) = next_label(&mut client).await;
            assert_ne!(sender, 1);
            assert!(sender == 0 || n == next[sender]);
            next[sender] = n + 1;
        }
        for other in others {
            assert_eq!(other.await.unwrap(), 10);
        }
        // It can still be sent.
        assert_eq!(kept.await, Ok(()));
        assert_eq!(next_label(&mut client).await, (1, 0));
    });
}

/// Tries to send each of many frames, for a moment; which of them were sent. Then sends one more.
async fn send_impatiently(connection: Connection, sender: usize, count: usize) -> Vec<usize> {
    let mut sent = Vec::new();
    for n in 0..count {
        let patience = millis(fastrand::u64(0..3));
        let sending = connection.send(labelled(sender, n));
        if let Ok(result) = tokio::time::timeout(patience, sending).await {
            result.unwrap();
            sent.push(n);
        }
    }
    connection.send(labelled(sender, count)).await.unwrap();
    sent.push(count);
    sent
}

#[test]
fn waits_that_are_dropped_at_random_lose_and_repeat_nothing() {
    const SENDERS: usize = 8;
    const EACH: usize = 300;
    run_threads(3, async {
        let server = Server::start(Config {
            outbox_frames: 4,
            ..config()
        })
        .await;
        let mut client = server.narrow("id=a").await;
        let connection = server.connection("a");
        let sending: Vec<_> = (0..SENDERS)
            .map(|sender| tokio::spawn(send_impatiently(connection.clone(), sender, EACH)))
            .collect();
        widen(&client);
        let mut received = vec![Vec::new(); SENDERS];
        let mut ended = 0;
        while ended < SENDERS {
            let (sender, n) = next_label(&mut client).await;
            received[sender].push(n);
            ended += usize::from(n == EACH);
        }
        for (sending, received) in sending.into_iter().zip(received) {
            assert_eq!(sending.await.unwrap(), received);
        }
        assert_eq!(connection.ready().await, Ok(()));
    });
}

#[test]
fn a_close_ends_every_wait() {
    run(async {
        let server = Server::start(config()).await;
        let (client, connection, streaming) = stalled(&server).await;
        let waiting: Vec<_> = (1..5)
            .map(|sender| stream(connection.clone(), sender, 1))
            .collect();
        let ready = tokio::spawn({
            let connection = connection.clone();
            async move { connection.ready().await }
        });
        tokio::task::yield_now().await;
        connection.close(close_frame(4000));
        assert!(streaming.await.unwrap() < FRAMES);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), 0);
        }
        assert_eq!(ready.await.unwrap(), Err(SendError::Closed));
        assert_eq!(connection.send("late").await, Err(SendError::Closed));
        assert_eq!(connection.ready().await, Err(SendError::Closed));
        drop(client);
        server.empty().await;
        assert_eq!(connection.send("later").await, Err(SendError::Closed));
    });
}

#[test]
fn a_reset_ends_a_wait() {
    run(async {
        let server = Server::start(config()).await;
        let (client, _, streaming) = stalled(&server).await;
        client.reset();
        assert!(streaming.await.unwrap() < FRAMES);
        server.empty().await;
    });
}

#[test]
fn a_callback_that_waits_for_a_client_that_takes_nothing_ends_as_a_slow_consumer() {
    run(async {
        let server = Server::start(Config {
            ping_interval: millis(300),
            ping_timeout: millis(300),
            ..config()
        })
        .await;
        let mut slow = server
            .narrow(&format!("id=a&connect=stream:{FRAMES}"))
            .await;
        assert_eq!(server.log.end_of("a").await, CloseReason::SlowConsumer);
        server.empty().await;
        while slow.frame().await.is_some() {}
        // One that reads in time gets everything.
        let mut client = server.raw(&format!("id=b&connect=stream:{FRAMES}")).await;
        for n in 0..FRAMES {
            let text = client.text().await;
            assert!(text.starts_with(&format!("{n} ")));
        }
        assert!(server.hub.online("b"));
    });
}

#[test]
fn a_send_keeps_its_place_behind_what_was_sent_to_all() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            ..config()
        })
        .await;
        // So many that broadcasts wait for the worker of their shard.
        let mut clients = server.crowd("c", 40, "quiet=1").await;
        let connection = server.connection("c0");
        let expected = (0..300).map(|n| n.to_string());
        for n in (0..300).step_by(3) {
            drop(server.hub.broadcast(n.to_string()));
            connection.send((n + 1).to_string()).await.unwrap();
            drop(connection.emit((n + 2).to_string()));
        }
        for text in expected {
            assert_eq!(clients[0].text().await, text);
        }
    });
}
