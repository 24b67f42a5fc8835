//! The close handshake, what still arrives before it, and the first and the final message.

use tieline::{CloseReason, Config, Delivery};

use super::close_frame;
use crate::kit::{
    Server,
    raw::{CLOSE, Raw, TEXT, frame, request},
    run, run_threads,
};

#[test]
fn what_was_emitted_before_a_close_arrives_before_it() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&groups=g&user=u").await;
        let connection = server.connection("a");
        let mut sent = Vec::new();
        for i in 0..100 {
            sent.push(i.to_string());
            match i % 4 {
                0 => drop(connection.emit(i.to_string())),
                1 => drop(server.hub.emit_group("g", i.to_string())),
                2 => drop(server.hub.emit_user("u", i.to_string())),
                _ => drop(server.hub.broadcast(i.to_string())),
            }
        }
        connection.close(close_frame(4000, ""));
        assert_eq!(connection.emit("late").await, Delivery::Offline);
        assert_eq!(client.texts_until_closed().await, (sent, 4000));
    });
}

#[test]
fn megabytes_that_were_emitted_before_a_close_arrive_before_it() {
    run(async {
        let server = Server::start(Config {
            outbox_bytes: 64 * 1024 * 1024,
            ..Config::default()
        })
        .await;
        let mut client = server.narrow("id=a").await;
        let long = "x".repeat(1024 * 1024);
        for _ in 0..20 {
            assert!(server.hub.emit("a", &long).await.is_delivered());
        }
        server.connection("a").close(close_frame(4000, ""));
        for _ in 0..20 {
            assert_eq!(client.text().await.len(), long.len());
        }
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        client.end().await;
        server.empty().await;
    });
}

/// More clients than the caller serves itself, so that the shard's worker has yet to serve them.
async fn crowd() -> (Server, Vec<Raw>) {
    let server = Server::start(Config {
        shards: Some(1),
        ..Config::default()
    })
    .await;
    let crowd = server.crowd("c", 40, "").await;
    (server, crowd)
}

#[test]
fn what_was_broadcast_to_many_before_a_close_arrives_before_it() {
    run(async {
        let (server, mut crowd) = crowd().await;
        server.hub.broadcast("goodbye");
        server.connection("c7").close(close_frame(4000, ""));
        let last = vec!["goodbye".to_owned()];
        assert_eq!(crowd[7].texts_until_closed().await, (last, 4000));
    });
}

#[test]
fn what_was_broadcast_to_many_before_the_hub_closes_arrives_before_it() {
    run(async {
        let (server, mut crowd) = crowd().await;
        server.hub.broadcast("goodbye");
        server.hub.close();
        for client in &mut crowd {
            let last = vec!["goodbye".to_owned()];
            assert_eq!(client.texts_until_closed().await, (last, 1001));
        }
    });
}

#[test]
fn what_was_broadcast_to_many_before_a_replacement_arrives_before_it() {
    run(async {
        let (server, mut crowd) = crowd().await;
        // `authorize` broadcasts, and the newer connection is registered right after it.
        let mut newer = server.raw("id=c7&authorize=broadcast").await;
        server.hub.broadcast("to the newer");
        let decision = vec!["deciding".to_owned()];
        assert_eq!(crowd[7].texts_until_closed().await, (decision, 4409));
        assert_eq!(newer.text().await, "to the newer");
        for text in ["deciding", "to the newer"] {
            assert_eq!(crowd[8].text().await, text);
        }
    });
}

#[test]
fn both_sides_may_close_at_once() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        server.connection("a").close(close_frame(4000, ""));
        client.send_close(4001).await;
        assert_eq!(client.closed().await, 4000);
        client.end().await;
        server.empty().await;
        let reason = CloseReason::Application(close_frame(4000, ""));
        assert_eq!(server.log.disconnects("a"), [reason]);
    });
}

#[test]
fn after_a_close_from_a_callback_no_message_is_handled() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let together = [
            frame(TEXT, b"!close:4000"),
            frame(TEXT, b"not handled"),
            frame(CLOSE, &4001_u16.to_be_bytes()),
        ];
        client.write(&together.concat()).await;
        assert_eq!(client.closed().await, 4000);
        client.end().await;
        server.empty().await;
        assert_eq!(server.log.messages("a").len(), 1);
    });
}

#[test]
fn after_a_close_from_on_connect_no_message_is_handled() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = Raw::over(
            tokio::net::TcpStream::connect(server.address)
                .await
                .unwrap(),
        );
        // In one segment with the request, so that all is there when `on_connect` runs.
        let mut together = request("/?id=a&connect=close:4000", "").into_bytes();
        together.extend(frame(TEXT, b"not handled"));
        together.extend(frame(CLOSE, &4001_u16.to_be_bytes()));
        client.write(&together).await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(client.closed().await, 4000);
        client.end().await;
        server.empty().await;
        assert!(server.log.messages("a").is_empty());
        let reason = CloseReason::Application(close_frame(4000, "scripted"));
        assert_eq!(server.log.disconnects("a"), [reason]);
    });
}

#[test]
fn no_message_is_handled_while_closing() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        server.connection("a").close(close_frame(4000, ""));
        assert_eq!(client.closed().await, 4000);
        client.send_text("not handled").await;
        client.send_close(4000).await;
        client.end().await;
        server.empty().await;
        assert!(server.log.messages("a").is_empty());
    });
}

#[test]
fn the_first_message_comes_before_everything_else() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut other = server.raw("id=other").await;
        for i in 0..20 {
            // Another task sends to the new client all the time.
            let target = format!("id=a{i}&first=welcome&connect=emit:connected");
            let (mut client, ()) = tokio::join!(server.raw(&target), async {
                while !server
                    .hub
                    .emit(&format!("a{i}"), "eager")
                    .await
                    .is_delivered()
                {
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(client.text().await, "welcome");
            let mut rest = [client.text().await, client.text().await];
            rest.sort_unstable();
            assert_eq!(rest, ["connected", "eager"]);
        }
        other.send_text("well").await;
        assert_eq!(other.text().await, "well");
    });
}

#[test]
fn the_last_message_comes_before_our_close_frame_and_knows_the_reason() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut closed = server.raw("id=a&final=1").await;
        server.hub.emit("a", "before");
        server.connection("a").close(close_frame(4000, ""));
        let words = ["before", "final 4000"].map(str::to_owned).to_vec();
        assert_eq!(closed.texts_until_closed().await, (words, 4000));

        let mut replaced = server.raw("id=b&final=1").await;
        let _newer = server.raw("id=b").await;
        let words = vec!["final 4409".to_owned()];
        assert_eq!(replaced.texts_until_closed().await, (words, 4409));

        let mut told = server.raw("id=e&final=1").await;
        server.connection("e").close(close_frame(4001, ""));
        assert_eq!(told.texts_until_closed().await, (Vec::new(), 4001));

        let mut broken = server.raw("id=c&final=1").await;
        broken.write(b"\x81\x02hi").await;
        let words = vec!["final 1002".to_owned()];
        assert_eq!(broken.texts_until_closed().await, (words, 1002));

        // A client that closes first gets none.
        let mut leaving = server.raw("id=d&final=1").await;
        leaving.send_close(1000).await;
        assert_eq!(leaving.closed().await, 1000);
        leaving.end().await;
    });
}

#[test]
fn however_closes_cross_a_client_sees_one_close_frame_and_nothing_after_it() {
    run_threads(4, async {
        let server = Server::start(Config::default()).await;
        for round in 0..300 {
            let id = format!("a{round}");
            let mut client = server.raw(&format!("id={id}")).await;
            let connection = server.connection(&id);
            let closing = tokio::spawn(async move {
                connection.emit("before");
                connection.close(close_frame(4000, ""));
                connection.emit("after");
            });
            client.send_text("hello").await;
            client.send_close(4001).await;
            let mut closes = 0;
            while let Some(frame) = client.frame().await {
                assert_eq!(closes, 0, "{frame:?} follows a close frame");
                closes += usize::from(frame.opcode == CLOSE);
            }
            assert_eq!(closes, 1, "round {round}");
            closing.await.unwrap();
        }
        server.empty().await;
        for round in 0..300 {
            assert_eq!(server.log.disconnects(&format!("a{round}")).len(), 1);
        }
    });
}
