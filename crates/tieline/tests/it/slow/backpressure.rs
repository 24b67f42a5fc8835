//! A client whose outbox is half full is not read from until it has read.

use std::time::Duration;

use tieline::{CloseReason, Config, Message, SlowConsumer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::OwnedReadHalf,
    task::JoinHandle,
};

use super::millis;
use crate::kit::{
    Raw, Server, What, close_frame,
    raw::{CLOSE, PING, TEXT, frame},
    run_threads,
};

/// What each client asks for, far above the bound of an outbox and what the kernels hold: 12 MiB.
const MESSAGES: usize = 768;
const LENGTH: usize = 16 * 1024;

fn text(n: usize) -> String {
    format!("{n:0LENGTH$}")
}

fn config() -> Config {
    Config {
        outbox_bytes: 1024 * 1024,
        message_size: 512 * 1024,
        ..Config::default()
    }
}

/// A client that writes all of its messages, each of which comes back, and does not read yet.
async fn flood(server: &Server, id: &str) -> (Raw<OwnedReadHalf>, JoinHandle<bool>) {
    let client = server.narrow(&format!("id={id}&forget=1")).await;
    let socket = socket2::SockRef::from(&client.stream);
    socket.set_send_buffer_size(LENGTH).unwrap();
    let (reader, mut writer) = client.split();
    let writing = tokio::spawn(async move {
        for n in 0..MESSAGES {
            let message = frame(TEXT, text(n).as_bytes());
            if writer.write_all(&message).await.is_err() {
                return false;
            }
        }
        // The writing half stays open.
        std::mem::forget(writer);
        true
    });
    (reader, writing)
}

/// Widens the receive window: a narrow one needs a turn of this thread for every few KiB.
fn widen(reader: &Raw<OwnedReadHalf>) {
    let socket = socket2::SockRef::from(reader.stream.as_ref());
    socket.set_recv_buffer_size(1024 * 1024).unwrap();
}

/// Reads for ever.
async fn read_on(reader: &mut Raw<OwnedReadHalf>) {
    let mut piece = vec![0; LENGTH];
    while reader.stream.read(&mut piece).await.unwrap() > 0 {}
}

/// Waits until the node has stopped reading: its handler hears nothing more.
async fn stalled(server: &Server, id: &str) -> usize {
    let mut before = usize::MAX;
    loop {
        tokio::time::sleep(millis(300)).await;
        let handled = server.log.of(id).len();
        if handled == before {
            return handled;
        }
        before = handled;
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_until_it_does() {
    run_threads(2, async {
        let server = Server::start(config()).await;
        let (mut reader, writing) = flood(&server, "a").await;
        stalled(&server, "a").await;
        assert!(!writing.is_finished(), "everything was read");
        assert!(server.hub.online("a"), "it was closed");
        // Others are served, and nothing is lost once it reads.
        server.assert_unharmed().await;
        widen(&reader);
        for n in 0..MESSAGES {
            assert!(reader.text().await == text(n));
        }
        assert!(writing.await.unwrap());
    });
}

#[test]
fn a_close_reaches_a_client_that_is_not_read_from() {
    run_threads(2, async {
        let server = Server::start(Config {
            close_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(30),
            ..config()
        })
        .await;
        let (mut reader, writing) = flood(&server, "a").await;
        stalled(&server, "a").await;
        server.connection("a").close(close_frame(4000));
        widen(&reader);
        let mut texts = 0;
        loop {
            let frame = reader.data().await;
            if frame.opcode == CLOSE {
                assert_eq!(frame.payload[..2], 4000_u16.to_be_bytes());
                break;
            }
            assert!(frame.payload == text(texts).into_bytes());
            texts += 1;
        }
        assert!(texts < MESSAGES);
        // What it still sends is read and ignored, so that its own close gets through.
        assert!(writing.await.unwrap());
    });
}

#[test]
fn a_client_that_waits_to_be_read_and_reads_nothing_is_closed() {
    run_threads(2, async {
        let server = Server::start(Config {
            ping_interval: millis(300),
            ping_timeout: millis(300),
            close_timeout: millis(300),
            ..config()
        })
        .await;
        let (reader, writing) = flood(&server, "a").await;
        assert_eq!(server.log.end_of("a").await, CloseReason::SlowConsumer);
        assert!(!writing.await.unwrap());
        drop(reader);
        server.empty().await;
    });
}

#[test]
fn a_client_that_reads_slowly_and_is_not_read_from_stays() {
    run_threads(2, async {
        let server = Server::start(Config {
            ping_interval: millis(300),
            ping_timeout: millis(300),
            ..config()
        })
        .await;
        let (mut reader, writing) = flood(&server, "a").await;
        for n in 0..MESSAGES / 4 {
            loop {
                let frame = reader.frame().await.expect("it was cut");
                if frame.opcode != PING {
                    assert!(frame.payload == text(n).into_bytes());
                    break;
                }
            }
            tokio::time::sleep(millis(5)).await;
        }
        assert!(server.hub.online("a"));
        writing.abort();
    });
}

#[test]
fn a_client_whose_outbox_never_drains_is_heard_as_it_reads() {
    run_threads(2, async {
        let server = Server::start(Config {
            slow_consumer: SlowConsumer::DropOldest,
            outbox_bytes: 256 * 1024,
            message_size: 128 * 1024,
            ..Config::default()
        })
        .await;
        let client = server.narrow("id=a").await;
        let (mut reader, mut writer) = client.split();
        // More than the client reads, for ever.
        let hub = server.hub.clone();
        let streaming = tokio::spawn(async move {
            loop {
                for n in 0..64 {
                    hub.emit("a", text(n));
                }
                tokio::time::sleep(millis(1)).await;
            }
        });
        while server.hub.stats().waiting_bytes < 200 * 1024 {
            tokio::task::yield_now().await;
        }
        for message in 0..3 {
            let sent = format!("request {message}");
            writer
                .write_all(&frame(TEXT, sent.as_bytes()))
                .await
                .unwrap();
            tokio::select! {
                () = server.log.until_of("a", What::Message(Message::Text(sent))) => {}
                () = read_on(&mut reader) => {}
            }
        }
        assert!(server.hub.online("a"));
        streaming.abort();
    });
}
