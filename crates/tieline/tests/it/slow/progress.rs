//! A client that takes bytes is alive, however slowly it takes them and whatever carries them.

use tieline::{Config, Delivery, Hub};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use super::millis;
#[cfg(feature = "tls")]
use crate::kit::Secure;
use crate::kit::{Raw, Server, run};

/// The time within which bytes must leave: 600 ms.
fn config() -> Config {
    Config {
        ping_interval: millis(300),
        ping_timeout: millis(300),
        outbox_bytes: 16 * 1024 * 1024,
        ..Config::default()
    }
}

const LENGTH: usize = 8 * 1024 * 1024;

/// What is read slowly: many times what the client reads within 600 ms. The rest may be in the kernel, which
/// holds up to 3 MiB of it for a socket of this machine: no process sees it go.
const SLOW: usize = 4 * 1024 * 1024;

/// What the client reads at once, and then waits.
const PIECE: usize = 16 * 1024;
const PAUSE_MS: u64 = 10;

#[test]
fn a_slow_download_over_tcp_is_not_cut() {
    run(async {
        let server = Server::start(config()).await;
        let client = server.narrow("id=a").await;
        download(&server.hub, client).await;
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_slow_download_over_tls_is_not_cut() {
    run(async {
        let server = Secure::start(config()).await;
        let client = server.narrow("id=a").await;
        download(server.node.hub(), client).await;
    });
}

/// Reads one message slowly, and sends nothing.
async fn download(hub: &Hub, mut client: Raw<impl AsyncRead + Unpin>) {
    let sent = hub.emit("a", vec![7; LENGTH]).await;
    assert_eq!(sent, Delivery::Delivered);
    let mut piece = vec![0; PIECE];
    let (mut received, begun) = (0, Instant::now());
    while received < SLOW {
        received += client.stream.read(&mut piece).await.unwrap();
        assert!(hub.online("a"), "cut after {received} bytes");
        tokio::time::sleep(millis(PAUSE_MS)).await;
    }
    assert!(begun.elapsed() > millis(2000), "not slow");
    while received < LENGTH {
        received += client.stream.read(&mut piece).await.unwrap();
    }
}
