//! Bounds of the outbox, to the frame and to the byte.
//!
//! Until its upgrade is complete a connection has no socket, so that all that is sent to it waits:
//! then the bounds can be seen exactly.

#![cfg(feature = "axum")]

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, response::Response, routing::get};
use parking_lot::Mutex;
use tieline::{Accept, CloseReason, Config, Delivery, Handler, Hub, Node, SlowConsumer, Upgrade};

use crate::kit::{Log, Probe, Raw, listen, run};

/// What is sent, and the outcome.
type Outcome = Arc<Mutex<Vec<Delivery>>>;

/// What the upgrade says about its client.
type Choose = fn(Accept<ProbeState>) -> Accept<ProbeState>;
type ProbeState = <Probe as Handler>::State;

struct Sent {
    node: Node<Probe>,
    choose: Choose,
    texts: Vec<String>,
    outcome: Outcome,
}

async fn send_before_the_upgrade(
    State(sent): State<Arc<Sent>>,
    upgrade: Upgrade,
) -> Response<String> {
    let query = [("id".into(), "a".into())].into();
    let accept = (sent.choose)(sent.node.handler().accept(query));
    let response = upgrade.accept(&sent.node, accept).await;
    for text in &sent.texts {
        let delivery = sent.node.hub().emit("a", text).await;
        sent.outcome.lock().push(delivery);
    }
    response
}

/// Sends texts of 98 bytes, 100 on the wire, to a connection that takes none yet.
async fn send(config: Config, count: usize) -> (Raw, Vec<Delivery>, Vec<String>, Log) {
    send_to(|accept| accept, config, count).await
}

/// As [`send`], to a client of which the upgrade says something.
async fn send_to(
    choose: Choose,
    config: Config,
    count: usize,
) -> (Raw, Vec<Delivery>, Vec<String>, Log) {
    let node = Node::new(Hub::new(config).unwrap(), Probe::new());
    let log = node.handler().log.clone();
    let texts: Vec<_> = (0..count).map(|i| format!("{i:098}")).collect();
    let outcome = Outcome::default();
    let sent = Sent {
        node,
        choose,
        texts: texts.clone(),
        outcome: Arc::clone(&outcome),
    };
    let address = serve(sent).await;
    let (client, answer) = Raw::open(address, "/", "").await;
    assert_eq!(answer.status, 101);
    let outcome = outcome.lock().clone();
    (client, outcome, texts, log)
}

async fn serve(sent: Sent) -> SocketAddr {
    let router = Router::new()
        .route("/", get(send_before_the_upgrade))
        .with_state(Arc::new(sent));
    let (listener, address) = listen().await;
    tokio::spawn(listener.serve(router, std::future::pending()));
    address
}

fn ten_frames(slow_consumer: SlowConsumer) -> [Config; 2] {
    let by_frames = Config {
        outbox_frames: 10,
        slow_consumer,
        ..Config::default()
    };
    let by_bytes = Config {
        outbox_bytes: 1000,
        message_size: 100,
        slow_consumer,
        ..Config::default()
    };
    [by_frames, by_bytes]
}

#[test]
fn as_much_as_allowed_waits_whatever_the_policy() {
    run(async {
        use SlowConsumer::{Disconnect, DropNewest, DropOldest};
        for policy in [Disconnect, DropNewest, DropOldest] {
            for config in ten_frames(policy) {
                let (mut client, outcome, texts, _) = send(config, 10).await;
                assert_eq!(outcome, [Delivery::Delivered; 10]);
                for text in texts {
                    assert_eq!(client.text().await, text);
                }
            }
        }
    });
}

#[test]
fn drop_newest_refuses_one_more() {
    run(async {
        for config in ten_frames(SlowConsumer::DropNewest) {
            let (mut client, outcome, texts, _) = send(config, 12).await;
            assert_eq!(outcome[..10], [Delivery::Delivered; 10]);
            assert_eq!(outcome[10..], [Delivery::Refused; 2]);
            for text in &texts[..10] {
                assert_eq!(client.text().await, *text);
            }
            // It is served otherwise.
            client.send_text("!emit:well").await;
            assert_eq!(client.text().await, "well");
        }
    });
}

#[test]
fn drop_oldest_makes_room_for_one_more() {
    run(async {
        for config in ten_frames(SlowConsumer::DropOldest) {
            let (mut client, outcome, texts, _) = send(config, 12).await;
            assert_eq!(outcome, [Delivery::Delivered; 12]);
            for text in &texts[2..] {
                assert_eq!(client.text().await, *text);
            }
            client.send_text("!emit:well").await;
            assert_eq!(client.text().await, "well");
        }
    });
}

#[test]
fn disconnect_closes_with_1013_at_one_more() {
    run(async {
        for config in ten_frames(SlowConsumer::Disconnect) {
            let (mut client, outcome, _, log) = send(config, 12).await;
            assert_eq!(outcome[..10], [Delivery::Delivered; 10]);
            assert_eq!(outcome[10..], [Delivery::Refused, Delivery::Offline]);
            assert_eq!(client.closed().await, 1013, "what waited is discarded");
            client.send_close(1013).await;
            client.end().await;
            assert_eq!(log.end_of("a").await, CloseReason::SlowConsumer);
        }
    });
}

#[test]
fn one_frame_fits_an_empty_outbox_however_long_it_is() {
    run(async {
        for [_, by_bytes] in [SlowConsumer::Disconnect, SlowConsumer::DropNewest].map(ten_frames) {
            let server = crate::kit::Server::start(by_bytes).await;
            let mut client = server.raw("id=a").await;
            let long = "x".repeat(100_000);
            assert_eq!(server.hub.emit("a", &long).await, Delivery::Delivered);
            assert_eq!(client.text().await, long);
        }
    });
}

/// What an upgrade says of its own client, and what becomes of the eleventh frame.
const OWN: [(Choose, Delivery); 3] = [
    (
        |accept| {
            accept
                .outbox_frames(10)
                .slow_consumer(SlowConsumer::DropNewest)
        },
        Delivery::Refused,
    ),
    (
        |accept| {
            accept
                .outbox_bytes(1000)
                .slow_consumer(SlowConsumer::DropOldest)
        },
        Delivery::Delivered,
    ),
    // The policy remains that of the configuration.
    (|accept| accept.outbox_bytes(1000), Delivery::Refused),
];

#[test]
fn a_client_may_have_less_than_the_configuration_and_a_policy_of_its_own() {
    run(async {
        for (choose, eleventh) in OWN {
            let (mut client, outcome, texts, _) = send_to(choose, Config::default(), 11).await;
            assert_eq!(outcome[..10], [Delivery::Delivered; 10]);
            assert_eq!(outcome[10], eleventh);
            if eleventh == Delivery::Delivered {
                assert_eq!(client.text().await, texts[1], "the oldest made room");
            }
        }
        // Others have what the configuration says.
        let (_client, outcome, ..) = send(Config::default(), 11).await;
        assert_eq!(outcome, [Delivery::Delivered; 11]);
    });
}

#[test]
fn no_client_gets_more_than_the_configuration_allows() {
    run(async {
        for config in ten_frames(SlowConsumer::DropNewest) {
            let choose: Choose = |accept| accept.outbox_frames(1_000_000).outbox_bytes(1 << 30);
            let (_client, outcome, ..) = send_to(choose, config, 11).await;
            assert_eq!(outcome[10], Delivery::Refused);
        }
    });
}
