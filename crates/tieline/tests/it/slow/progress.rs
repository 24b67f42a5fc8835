//! A client that takes bytes is alive, however slowly it takes them and whatever carries them.

use std::time::Duration;

use tieline::{Config, Delivery, Hub};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use super::millis;
#[cfg(feature = "tls")]
use crate::kit::Secure;
use crate::kit::{Raw, Server, run_threads};

/// The time within which bytes must leave: 2 s.
fn config() -> Config {
    Config {
        ping_interval: millis(1000),
        ping_timeout: millis(1000),
        outbox_bytes: 16 * 1024 * 1024,
        ..Config::default()
    }
}

const LENGTH: usize = 8 * 1024 * 1024;

/// How long the client reads: 4 KiB every 10 ms, so that more is left than the kernel holds for a socket,
/// which is up to 3 MiB here. No process sees that go.
const TIME: Duration = Duration::from_secs(8);
const PIECE: usize = 4 * 1024;
const PAUSE: Duration = millis(10);

#[test]
fn a_slow_download_over_tcp_is_not_cut() {
    run_threads(1, async {
        let server = Server::start(config()).await;
        let client = server.narrow("id=a").await;
        download(&server.hub, client).await;
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_slow_download_over_tls_is_not_cut() {
    run_threads(1, async {
        let server = Secure::start(config()).await;
        let client = server.narrow("id=a").await;
        download(server.node.hub(), client).await;
    });
}

/// Reads a part of one message slowly, and sends nothing.
async fn download(hub: &Hub, mut client: Raw<impl AsyncRead + Unpin>) {
    let sent = hub.emit("a", vec![7; LENGTH]).await;
    assert_eq!(sent, Delivery::Delivered);
    let mut piece = vec![0; PIECE];
    let (mut received, begun) = (0, Instant::now());
    while begun.elapsed() < TIME {
        received += client.stream.read(&mut piece).await.unwrap();
        assert!(hub.online("a"), "cut after {received} bytes");
        tokio::time::sleep(PAUSE).await;
    }
}
