//! A second connection with the same id does not corrupt the first.

use futures_util::future::join_all;
use tieline::{CloseReason, Config, Delivery, Duplicate, JoinError};

use crate::kit::{Server, What, eventually, run, run_threads};

fn rejecting() -> Config {
    Config {
        duplicate: Duplicate::Reject,
        ..Config::default()
    }
}

#[test]
fn a_newer_connection_replaces_the_older() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut older = server.raw("id=a&user=u&groups=g").await;
        let older_handle = server.connection("a");
        for i in 0..50 {
            assert!(
                server
                    .hub
                    .emit("a", format!("old {i}"))
                    .await
                    .is_delivered()
            );
        }
        let mut newer = server.raw("id=a&user=u&groups=g").await;
        for i in 0..50 {
            assert!(
                server
                    .hub
                    .emit("a", format!("new {i}"))
                    .await
                    .is_delivered()
            );
        }
        assert_eq!(server.hub.broadcast("to all").await.delivered, 1);
        assert_eq!(server.hub.emit_user("u", "to user").await.delivered, 1);
        assert_eq!(server.hub.emit_group("g", "to group").await.delivered, 1);
        assert_eq!(older_handle.emit("to the older").await, Delivery::Offline);
        assert_eq!(older_handle.join("h"), Err(JoinError::Closed));
        assert!(!older_handle.leave("g"));

        let (texts, code) = older.texts_until_closed().await;
        let sent: Vec<_> = (0..50).map(|i| format!("old {i}")).collect();
        assert_eq!((texts, code), (sent, 4409));
        for i in 0..50 {
            assert_eq!(newer.text().await, format!("new {i}"));
        }
        for text in ["to all", "to user", "to group"] {
            assert_eq!(newer.text().await, text);
        }

        // The end of the older connection removes nothing of the newer.
        older.send_close(4409).await;
        older.end().await;
        eventually(|| server.hub.len() == 1).await;
        assert!(server.hub.online("a"));
        assert_eq!(server.hub.user("u").len(), 1);
        assert_eq!(server.hub.members("g").len(), 1);
        assert_eq!(server.hub.emit("a", "still").await, Delivery::Delivered);
        assert_eq!(newer.text().await, "still");

        newer.send_close(1000).await;
        assert_eq!(newer.closed().await, 1000);
        server.empty().await;
        assert_callbacks_once(&server, older.serial, &CloseReason::Replaced);
        assert!(!server.hub.online("a"));
        assert!(server.hub.user("u").is_empty());
    });
}

fn assert_callbacks_once(server: &Server, serial: usize, reason: &CloseReason) {
    let mut of_serial = Vec::new();
    let mut others = 0;
    for event in server.log.all() {
        if event.serial == serial {
            of_serial.push(event.what);
        } else if matches!(event.what, What::Disconnect(_)) {
            others += 1;
        }
    }
    let expected = [
        What::Connecting,
        What::Connected,
        What::Disconnect(reason.clone()),
    ];
    assert_eq!(of_serial, expected);
    assert_eq!(others, 1, "the newer ended once too");
}

#[test]
fn what_the_older_sent_before_it_was_replaced_is_not_attributed_to_the_newer() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut older = server.raw("id=a").await;
        older.send_text("!wait").await;
        server.log.heard("a").await;
        // The handler of the older connection runs while the newer one connects.
        let mut newer = server.raw("id=a").await;
        newer.send_text("hello").await;
        assert_eq!(newer.text().await, "hello");
        server.open_gate(1);
        assert_eq!(older.closed().await, 4409);
        newer.send_text("!handled?").await;
        assert_eq!(newer.text().await, "2", "the newer's state is its own");
        for event in server.log.all() {
            if let What::Message(message) = event.what {
                let of_older = message.as_text() == Some("!wait");
                assert_eq!(event.serial == older.serial, of_older);
            }
        }
    });
}

#[test]
fn a_replaced_client_that_does_not_reply_does_not_keep_the_id() {
    run(async {
        let server = Server::start(Config {
            close_timeout: std::time::Duration::from_millis(200),
            ..Config::default()
        })
        .await;
        let mut crowd = Vec::new();
        for _ in 0..20 {
            crowd.push(server.raw("id=a").await);
        }
        assert_eq!(
            server.hub.emit("a", "to the newest").await,
            Delivery::Delivered
        );
        assert_eq!(crowd.last_mut().unwrap().text().await, "to the newest");
        eventually(|| server.hub.len() == 1).await;
        assert_eq!(server.log.disconnects("a"), vec![CloseReason::Replaced; 19]);
        assert!(server.hub.online("a"));
    });
}

#[test]
fn reject_refuses_the_newer_and_keeps_the_older() {
    run(async {
        let server = Server::start(rejecting()).await;
        let mut older = server.raw("id=a").await;
        let answer = server.ask("id=a", "").await;
        assert_eq!(answer.status, 409);
        assert!(answer.body.contains("already connected"), "{answer:?}");

        assert_eq!(server.hub.len(), 1);
        older.send_text("still here").await;
        assert_eq!(older.text().await, "still here");
        assert_eq!(
            server.hub.emit("a", "to the older").await,
            Delivery::Delivered
        );
        assert_eq!(older.text().await, "to the older");

        // The id is free again once the older has gone.
        older.send_close(1000).await;
        assert_eq!(older.closed().await, 1000);
        server.log.end_of("a").await;
        let mut newer = server.raw("id=a").await;
        newer.send_text("my turn").await;
        assert_eq!(newer.text().await, "my turn");
        let events = server.log.of("a").into_iter();
        let connected = events.filter(|what| *what == What::Connected).count();
        assert_eq!(connected, 2, "the refused one was no connection");
    });
}

#[test]
fn of_many_at_once_reject_accepts_one() {
    run_threads(4, async {
        let server = Server::start(rejecting()).await;
        let asks = (0..50).map(|_| crate::kit::Raw::open(server.address, "/?id=a", ""));
        let answers = join_all(asks).await;
        let of_status = |status| answers.iter().filter(|(_, a)| a.status == status).count();
        assert_eq!((of_status(101), of_status(409)), (1, 49));
        assert!(server.hub.online("a"));
        assert_eq!(server.hub.len(), 1);
    });
}

#[test]
fn of_many_at_once_replace_leaves_one() {
    run_threads(4, async {
        let server = Server::start(Config::default()).await;
        let mut crowd = join_all((0..50).map(|_| server.raw("id=a"))).await;
        let winner = server.connection("a");
        assert_eq!(winner.emit("you are it").await, Delivery::Delivered);
        let mut won = 0;
        for client in &mut crowd {
            let frame = client.data().await;
            if frame.payload == b"you are it" {
                won += 1;
            } else {
                assert_eq!(frame.payload[..2], 4409_u16.to_be_bytes());
                client.send_close(4409).await;
            }
        }
        assert_eq!(won, 1);
        eventually(|| server.hub.len() == 1).await;
        eventually(|| server.log.disconnects("a").len() == 49).await;
        assert!(winner.is_open());
    });
}

#[test]
fn with_reject_a_closing_connection_does_not_keep_the_id() {
    run(async {
        let server = Server::start(rejecting()).await;
        let mut older = server.raw("id=a").await;
        server.connection("a").close(super::close_frame(4000));
        // It has not replied, and will not for a while.
        assert_eq!(older.closed().await, 4000);
        let mut newer = server.raw("id=a").await;
        older.send_close(4000).await;
        older.end().await;
        eventually(|| server.hub.len() == 1).await;
        assert_eq!(server.hub.emit("a", "yours").await, Delivery::Delivered);
        assert_eq!(newer.text().await, "yours");
    });
}
