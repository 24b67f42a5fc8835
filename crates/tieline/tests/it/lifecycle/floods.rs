//! Clients that send more than is good for them.

use tieline::{Config, Deflate, Delivery, Frame};

use crate::kit::{
    Raw, Server, What,
    raw::{PING, PONG, TEXT, frame, frame_with},
    run,
};

#[test]
fn pings_of_a_client_that_does_not_read_pile_nothing_up() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut flood = server.narrow("id=flood").await;
        let mut neighbour = server.raw("id=neighbour").await;
        // 38 MB of pongs, where the kernel holds 6 MB and the outbox one pong.
        let (rounds, of_round) = (300, 1000);
        let batch = frame(PING, &[b'x'; 125]).repeat(of_round);
        for round in 0..rounds {
            flood.write(&batch).await;
            if round % 30 == 0 {
                neighbour.send_text("well").await;
                assert_eq!(neighbour.text().await, "well");
            }
        }
        // The last ping is answered; many before it are not.
        let last = [b'y'; 125];
        flood.send(PING, &last).await;
        let mut pongs = 0;
        loop {
            let pong = flood.frame().await.unwrap();
            assert_eq!(pong.opcode, PONG);
            pongs += 1;
            if pong.payload == last {
                break;
            }
        }
        assert!(pongs < rounds * of_round / 3, "{pongs} pongs were kept");
        flood.send_text("well").await;
        assert_eq!(flood.text().await, "well");
    });
}

#[test]
fn every_ping_of_a_client_that_reads_is_answered() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let pings: Vec<u8> = (0..500_u32)
            .flat_map(|n| frame(PING, &n.to_be_bytes()))
            .collect();
        client.write(&pings).await;
        for n in 0..500_u32 {
            let pong = client.frame().await.unwrap();
            assert_eq!(
                (pong.opcode, &pong.payload[..]),
                (PONG, &n.to_be_bytes()[..])
            );
        }
    });
}

#[test]
fn a_flood_of_tiny_messages_is_handled_in_order_and_leaves_room_for_others() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut flood = server.raw("id=flood&quiet=1").await;
        let mut neighbour = server.raw("id=neighbour").await;
        let count = 300_000;
        let bytes: Vec<u8> = (0..count).flat_map(|_| frame(TEXT, b"x")).collect();
        let flooding = async {
            flood.write(&bytes).await;
            flood.send_text("!handled?").await;
            assert_eq!(flood.text().await, (count + 1).to_string());
        };
        let answering = async {
            let mut answered = 0;
            for _ in 0..3 {
                neighbour.send_text("well").await;
                assert_eq!(neighbour.text().await, "well");
                answered += 1;
            }
            answered
        };
        tokio::pin!(flooding);
        let answered = tokio::select! {
            () = &mut flooding => 0,
            answered = answering => answered,
        };
        assert_eq!(answered, 3, "while the flood lasts");
        flooding.await;
    });
}

#[test]
fn a_client_that_reads_its_flood_of_replies_is_served() {
    run(async {
        let server = Server::start(Config::default()).await;
        let client = server.raw("id=a").await;
        let count = 20_000_usize;
        let (mut read, mut write) = tokio::io::split(client.stream);
        let writing = async {
            use tokio::io::AsyncWriteExt;
            for n in 0..count {
                let bytes = frame(TEXT, n.to_string().as_bytes());
                write.write_all(&bytes).await.unwrap();
            }
        };
        let reading = async {
            use tokio::io::AsyncReadExt;
            for n in 0..count {
                let text = n.to_string();
                let mut bytes = vec![0; 2 + text.len()];
                read.read_exact(&mut bytes).await.unwrap();
                assert_eq!(bytes[2..], *text.as_bytes());
            }
        };
        tokio::join!(writing, reading);
        assert!(server.hub.online("a"));
    });
}

#[test]
fn megabytes_reach_a_slow_reader_as_it_reads() {
    run(async {
        let server = Server::start(Config {
            slow_consumer: tieline::SlowConsumer::DropNewest,
            ..Config::default()
        })
        .await;
        let mut slow = server.narrow("id=slow").await;
        let message = |n: u8| vec![n; 1024 * 1024];
        let sending = async {
            for n in 0..40 {
                while server.hub.emit("slow", message(n)).await == Delivery::Refused {
                    tokio::task::yield_now().await;
                }
            }
        };
        let reading = async {
            for n in 0..40 {
                assert_eq!(slow.frame().await.unwrap().payload, message(n));
            }
        };
        tokio::join!(sending, reading);
        slow.send(TEXT, b"well").await;
        assert_eq!(slow.text().await, "well");
    });
}

#[test]
fn messages_that_inflate_a_thousandfold_leave_room_for_others() {
    run(async {
        let server = Server::start(Config {
            compression: Some(Deflate::default()),
            ..Config::default()
        })
        .await;
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let target = "/?id=bomb&quiet=1&forget=1";
        let (mut bomb, answer) = Raw::open(server.address, target, offer).await;
        assert_eq!(answer.status, 101);
        let inflated = Frame::text("a".repeat(1024 * 1024));
        let deflated = inflated.encoded(Some(&Deflate::default())).payload;
        assert!(deflated.len() < 2048, "{} bytes", deflated.len());
        let count = 8;
        let burst = frame_with(0x80 | 0x40 | TEXT, deflated).repeat(count);
        bomb.write(&burst).await;
        // This task has a turn between any two of the connection's.
        let handled = || {
            let of_bomb = server.log.of("bomb").into_iter();
            of_bomb.filter(|what| *what == What::Handled).count()
        };
        let (mut before, mut most) = (0, 0);
        while before < count {
            tokio::task::yield_now().await;
            let now = handled();
            most = most.max(now - before);
            before = now;
        }
        assert!(most <= 2, "{most} MiB were inflated in one turn");
    });
}
