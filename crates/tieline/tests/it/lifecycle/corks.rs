//! What an application holds back, so that it leaves together.

use tieline::{Config, Delivery, Hub};

use crate::kit::{Server, run, run_threads};

/// Frames that wait for a client.
fn waiting(hub: &Hub, id: &str) -> usize {
    hub.connection(id).unwrap().queued().0
}

/// Sends sixteen numbers, to the id and to the group in turn.
fn send_numbers(hub: &Hub) {
    for n in 0..16 {
        let text = n.to_string();
        if n % 2 == 0 {
            drop(hub.emit("a", text));
        } else {
            drop(hub.emit_group("g", text));
        }
    }
}

#[test]
fn what_is_sent_in_a_cork_leaves_when_it_is_dropped() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&groups=g&quiet=1").await;
        let hub = &server.hub;
        drop(hub.emit("a", "before"));
        assert_eq!(waiting(hub, "a"), 0);
        {
            let _cork = hub.cork();
            send_numbers(hub);
            // One inside it does nothing.
            drop(hub.cork());
            assert_eq!(waiting(hub, "a"), 16);
        }
        assert_eq!(waiting(hub, "a"), 0);
        assert_eq!(client.text().await, "before");
        for n in 0..16 {
            assert_eq!(client.text().await, n.to_string());
        }
        drop(hub.emit("a", "after"));
        assert_eq!(waiting(hub, "a"), 0);
        assert_eq!(client.text().await, "after");
    });
}

#[test]
fn a_task_and_a_thread_can_cork() {
    run_threads(2, async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&groups=g&quiet=1").await;
        let hub = server.hub.clone();
        let publish = move || {
            let cork = hub.cork();
            send_numbers(&hub);
            let held = waiting(&hub, "a");
            drop(cork);
            (held, waiting(&hub, "a"))
        };
        let in_task = tokio::spawn({
            let publish = publish.clone();
            async move { publish() }
        });
        assert_eq!(in_task.await.unwrap(), (16, 0));
        let in_thread = tokio::task::spawn_blocking(publish);
        assert_eq!(in_thread.await.unwrap(), (16, 0));
        for n in (0..16).chain(0..16) {
            assert_eq!(client.text().await, n.to_string());
        }
    });
}

#[test]
fn a_flush_writes_what_a_cork_holds_back() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        let (hub, connection) = (&server.hub, server.connection("a"));
        {
            let _cork = hub.cork();
            drop(connection.emit("now"));
            assert_eq!(connection.queued().0, 1);
            connection.flush();
            assert_eq!(connection.queued(), (0, 0));
            drop(connection.emit("then"));
            assert_eq!(connection.queued().0, 1);
        }
        assert_eq!(client.text().await, "now");
        assert_eq!(client.text().await, "then");
        connection.flush();
    });
}

#[test]
fn a_cork_holds_back_half_an_outbox_at_most() {
    run(async {
        let server = Server::start(Config {
            outbox_frames: 64,
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a&quiet=1").await;
        {
            let _cork = server.hub.cork();
            for n in 0..100 {
                let outcome = server.hub.emit("a", n.to_string()).try_outcome();
                assert_eq!(outcome, Some(Delivery::Delivered));
                assert!(waiting(&server.hub, "a") < 32);
            }
        }
        for n in 0..100 {
            assert_eq!(client.text().await, n.to_string());
        }
    });
}
