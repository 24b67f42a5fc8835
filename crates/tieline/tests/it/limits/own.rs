//! Limits that an upgrade sets for its connection, or that several connections share.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tieline::{
    Accept, CloseReason, Config, Connection, Excess, ExcessVerdict, Handler, Hub, Inbound,
    InboundLimit, InboundVerdict, Message, Node, UpgradeRequest,
};
use tokio::sync::mpsc;

use crate::kit::{
    Raw, eventually,
    raw::{TEXT, frame},
    run, serve,
};

/// Repeats what it gets, and hands on why connections ended.
struct Echo(mpsc::Sender<CloseReason>);

impl Handler for Echo {
    type State = ();

    async fn on_message(&self, connection: &Connection, (): &mut (), message: Message) {
        connection.emit(message);
    }

    async fn on_excess(&self, connection: &Connection, (): &mut (), _: &Message) -> ExcessVerdict {
        connection.emit("too much");
        ExcessVerdict::Drop
    }

    async fn on_disconnect(&self, _: &Connection, (): &mut (), reason: CloseReason) {
        self.0.send(reason).await.unwrap();
    }
}

/// Lets so many messages through, of all connections together.
#[derive(Debug)]
struct Together {
    left: AtomicUsize,
    policy: Excess,
}

impl InboundLimit for Together {
    fn take(&self, messages: usize, _: usize) -> InboundVerdict {
        let take = |left: usize| left.checked_sub(messages);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        match taken {
            Ok(_) => InboundVerdict::Within,
            Err(_) => InboundVerdict::Excess {
                policy: self.policy,
                wait: Duration::from_millis(300),
            },
        }
    }
}

/// A server that accepts as `accept` says.
async fn start(
    config: Config,
    accept: impl Fn() -> Accept<()> + Clone + Send + Sync + 'static,
) -> (SocketAddr, mpsc::Receiver<CloseReason>) {
    let (sender, reasons) = mpsc::channel(16);
    let node = Node::new(Hub::new(config).unwrap(), Echo(sender));
    let authorize = move |_: UpgradeRequest| {
        let accept = accept.clone();
        async move { Ok(accept()) }
    };
    (serve(node, authorize).await, reasons)
}

async fn open(address: SocketAddr) -> Raw {
    Raw::open(address, "/", "").await.0
}

async fn together(policy: Excess) -> (SocketAddr, Weak<Together>) {
    let limit = Arc::new(Together {
        left: AtomicUsize::new(2),
        policy,
    });
    let weak = Arc::downgrade(&limit);
    let accept = move || Accept::new(()).inbound_limit(limit.clone());
    let (address, mut reasons) = start(Config::default(), accept).await;
    tokio::spawn(async move { while reasons.recv().await.is_some() {} });
    (address, weak)
}

#[test]
fn connections_that_share_a_limit_are_closed_together_and_others_are_not() {
    run(async {
        let (address, _) = together(Excess::Close).await;
        let (other, _) = together(Excess::Close).await;
        let [mut first, mut second, mut stranger] =
            [open(address).await, open(address).await, open(other).await];
        for client in [&mut first, &mut second] {
            client.send_text("within").await;
            assert_eq!(client.text().await, "within");
        }
        for client in [&mut first, &mut second] {
            client.send_text("too much").await;
            assert_eq!(client.texts_until_closed().await, (vec![], 1008));
        }
        stranger.send_text("well").await;
        assert_eq!(stranger.text().await, "well");
    });
}

#[test]
fn what_exceeds_a_shared_limit_waits_as_long_as_that_says() {
    run(async {
        let (address, _) = together(Excess::SlowDown).await;
        let mut client = open(address).await;
        let begun = tokio::time::Instant::now();
        for text in ["one", "two", "three"] {
            client.send_text(text).await;
        }
        for text in ["one", "two", "three"] {
            assert_eq!(client.text().await, text);
        }
        assert!(begun.elapsed() >= Duration::from_millis(290));
    });
}

#[test]
fn the_handler_is_asked_about_what_exceeds_a_shared_limit() {
    run(async {
        let (address, _) = together(Excess::Ask).await;
        let mut client = open(address).await;
        for _ in 0..3 {
            client.send_text("one").await;
        }
        for text in ["one", "one", "too much"] {
            assert_eq!(client.text().await, text);
        }
    });
}

#[test]
fn a_connection_drops_its_shared_limit_when_it_ends() {
    run(async {
        let limits: Arc<parking_lot::Mutex<Vec<Weak<Together>>>> = Arc::default();
        let made = limits.clone();
        let accept = move || {
            let limit = Arc::new(Together {
                left: AtomicUsize::new(9),
                policy: Excess::Close,
            });
            made.lock().push(Arc::downgrade(&limit));
            Accept::new(()).inbound_limit(limit)
        };
        let (address, mut reasons) = start(Config::default(), accept).await;
        let mut client = open(address).await;
        client.send_text("hello").await;
        assert_eq!(client.text().await, "hello");
        assert_eq!(limits.lock()[0].strong_count(), 1);
        drop(client);
        reasons.recv().await.unwrap();
        eventually(|| limits.lock()[0].strong_count() == 0).await;
    });
}

#[test]
fn an_upgrade_replaces_the_rate_of_the_configuration() {
    run(async {
        let config = Config {
            inbound: Inbound {
                messages: Some(1),
                excess: Excess::Close,
                ..Inbound::default()
            },
            ..Config::default()
        };
        let accept = || {
            Accept::new(()).inbound(Inbound {
                messages: Some(3),
                excess: Excess::Ask,
                ..Inbound::default()
            })
        };
        let (address, _reasons) = start(config, accept).await;
        let mut client = open(address).await;
        client.write(&frame(TEXT, b"one").repeat(4)).await;
        for text in ["one", "one", "one", "too much"] {
            assert_eq!(client.text().await, text);
        }
    });
}

#[test]
fn an_upgrade_lowers_the_largest_message_and_cannot_raise_it() {
    run(async {
        for (own, largest) in [(10, 10), (1000, 100)] {
            let config = Config {
                message_size: 100,
                ..Config::default()
            };
            let accept = move || Accept::new(()).message_size(own);
            let (address, mut reasons) = start(config, accept).await;
            let mut client = open(address).await;
            let text = "x".repeat(largest);
            client.send_text(&text).await;
            assert_eq!(client.text().await, text);
            client.send_text(&"x".repeat(largest + 1)).await;
            assert_eq!(client.texts_until_closed().await, (vec![], 1009));
            client.send_close(1009).await;
            client.end().await;
            let reason = reasons.recv().await.unwrap();
            assert!(matches!(reason, CloseReason::Protocol(_)), "{reason}");
        }
    });
}
