//! Filters: who of a scope gets a message.

use tieline::{Config, Note};

use crate::kit::{Raw, Server, dialects::dialects, run};

/// Clients of each user: few are served by the caller, many by the worker.
const CROWDS: [usize; 2] = [2, 40];

async fn server() -> Server {
    let config = Config {
        shards: Some(1),
        ..Config::default()
    };
    Server::in_dialects(config, dialects().0).await
}

async fn crowds(server: &Server, count: usize) -> [Vec<Raw>; 2] {
    let query = "user=ada&groups=g,ops&quiet";
    let ada = server.crowd("ada", count, query).await;
    let query = "user=ben&groups=g&dialect=numbered&quiet";
    [ada, server.crowd("ben", count, query).await]
}

fn numbered(n: usize, text: &str) -> String {
    format!(r#"{{"n":{n},"text":"{text}"}}"#)
}

#[test]
fn only_those_whom_the_filter_admits_are_receivers() {
    run(async {
        for count in CROWDS {
            let server = server().await;
            let [mut ada, mut ben] = crowds(&server, count).await;
            let (hub, all) = (&server.hub, count as u64);
            let reached = hub
                .matching("user ada")
                .emit_group("g", Note::text("1"))
                .await;
            let counts = (reached.delivered, reached.offline, reached.refused);
            assert_eq!(counts, (all, 0, 0));
            assert!(!reached.filter_refused);
            let reached = hub.matching("user ben").broadcast(Note::text("2")).await;
            assert_eq!(reached.delivered, all);
            let reached = hub.matching("group ops").emit_user("ada", "3").await;
            assert_eq!(reached.delivered, all);
            let reached = hub.matching("group none").broadcast("no").await;
            assert_eq!((reached.delivered, reached.offline), (0, 0));
            let but_one = hub.except(["ada0"]).matching("group g");
            let reached = but_one.broadcast(Note::text("4")).await;
            assert_eq!(reached.delivered, 2 * all - 1);

            for (i, client) in ada.iter_mut().enumerate() {
                assert_eq!(client.text().await, "1");
                assert_eq!(client.text().await, "3");
                if i > 0 {
                    assert_eq!(client.text().await, "4");
                }
            }
            for client in &mut ben {
                assert_eq!(client.text().await, numbered(1, "2"));
                assert_eq!(client.text().await, numbered(2, "4"));
            }
        }
    });
}

#[test]
fn filtered_messages_keep_their_order_among_others() {
    run(async {
        let server = server().await;
        let [mut ada, mut ben] = crowds(&server, 40).await;
        let hub = &server.hub;
        // No await in between: the worker finds all of it.
        let receipts = [
            (hub.emit_group("g", Note::text("1")), 80),
            (
                hub.matching("user ada").emit_group("g", Note::text("2")),
                40,
            ),
            (hub.matching("group g").emit_group("g", Note::text("3")), 80),
            (
                hub.matching("user ben").emit_group("g", Note::text("4")),
                40,
            ),
            (hub.emit_group("g", Note::text("5")), 80),
        ];
        for (receipt, delivered) in receipts {
            let reached = receipt.await;
            let counts = (reached.delivered, reached.offline, reached.refused);
            assert_eq!(counts, (delivered, 0, 0));
        }
        for client in &mut ada {
            for text in ["1", "2", "3", "5"] {
                assert_eq!(client.text().await, text);
            }
        }
        for client in &mut ben {
            for (n, text) in (1..).zip(["1", "3", "4", "5"]) {
                assert_eq!(client.text().await, numbered(n, text));
            }
        }
    });
}

#[test]
fn a_filter_that_cannot_be_read_reaches_nobody_and_says_so() {
    run(async {
        for count in CROWDS {
            let server = server().await;
            let [mut ada, _ben] = crowds(&server, count).await;
            for filter in ["", "nonsense", "panic"] {
                let matching = server.hub.matching(filter);
                let reached = matching.emit_group("g", "no").await;
                assert!(reached.filter_refused, "{filter}");
                assert_eq!(reached.delivered, 0, "{filter}");
            }
            // One that panics when it is asked admits nobody.
            let reached = server.hub.matching("panic later").broadcast("no").await;
            assert!(!reached.filter_refused);
            assert_eq!((reached.delivered, reached.offline), (0, 0));
            server.hub.broadcast("yes").await;
            for client in &mut ada {
                assert_eq!(client.text().await, "yes");
            }
        }
    });
}

#[test]
fn without_a_language_every_filter_is_refused() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("user=ada&quiet").await;
        let reached = server.hub.matching("user ada").broadcast("no").await;
        assert!(reached.filter_refused);
        server.hub.broadcast("yes").await;
        assert_eq!(client.text().await, "yes");
    });
}
