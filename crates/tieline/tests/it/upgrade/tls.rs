//! TLS on the listener.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tieline::{CloseReason, Config, Delivery, SlowConsumer, Tls, TlsError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{
    Raw, Secure, eventually,
    raw::{CLOSE, PING, TEXT, frame, request},
    run,
};

#[test]
fn messages_pass_both_ways_over_tls() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        let hub = server.node.hub();
        client.send_text("hello").await;
        assert_eq!(client.text().await, "hello");
        let long = "x".repeat(1_000_000);
        client.send_text(&long).await;
        assert_eq!(client.text().await, long);
        assert_eq!(hub.emit("a", &long).await, Delivery::Delivered);
        assert_eq!(client.text().await, long);
        assert!(hub.connection("a").unwrap().remote_addr().is_some());
        for n in 0..1000 {
            hub.emit("a", n.to_string());
        }
        for n in 0..1000 {
            assert_eq!(client.text().await, n.to_string());
        }
        client.send_close(1000).await;
        assert_eq!(client.closed().await, 1000);
        client.end().await;
        eventually(|| hub.is_empty()).await;
        let disconnects = server.node.handler().log.disconnects("a");
        assert!(matches!(disconnects[..], [CloseReason::Client(Some(_))]));
    });
}

#[test]
fn many_clients_are_served_over_tls_in_order() {
    run(async {
        let server = Secure::start(Config {
            shards: Some(1),
            ..Config::default()
        })
        .await;
        let mut crowd = Vec::new();
        for i in 0..40 {
            crowd.push(server.client(&format!("id=c{i}")).await);
        }
        let hub = server.node.hub();
        for n in 0..20 {
            hub.broadcast(format!("all {n}"));
            for i in 0..40 {
                hub.emit(&format!("c{i}"), format!("one {n}"));
            }
        }
        for client in &mut crowd {
            for n in 0..20 {
                assert_eq!(client.text().await, format!("all {n}"));
                assert_eq!(client.text().await, format!("one {n}"));
            }
        }
    });
}

#[test]
fn what_comes_with_the_request_over_tls_is_not_lost() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let tcp = TcpStream::connect(server.address).await.unwrap();
        let mut client = server.secure(tcp).await;
        let mut together = request("/?id=a", "").into_bytes();
        together.extend(frame(TEXT, b"early"));
        client.write(&together).await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(client.text().await, "early");
    });
}

#[test]
fn a_close_over_tls_lets_what_was_sent_before_arrive() {
    run(async {
        let server = Secure::start(Config {
            outbox_bytes: 64 * 1024 * 1024,
            ..Config::default()
        })
        .await;
        let mut client = server.narrow("id=a").await;
        let connection = server.node.hub().connection("a").unwrap();
        let long = "x".repeat(1024 * 1024);
        for _ in 0..10 {
            assert!(connection.emit(&long).await.is_delivered());
        }
        let code = tieline::CloseCode::new(4000).unwrap();
        connection.close(tieline::CloseFrame::new(code, ""));
        for _ in 0..10 {
            assert_eq!(client.text().await.len(), long.len());
        }
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        client.end().await;
    });
}

#[test]
fn a_client_that_does_not_read_over_tls_is_bounded_too() {
    run(async {
        let server = Secure::start(Config {
            outbox_bytes: 1024 * 1024,
            message_size: 1024 * 1024 - 1,
            slow_consumer: SlowConsumer::DropNewest,
            ..Config::default()
        })
        .await;
        let mut client = server.narrow("id=a").await;
        let hub = server.node.hub();
        let text = |n: usize| format!("{n:016384}");
        let mut delivered = 0;
        while hub.emit("a", text(delivered)).await == Delivery::Delivered {
            delivered += 1;
            assert!(delivered < 1000, "no bound");
            tokio::task::yield_now().await;
        }
        assert!(delivered > 32);
        for n in 0..delivered {
            assert_eq!(client.text().await, text(n));
        }
    });
}

#[test]
fn an_outbox_near_its_bound_is_written_over_tls_before_the_policy_applies() {
    run(async {
        let server = Secure::start(Config {
            outbox_frames: 10,
            ..Config::default()
        })
        .await;
        let mut client = server.client("id=a&quiet=1").await;
        // All in one write, so that the replies are made in one poll; the client reads them.
        let burst: Vec<u8> = (0..100).flat_map(|_| frame(TEXT, b"!emit:x")).collect();
        client.write(&burst).await;
        for _ in 0..100 {
            assert_eq!(client.text().await, "x");
        }
    });
}

#[test]
fn a_tls_handshake_that_takes_too_long_is_closed() {
    run(async {
        let server = Secure::start(Config {
            handshake_timeout: Duration::from_millis(500),
            ..Config::default()
        })
        .await;
        // One client sends nothing at all, one stops after the TLS handshake.
        let silent = TcpStream::connect(server.address).await.unwrap();
        Raw::over(silent).end().await;
        let tcp = TcpStream::connect(server.address).await.unwrap();
        server.secure(tcp).await.end().await;
        let mut client = server.client("id=a").await;
        client.send_text("well").await;
        assert_eq!(client.text().await, "well");
    });
}

#[test]
fn a_connection_without_tls_is_closed() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut plain = Raw::over(TcpStream::connect(server.address).await.unwrap());
        plain.write(request("/?id=a", "").as_bytes()).await;
        // An alert may come before the end, but no response.
        let mut rest = Vec::new();
        let _ = plain.stream.read_to_end(&mut rest).await;
        assert!(rest.len() < 16, "{rest:?}");
        let mut client = server.client("id=a").await;
        client.send_text("well").await;
        assert_eq!(client.text().await, "well");
    });
}

#[test]
fn invalid_certificates_and_invalid_keys_are_different_errors() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["node.test".to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    let from = |cert: &str, key: &str| Tls::from_pem(cert.as_bytes(), key.as_bytes()).map(drop);
    assert_eq!(from(&cert, &key), Ok(()));
    assert!(matches!(from("", &key), Err(TlsError::Certificate(_))));
    assert!(matches!(from(&cert, ""), Err(TlsError::Key(_))));
    let other = generate_simple_self_signed(["other.test".to_owned()]).unwrap();
    let other = other.signing_key.serialize_pem();
    assert!(matches!(from(&cert, &other), Err(TlsError::Key(_))));
}

#[test]
fn the_outbox_drains_over_tls_while_the_handler_is_slow() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut client = server.narrow("id=a").await;
        client.send_text("!hang").await;
        server.node.handler().log.heard("a").await;
        let long = "x".repeat(500_000);
        for _ in 0..20 {
            assert!(server.node.hub().emit("a", &long).await.is_delivered());
            assert_eq!(client.text().await.len(), long.len());
        }
    });
}

#[test]
fn a_dead_peer_over_tls_is_closed_with_1011() {
    run(async {
        let server = Secure::start(Config {
            ping_interval: Duration::from_millis(150),
            ping_timeout: Duration::from_millis(150),
            close_timeout: Duration::from_millis(150),
            ..Config::default()
        })
        .await;
        let mut dead = server.client("id=a").await;
        assert_eq!(dead.closed().await, 1011, "after a ping");
        dead.end().await;
        let reason = server.node.handler().log.end_of("a").await;
        assert_eq!(reason, CloseReason::Silent);
    });
}

#[test]
fn pings_over_tls_without_reading_pile_nothing_up() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let flood = server.client("id=flood").await;
        let (mut reading, mut writing) = tokio::io::split(flood.stream);
        // 25 MB of pongs, where the kernel holds some and the outbox two.
        let (rounds, of_round) = (200, 1000);
        let pings = frame(PING, &[b'x'; 125]).repeat(of_round);
        for _ in 0..rounds {
            writing.write_all(&pings).await.unwrap();
        }
        writing
            .write_all(&frame(CLOSE, &[0x03, 0xe8]))
            .await
            .unwrap();
        // What the socket did not take waits in the client's session until then.
        writing.flush().await.unwrap();
        let mut answered = Vec::new();
        let _ = reading.read_to_end(&mut answered).await;
        let all = rounds * of_round * 127;
        assert!(
            answered.len() < all / 2,
            "{} bytes of pongs were kept",
            answered.len()
        );
    });
}

#[test]
fn one_deadline_covers_the_tls_handshake_and_the_request() {
    run(async {
        let timeout = Duration::from_secs(3);
        let server = Secure::start(Config {
            handshake_timeout: timeout,
            ..Config::default()
        })
        .await;
        let begun = std::time::Instant::now();
        let tcp = TcpStream::connect(server.address).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.secure(tcp).await.end().await;
        let elapsed = begun.elapsed();
        assert!(
            elapsed + Duration::from_millis(100) >= timeout,
            "closed after {elapsed:?}"
        );
        assert!(
            elapsed < Duration::from_millis(4800),
            "closed after {elapsed:?}"
        );
    });
}
