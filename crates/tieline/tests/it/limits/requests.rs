//! Limits of connections and of upgrade requests.

use std::time::Instant;

use tieline::{Config, ConfigError, JoinError, MAX_NAME};
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::millis;
use crate::kit::{Raw, Server, eventually, listen, raw::request, run, run_threads};

/// An upgrade request whose header block, request line and blank line included, has `size` bytes.
fn request_of(size: usize) -> String {
    let bare = request("/?id=a", "X-Fill: \r\n").len();
    request(
        "/?id=a",
        &format!("X-Fill: {}\r\n", "f".repeat(size - bare)),
    )
}

async fn status_of(server: &Server, request: &str) -> u16 {
    let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
    raw.write(request.as_bytes()).await;
    raw.answer().await.status
}

#[test]
fn a_header_block_as_long_as_allowed_passes_and_one_byte_more_is_answered_431() {
    run(async {
        for limit in [8 * 1024, 16 * 1024, 20_000] {
            let server = Server::start(Config {
                header_size: limit,
                ..Config::default()
            })
            .await;
            assert_eq!(status_of(&server, &request_of(limit)).await, 101);
            assert_eq!(
                status_of(&server, &request_of(limit + 1)).await,
                431,
                "one byte over {limit}"
            );
            server.assert_unharmed().await;
        }
    });
}

#[test]
fn the_pieces_of_a_header_block_are_measured_together() {
    run(async {
        let server = Server::start(Config::default()).await;
        for (size, status) in [(16 * 1024, 101), (16 * 1024 + 1, 431)] {
            for first in [1, 10, 5000, 9000, 16_000] {
                let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
                let whole = request_of(size);
                let (head, tail) = whole.split_at(first);
                raw.write(head.as_bytes()).await;
                tokio::time::sleep(millis(10)).await;
                raw.write(tail.as_bytes()).await;
                let answered = raw.answer().await.status;
                assert_eq!(answered, status, "{size} bytes, {first} first");
                if status == 101 {
                    raw.send_close(1000).await;
                    raw.closed().await;
                }
            }
        }
    });
}

#[test]
fn a_header_block_far_over_the_limit_is_answered_431() {
    run(async {
        let server = Server::start(Config::default()).await;
        assert_eq!(status_of(&server, &request_of(64 * 1024)).await, 431);
        server.assert_unharmed().await;
    });
}

#[test]
fn as_many_header_fields_as_allowed_pass_and_one_more_is_answered_431() {
    run(async {
        let server = Server::start(Config {
            header_fields: 20,
            ..Config::default()
        })
        .await;
        let own = request("/", "").lines().count() - 2;
        let with = |fields: usize| request("/", &"X-Fill: 1\r\n".repeat(fields - own));
        assert_eq!(status_of(&server, &with(20)).await, 101);
        assert_eq!(status_of(&server, &with(21)).await, 431);
        server.assert_unharmed().await;
    });
}

#[test]
fn a_client_that_sends_nothing_is_closed_at_the_handshake_timeout() {
    run(async {
        let timeout = millis(500);
        let server = Server::start(Config {
            handshake_timeout: timeout,
            ..Config::default()
        })
        .await;
        let begun = Instant::now();
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.unwrap();
        assert!(
            begun.elapsed() >= timeout,
            "closed after {:?}",
            begun.elapsed()
        );
        server.assert_unharmed().await;
    });
}

#[test]
fn a_slow_request_does_not_outlast_the_handshake_timeout() {
    run(async {
        let timeout = millis(500);
        let server = Server::start(Config {
            handshake_timeout: timeout,
            ..Config::default()
        })
        .await;
        let begun = Instant::now();
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        let (mut read, mut write) = slow.split();
        let drip = async {
            use tokio::io::AsyncWriteExt;
            write.write_all(b"GET / HTTP/1.1\r\nX: ").await?;
            loop {
                write.write_all(b"x").await?;
                tokio::time::sleep(millis(5)).await;
            }
        };
        let mut rest = Vec::new();
        let dripped: std::io::Result<()> = tokio::select! {
            dripped = drip => dripped,
            _ = read.read_to_end(&mut rest) => Ok(()),
        };
        drop(dripped);
        let elapsed = begun.elapsed();
        assert!(
            elapsed >= timeout && elapsed < timeout * 10,
            "closed after {elapsed:?}"
        );
        server.assert_unharmed().await;
    });
}

#[test]
fn a_decision_that_takes_too_long_is_answered_503() {
    run(async {
        let server = Server::start(Config {
            decision_timeout: millis(500),
            ..Config::default()
        })
        .await;
        let answer = server.ask("id=a&authorize=hang", "").await;
        assert_eq!(answer.status, 503);
        assert!(server.hub.is_empty());
        // One that waits, but not too long, passes.
        server.open_gate(1);
        assert_eq!(server.ask("id=a&authorize=wait", "").await.status, 101);
        server.assert_unharmed().await;
    });
}

#[test]
fn as_many_connections_as_allowed_are_accepted_and_one_more_is_answered_503() {
    run(async {
        let server = Server::start(Config {
            max_connections: Some(2),
            ..Config::default()
        })
        .await;
        let mut first = server.raw("id=a").await;
        let mut second = server.raw("id=b").await;
        let answer = server.ask("id=c", "").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!server.hub.online("c"));
        for client in [&mut first, &mut second] {
            client.send_text("well").await;
            assert_eq!(client.text().await, "well");
        }
        // Every ended connection makes room for another, however it ended.
        first.send_close(1000).await;
        assert_eq!(first.closed().await, 1000);
        eventually(|| server.hub.len() == 1).await;
        let third = server.raw("id=c").await;
        assert_eq!(server.ask("id=d", "").await.status, 503);
        drop(third);
        eventually(|| server.hub.len() == 1).await;
        server.assert_unharmed().await;
    });
}

#[test]
fn refused_and_abandoned_upgrades_do_not_count() {
    run_threads(2, async {
        let server = Server::start(Config {
            max_connections: Some(3),
            ..Config::default()
        })
        .await;
        for _ in 0..50 {
            assert_eq!(server.ask("authorize=refuse", "").await.status, 418);
            let tcp = TcpStream::connect(server.address).await.unwrap();
            let mut raw = Raw::over(tcp);
            raw.write(request("/?id=a", "").as_bytes()).await;
            raw.reset();
        }
        server.empty().await;
        let _all = [
            server.raw("").await,
            server.raw("").await,
            server.raw("").await,
        ];
        assert_eq!(server.ask("", "").await.status, 503);
    });
}

#[test]
fn as_many_groups_as_allowed_are_joined_and_one_more_is_refused() {
    run(async {
        let server = Server::start(Config {
            groups_per_connection: 3,
            ..Config::default()
        })
        .await;
        assert_eq!(server.ask("groups=1,2,3,4", "").await.status, 400);
        let _client = server.raw("id=a&groups=1,2").await;
        let connection = server.connection("a");
        assert_eq!(connection.join("3"), Ok(true));
        assert_eq!(connection.join("4"), Err(JoinError::TooMany(3)));
        assert_eq!(connection.join("3"), Ok(false), "it is in it already");
        assert!(server.hub.members("4").is_empty());
        assert!(connection.leave("1"));
        assert_eq!(connection.join("4"), Ok(true));
        assert_eq!(server.hub.members("4"), std::slice::from_ref(&connection));
        assert!(server.hub.members("1").is_empty());

        assert!(connection.leave("2"));
        assert!(matches!(connection.join(""), Err(JoinError::Name(_))));
        let longest = "g".repeat(MAX_NAME);
        assert_eq!(connection.join(&longest), Ok(true));
        assert!(connection.leave(&longest));
        let longer = "g".repeat(MAX_NAME + 1);
        assert!(matches!(connection.join(&longer), Err(JoinError::Name(_))));
    });
}

#[test]
fn names_as_long_as_allowed_pass_and_one_byte_more_is_answered_400() {
    run(async {
        let server = Server::start(Config::default()).await;
        let (longest, longer) = ("n".repeat(MAX_NAME), "n".repeat(MAX_NAME + 1));
        for name in ["user", "groups"] {
            let status =
                async |value: &str| server.ask(&format!("{name}={value}"), "").await.status;
            assert_eq!(status(&longest).await, 101);
            assert_eq!(status(&longer).await, 400);
            assert_eq!(status("").await, 400);
        }
    });
}

#[test]
fn a_listener_refuses_limits_that_are_invalid() {
    run(async {
        let (listener, _) = listen().await;
        let config = Config {
            header_size: 8 * 1024 - 1,
            ..Config::default()
        };
        let error = listener.limits(&config).unwrap_err();
        let named = matches!(
            error,
            ConfigError::TooSmall {
                name: "header_size",
                ..
            }
        );
        assert!(named, "{error}");
    });
}
