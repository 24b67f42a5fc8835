//! Callbacks: their order, their state, and whom a slow one delays.

use std::sync::Arc;

use tieline::{CloseReason, Config, Delivery, Message};

use crate::kit::{
    Server, What,
    raw::{self, Raw, TEXT},
    run, run_threads,
};

#[test]
fn callbacks_of_a_connection_come_one_after_the_other() {
    run_threads(4, async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&quiet=1").await;
        for i in 0..1000 {
            client.send_text(&i.to_string()).await;
        }
        client.send_close(1000).await;
        assert_eq!(client.closed().await, 1000);
        server.empty().await;
        let mut events = server.log.of("a").into_iter();
        assert_eq!(events.next(), Some(What::Connecting));
        assert_eq!(events.next(), Some(What::Connected));
        for i in 0..1000 {
            let message = Message::Text(i.to_string());
            assert_eq!(events.next(), Some(What::Message(message)));
            assert_eq!(events.next(), Some(What::Handled));
        }
        assert!(matches!(
            events.next(),
            Some(What::Disconnect(CloseReason::Client(_)))
        ));
        assert_eq!(events.next(), None);
    });
}

#[test]
fn a_slow_handler_delays_its_own_client_only() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut slow = server.raw("id=slow").await;
        let mut neighbour = server.raw("id=neighbour").await;
        slow.send_text("!wait").await;
        slow.send_text("after").await;
        server.log.heard("slow").await;
        for i in 0..100 {
            neighbour.send_text(&i.to_string()).await;
            assert_eq!(neighbour.text().await, i.to_string());
        }
        assert_eq!(server.log.messages("slow").len(), 1);
        server.open_gate(1);
        assert_eq!(slow.text().await, "after");
    });
}

#[test]
fn the_outbox_drains_while_the_handler_is_slow() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut slow = server.narrow("id=slow").await;
        slow.send_text("!emit:before").await;
        slow.send_text("!wait").await;
        assert_eq!(slow.text().await, "before");
        // Far more than the socket takes at once: it has to be written as the client reads.
        let long = "x".repeat(1024 * 1024);
        for _ in 0..20 {
            let mut delivery = server.hub.emit("slow", &long).await;
            while delivery != Delivery::Delivered {
                assert!(server.hub.online("slow"), "{delivery}");
                delivery = server.hub.emit("slow", &long).await;
            }
            assert_eq!(slow.text().await.len(), long.len());
        }
        assert!(!server.log.of("slow").is_empty());
        server.open_gate(1);
        slow.send_text("well").await;
        assert_eq!(slow.text().await, "well");
    });
}

#[test]
fn what_a_callback_emits_leaves_when_it_waits() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&connect=wait&first=hello").await;
        assert_eq!(client.text().await, "hello");
        server.open_gate(1);
        // Both in one write: the answer to the first does not wait for the second.
        let both = [raw::frame(TEXT, b"!emit:now"), raw::frame(TEXT, b"!hang")].concat();
        client.write(&both).await;
        assert_eq!(client.text().await, "now");
    });
}

#[test]
fn each_connection_has_its_own_state() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut a = server.raw("id=a&quiet=1").await;
        let mut b = server.raw("id=b&quiet=1").await;
        for _ in 0..3 {
            a.send_text("count me").await;
        }
        a.send_text("!handled?").await;
        b.send_text("!handled?").await;
        assert_eq!(a.text().await, "4");
        assert_eq!(b.text().await, "1");
    });
}

#[test]
fn groups_are_joined_and_left_from_a_callback() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut a = server.raw("id=a&connect=join:lobby").await;
        let mut b = server.raw("id=b").await;
        for (client, text) in [(&mut a, "!join:room"), (&mut b, "!join:room")] {
            client.send_text(text).await;
            client.send_text("done").await;
            assert_eq!(client.text().await, "done");
        }
        assert_eq!(server.hub.emit_group("lobby", "lobby").await.delivered, 1);
        assert_eq!(server.hub.emit_group("room", "room").await.delivered, 2);
        assert_eq!(a.text().await, "lobby");
        assert_eq!(a.text().await, "room");
        assert_eq!(b.text().await, "room");
        a.send_text("!leave:room").await;
        a.send_text("done").await;
        assert_eq!(a.text().await, "done");
        assert_eq!(server.hub.emit_group("room", "again").await.delivered, 1);
        assert_eq!(b.text().await, "again");
        assert_eq!(server.connection("a").groups(), [Arc::<str>::from("lobby")]);
    });
}

#[test]
fn a_handle_describes_its_connection() {
    run(async {
        let server = Server::start(Config::default()).await;
        let client = server.raw("id=a&user=u&groups=g").await;
        let _same_user = server.raw("id=b&user=u").await;
        let connection = server.connection("a");
        assert_eq!(connection.id().as_str(), "a");
        assert_eq!(connection.user(), Some("u"));
        assert_eq!(connection.groups(), [Arc::<str>::from("g")]);
        assert_eq!(
            connection.remote_addr(),
            Some(client.stream.local_addr().unwrap())
        );
        assert!(connection.is_open());
        assert_eq!(server.hub.len(), 2);
        assert_eq!(server.hub.connections().len(), 2);
        assert_eq!(server.hub.user("u").len(), 2);
        assert_eq!(server.hub.users(), [Arc::<str>::from("u")]);
        assert_eq!(server.hub.members("g"), std::slice::from_ref(&connection));
        assert!(server.hub.connection("nobody").is_none());

        drop(client);
        server.log.end_of("a").await;
        assert!(!connection.is_open());
        assert_eq!(
            connection.groups(),
            [Arc::<str>::from("g")],
            "those it was in"
        );
        assert!(connection.join("other").is_err());
        assert!(!connection.leave("g"));
        assert!(server.hub.members("g").is_empty());
        assert_eq!(server.hub.user("u").len(), 1);
    });
}

#[test]
fn a_connection_without_an_id_gets_a_unique_one() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut clients: Vec<Raw> = Vec::new();
        for _ in 0..10 {
            clients.push(server.raw("").await);
        }
        let connections = server.hub.connections();
        assert_eq!(connections.len(), 10);
        for connection in &connections {
            assert_eq!(server.connection(connection.id()), *connection);
            assert!(
                connection
                    .emit(connection.id().as_str())
                    .await
                    .is_delivered()
            );
        }
        let mut ids = Vec::new();
        for client in &mut clients {
            ids.push(client.text().await);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10);
    });
}
