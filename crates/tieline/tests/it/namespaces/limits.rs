//! What belongs to the whole node, whichever namespace its clients are in.

use std::time::Duration;

use tieline::{CloseReason, Config, SlowConsumer};

use super::PLACES;
use crate::kit::{Server, eventually, run};

#[test]
fn the_limit_of_connections_is_that_of_all_namespaces() {
    run(async {
        let config = Config {
            max_connections: Some(3),
            ..Config::default()
        };
        let server = Server::start(config).await;
        let mut clients = Vec::new();
        for place in PLACES {
            clients.push(server.client(&format!("id=ada&ns={place}")).await);
        }
        for place in PLACES {
            let query = format!("id=bob&ns={place}");
            assert_eq!(server.ask(&query, "").await.status, 503, "{place}");
        }
        // One that replaces its own is let in.
        let _ada = server.client("id=ada&ns=chat").await;
    });
}

#[test]
fn a_silent_client_is_noticed_in_every_namespace() {
    run(async {
        let config = Config {
            ping_interval: Duration::from_millis(200),
            ping_timeout: Duration::from_millis(200),
            ..Config::default()
        };
        let server = Server::start(config).await;
        let _silent = server.raw("id=ada&ns=chat&quiet").await;
        let chat = server.hub.namespace("chat").unwrap();
        let ada = chat.connection("ada").unwrap();
        assert_eq!(ada.closed().await, CloseReason::Silent);
    });
}

#[test]
fn a_slow_client_is_found_in_every_namespace_when_memory_is_short() {
    run(async {
        let config = Config {
            max_outbox_memory: Some(5 << 20),
            outbox_bytes: 4 << 20,
            slow_consumer: SlowConsumer::Disconnect,
            ..Config::default()
        };
        let server = Server::start(config).await;
        let _slower = server.narrow("id=ada&ns=chat&quiet").await;
        let _slow = server.narrow("id=bob&ns=chat&quiet").await;
        let chat = server.hub.namespace("chat").unwrap();
        let ada = chat.connection("ada").unwrap();
        drop(chat.emit("ada", "x".repeat(7 << 19)));
        drop(chat.emit("bob", "x".repeat(3 << 20)));
        assert_eq!(ada.closed().await, CloseReason::SlowConsumer);
        assert_eq!(server.hub.stats().shed, 1);
        assert!(chat.online("bob"));
    });
}

#[test]
fn a_drain_closes_the_clients_of_all_namespaces() {
    run(async {
        let config = Config {
            drain_window: Duration::from_millis(50),
            ..Config::default()
        };
        let server = Server::start(config).await;
        let mut clients = Vec::new();
        for place in PLACES {
            clients.push(server.client(&format!("id=ada&ns={place}&quiet")).await);
        }
        let hub = server.hub.clone();
        let drained = tokio::spawn(server.stop());
        for client in clients {
            assert_eq!(client.closed().await, Some(1012));
        }
        let drained = drained.await.unwrap();
        assert_eq!((drained.closed, drained.remaining), (3, 0));
        eventually(|| hub.stats().connections == 0).await;
    });
}
