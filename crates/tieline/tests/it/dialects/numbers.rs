//! Numbers for each receiver, before what all of them share.

use tieline::{Config, Deflate, Delivery, Note, SlowConsumer};

use super::inflated;
use crate::kit::{Raw, Server, dialects::dialects, eventually, run};

async fn server(config: Config) -> Server {
    Server::in_dialects(config, dialects().0).await
}

fn one_shard() -> Config {
    Config {
        shards: Some(1),
        ..Config::default()
    }
}

fn numbered(n: usize, text: &str) -> String {
    format!(r#"{{"n":{n},"text":"{text}"}}"#)
}

#[test]
fn each_receiver_has_numbers_of_its_own_whatever_sends() {
    run(async {
        let server = server(one_shard()).await;
        let query = "groups=g&user=u&dialect=numbered&quiet";
        let mut many = server.crowd("many", 40, query).await;
        let query = "groups=few&user=few&dialect=numbered&quiet";
        let mut few = server.crowd("few", 2, query).await;
        let hub = &server.hub;
        let connection = server.connection("few0");
        assert_eq!(hub.emit("few0", Note::text("a")).await, Delivery::Delivered);
        assert_eq!(connection.emit(Note::text("b")).await, Delivery::Delivered);
        assert_eq!(connection.send(Note::text("c")).await, Ok(()));
        // A few receivers, and many.
        hub.emit_group("few", Note::text("d")).await;
        hub.emit_group("g", Note::text("e")).await;
        // What is not for the dialect, and what is no note, takes no number.
        assert_eq!(hub.broadcast(Note::text("- no")).await.delivered, 0);
        assert_eq!(
            hub.emit("few0", Note::text("- no")).await,
            Delivery::Refused
        );
        assert_eq!(hub.broadcast("frame").await.delivered, 42);
        hub.broadcast(Note::text("f")).await;

        for (n, text) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            assert_eq!(few[0].text().await, numbered(n, text));
        }
        assert_eq!(few[1].text().await, numbered(1, "d"));
        for client in &mut many {
            assert_eq!(client.text().await, numbered(1, "e"));
        }
        for (client, n) in few.iter_mut().zip([5, 2]) {
            assert_eq!(client.text().await, "frame");
            assert_eq!(client.text().await, numbered(n, "f"));
        }
        for client in &mut many {
            assert_eq!(client.text().await, "frame");
            assert_eq!(client.text().await, numbered(2, "f"));
        }
    });
}

/// A batch is written in one piece to those who can take it, and message by message to others.
#[test]
fn numbers_follow_the_order_of_a_batch() {
    run(async {
        let server = server(one_shard()).await;
        let query = "groups=g&dialect=numbered&quiet";
        let mut many = server.crowd("many", 40, query).await;
        let mut narrow = server.narrow(query).await;
        // More than the sockets of the narrow client hold.
        let long = "x".repeat(10_000);
        let mut receipts = Vec::new();
        for round in 0..100 {
            receipts.push(server.hub.emit_group("g", Note::text(&*long)));
            receipts.push(server.hub.emit_group("g", Note::text("- no")));
            receipts.push(server.hub.emit_group("g", format!("frame {round}")));
        }
        let but_one = server.hub.except(["many0"]);
        receipts.push(but_one.emit_group("g", Note::text("but one")));
        receipts.push(server.hub.emit_group("g", Note::text("last")));
        let mut delivered = 0;
        for receipt in receipts {
            delivered += receipt.await.delivered;
        }
        assert_eq!(delivered, 41 * 200 + 40 + 41);
        let expect = async |client: &mut Raw, gets_all: bool| {
            for round in 0..100 {
                assert_eq!(client.text().await, numbered(round + 1, &long));
                assert_eq!(client.text().await, format!("frame {round}"));
            }
            if gets_all {
                assert_eq!(client.text().await, numbered(101, "but one"));
            }
            let last = if gets_all { 102 } else { 101 };
            assert_eq!(client.text().await, numbered(last, "last"));
        };
        expect(&mut narrow, true).await;
        for (i, client) in many.iter_mut().enumerate() {
            expect(client, i != 0).await;
        }
        eventually(|| server.hub.stats().waiting_bytes == 0).await;
    });
}

#[test]
fn the_shared_rest_is_compressed_behind_each_number() {
    run(async {
        let config = Config {
            compression: Some(Deflate::default()),
            ..one_shard()
        };
        let server = server(config).await;
        let long = "all work and no play ".repeat(100);
        let target = "/?groups=g&dialect=numbered&quiet";
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        for crowd in [2, 40] {
            let mut clients = Vec::new();
            for _ in 0..crowd {
                clients.push(Raw::open(server.address, target, offer).await.0);
            }
            server.hub.emit_group("g", Note::text(&*long)).await;
            let twice = [(); 2].map(|()| server.hub.emit_group("g", Note::text(&*long)));
            for receipt in twice {
                assert_eq!(receipt.await.delivered, crowd);
            }
            for client in &mut clients {
                for n in 1..=3 {
                    let frame = client.data().await;
                    assert!(frame.payload.len() < 200, "{}", frame.payload.len());
                    assert_eq!(inflated(&frame), numbered(n, &long));
                }
            }
            drop(clients);
            server.empty().await;
        }
    });
}

#[test]
fn what_is_refused_takes_no_number() {
    run(async {
        let config = Config {
            slow_consumer: SlowConsumer::DropNewest,
            outbox_frames: 4,
            ..one_shard()
        };
        let server = server(config).await;
        let mut client = server.narrow("id=a&dialect=numbered&quiet").await;
        let long = "x".repeat(100_000);
        let mut delivered = 0;
        while server.hub.emit("a", Note::text(&*long)).await == Delivery::Delivered {
            delivered += 1;
        }
        for n in 1..=delivered {
            assert_eq!(client.text().await, numbered(n, &long));
        }
        let mut next = delivered;
        eventually(|| server.hub.stats().waiting_bytes == 0).await;
        for text in ["more", "and more"] {
            next += 1;
            let delivery = server.hub.emit("a", Note::text(text)).await;
            assert_eq!(delivery, Delivery::Delivered);
            assert_eq!(client.text().await, numbered(next, text));
        }
    });
}
