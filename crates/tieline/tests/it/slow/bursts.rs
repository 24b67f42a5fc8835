//! Bursts that fill an outbox while the client reads: the socket is tried before the policy strikes.

use std::io::Read;

use tieline::{Config, Delivery, SlowConsumer};

#[cfg(feature = "tls")]
use crate::kit::Secure;
use crate::kit::{Server, run};

/// More than `Config::outbox_frames`.
#[cfg(feature = "tls")]
const BURST: usize = 10_000;

#[cfg(feature = "tls")]
#[test]
fn a_burst_of_a_callback_over_tls_does_not_close_a_client_that_reads() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        client.send_text(&format!("!burst:{BURST}")).await;
        for n in 0..BURST {
            assert_eq!(client.text().await, n.to_string());
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_burst_of_another_task_over_tls_does_not_close_a_client_that_reads() {
    run(async {
        let server = Secure::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        let hub = server.node.hub();
        // The connection's task cannot run in between: there is one thread.
        for n in 0..BURST {
            let delivery = hub.emit("a", n.to_string()).try_outcome();
            assert_eq!(delivery, Some(Delivery::Delivered));
        }
        for n in 0..BURST {
            assert_eq!(client.text().await, n.to_string());
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_burst_over_tls_has_a_bound_all_the_same() {
    run(async {
        let server = Secure::start(Config {
            slow_consumer: SlowConsumer::DropNewest,
            ..Config::default()
        })
        .await;
        let _client = server.client("id=a").await;
        let mut bytes = 0;
        let frame = vec![0; 1024];
        while server
            .node
            .hub()
            .emit("a", frame.clone())
            .await
            .is_delivered()
        {
            bytes += frame.len();
        }
        let outbox = server.node.hub().config().outbox_bytes;
        assert!(bytes > outbox, "{bytes} bytes");
        assert!(bytes <= 2 * outbox, "{bytes} bytes");
    });
}

#[test]
fn a_socket_with_room_again_is_tried_before_the_policy_strikes() {
    run(async {
        let server = Server::start(Config {
            slow_consumer: SlowConsumer::DropNewest,
            outbox_bytes: 1024 * 1024,
            message_size: 1024 * 1024 - 1,
            ..Config::default()
        })
        .await;
        let client = server.narrow("id=a").await;
        let mut client = client.stream.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        // The only thread does not yield, so that no task learns that the client has read.
        let frame = vec![0; 16 * 1024];
        let emit = || server.hub.emit("a", frame.clone()).try_outcome();
        let mut delivered = 0;
        while emit() == Some(Delivery::Delivered) {
            delivered += 1;
        }
        let in_kernel = delivered * (frame.len() + 4) - server.hub.config().outbox_bytes;
        client.read_exact(&mut vec![0; in_kernel]).unwrap();
        assert_eq!(emit(), Some(Delivery::Delivered));
    });
}
