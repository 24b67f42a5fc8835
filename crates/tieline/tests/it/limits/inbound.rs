//! Limits on what a client sends.

use std::time::Duration;

use tieline::{
    Accept, ClientId, CloseReason, Config, ConfigError, Connection, Delivery, Excess,
    ExcessVerdict, Handler, Hub, Inbound, Message, Node,
};

use crate::kit::{
    Raw, Server, What, close_frame, eventually,
    raw::{PING, PONG, TEXT, frame, frame_with},
    run, serve,
};

fn limited(inbound: Inbound) -> Config {
    Config {
        inbound,
        ..Config::default()
    }
}

/// One message a second, after one at once.
fn one_a_second(excess: Excess) -> Config {
    limited(Inbound {
        messages: Some(1),
        excess,
        ..Inbound::default()
    })
}

#[test]
fn a_client_that_sends_too_fast_is_slowed_down_and_loses_nothing() {
    run(async {
        let config = limited(Inbound {
            messages: Some(100),
            burst: Duration::from_millis(100),
            ..Inbound::default()
        });
        let server = Server::start(config).await;
        let mut client = server.raw("id=a").await;
        let begun = tokio::time::Instant::now();
        for i in 0..60 {
            client.send_text(&i.to_string()).await;
        }
        for i in 0..60 {
            assert_eq!(client.text().await, i.to_string());
        }
        // Ten at once, and 50 at 100 a second; the clock of the runtime counts milliseconds.
        assert!(begun.elapsed() >= Duration::from_millis(490));
        assert!(server.hub.online("a"));
    });
}

#[test]
fn bytes_are_limited_too_those_of_a_message_that_is_not_complete_included() {
    run(async {
        let config = limited(Inbound {
            bytes: Some(200_000),
            burst: Duration::from_millis(100),
            ..Inbound::default()
        });
        let server = Server::start(config).await;
        let mut client = server.raw("id=a").await;
        let begun = tokio::time::Instant::now();
        let text = "x".repeat(60_000);
        for _ in 0..2 {
            client.send_text(&text).await;
        }
        for _ in 0..2 {
            assert_eq!(client.text().await, text);
        }
        assert!(begun.elapsed() >= Duration::from_millis(490));
        // Pings are bytes.
        let pings = frame(PING, &[b'x'; 125]).repeat(800);
        let begun = tokio::time::Instant::now();
        client.write(&pings).await;
        client.send_text("last").await;
        while client.frame().await.unwrap().opcode == PONG {}
        assert!(begun.elapsed() >= Duration::from_millis(390));
    });
}

#[test]
fn a_client_that_waits_still_receives_and_a_close_does_not_wait_for_it() {
    run(async {
        let server = Server::start(one_a_second(Excess::SlowDown)).await;
        let mut client = server.raw("id=a").await;
        // They would take more time than this test has.
        client.write(&frame(TEXT, b"x").repeat(100)).await;
        assert_eq!(client.text().await, "x");
        assert_eq!(server.hub.emit("a", "hello").await, Delivery::Delivered);
        while client.text().await != "hello" {}
        server.connection("a").close(close_frame(4000));
        let (_, code) = client.texts_until_closed().await;
        assert_eq!(code, 4000);
        client.send_close(4000).await;
        client.end().await;
        server.empty().await;
        let handled = server.log.messages("a").len();
        assert!(handled < 30, "{handled} in less than 20 s");
    });
}

#[test]
fn the_end_is_never_too_much() {
    run(async {
        for excess in [Excess::SlowDown, Excess::Close, Excess::Ask] {
            let config = Config {
                // A close that is not noticed lasts for longer than this test may.
                close_timeout: Duration::from_mins(1),
                drain_timeout: Duration::from_mins(2),
                message_size: 100,
                message_timeout: Duration::from_mins(10),
                ..limited(Inbound {
                    bytes: Some(1),
                    excess,
                    ..Inbound::default()
                })
            };
            let server = Server::start(config).await;
            let mut leaving = server.raw("id=a").await;
            leaving.send_close(1000).await;
            assert_eq!(leaving.closed().await, 1000);
            leaving.end().await;
            let mut faulty = server.raw("id=b").await;
            faulty
                .write(&frame_with(0x80 | 0x10 | TEXT, b"reserved"))
                .await;
            assert_eq!(faulty.closed().await, 1002);
            drop(faulty);
            server.empty().await;
            let events = server.log.of("b");
            assert!(
                events.iter().any(|what| matches!(what, What::Error(_))),
                "{events:?}"
            );
        }
    });
}

#[test]
fn a_client_that_leaves_is_not_waited_for() {
    run(async {
        for reset in [false, true] {
            let server = Server::start(one_a_second(Excess::SlowDown)).await;
            let mut client = server.raw("id=a&quiet=1").await;
            // They would take more time than this test has.
            client.write(&frame(TEXT, b"x").repeat(1000)).await;
            server.log.heard("a").await;
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            server.empty().await;
            assert!(matches!(
                server.log.disconnects("a")[..],
                [CloseReason::Lost(_)]
            ));
        }
    });
}

#[test]
fn a_client_that_sends_too_fast_can_be_closed() {
    run(async {
        let server = Server::start(limited(Inbound {
            messages: Some(10),
            excess: Excess::Close,
            ..Inbound::default()
        }))
        .await;
        let mut client = server.raw("id=a").await;
        let mut neighbour = server.raw("id=b").await;
        client.write(&frame(TEXT, b"x").repeat(1000)).await;
        let (texts, code) = client.texts_until_closed().await;
        assert_eq!(code, 1008);
        assert!(texts.len() >= 10 && texts.len() < 1000, "{}", texts.len());
        client.send_close(1008).await;
        client.end().await;
        neighbour.send_text("well").await;
        assert_eq!(neighbour.text().await, "well");
        eventually(|| !server.log.disconnects("a").is_empty()).await;
        assert_eq!(server.log.disconnects("a"), [CloseReason::TooFast]);
    });
}

/// Does what the message says if it is too much.
struct Judge;

impl Handler for Judge {
    type State = u32;

    async fn on_message(&self, connection: &Connection, _: &mut u32, message: Message) {
        connection.emit(message);
    }

    async fn on_excess(
        &self,
        connection: &Connection,
        asked: &mut u32,
        message: &Message,
    ) -> ExcessVerdict {
        *asked += 1;
        match message.as_text().unwrap() {
            "deliver" => ExcessVerdict::Deliver,
            "drop" => ExcessVerdict::Drop,
            "slow down" => ExcessVerdict::SlowDown,
            "panic" => panic!("on purpose"),
            _ => {
                connection.emit(format!("asked {asked} times"));
                ExcessVerdict::Close(close_frame(4003))
            }
        }
    }
}

#[test]
fn the_handler_decides_about_each_message_that_is_too_much() {
    run(async {
        let node = Node::new(Hub::new(one_a_second(Excess::Ask)).unwrap(), Judge);
        let authorize = |request: tieline::UpgradeRequest| async move {
            let id = ClientId::new(request.query("id").unwrap()).unwrap();
            Ok(Accept::new(0).id(id))
        };
        let address = serve(node, authorize).await;
        let send = async |id: &str, texts: &[&str]| {
            let (mut client, _) = Raw::open(address, &format!("/?id={id}"), "").await;
            let frames: Vec<u8> = texts
                .iter()
                .flat_map(|text| frame(TEXT, text.as_bytes()))
                .collect();
            client.write(&frames).await;
            client.texts_until_closed().await
        };
        let texts = ["first", "deliver", "drop", "deliver", "close", "deliver"];
        let (received, code) = send("a", &texts).await;
        assert_eq!(received, ["first", "deliver", "deliver", "asked 4 times"]);
        assert_eq!(code, 4003);
        // Slowed down until a message is within the limit again.
        let (received, code) = send("b", &["first", "slow down", "panic"]).await;
        assert_eq!(received, ["first", "slow down"]);
        assert_eq!(code, 1011);
    });
}

#[test]
fn a_rate_that_the_largest_message_cannot_keep_is_refused() {
    let with = |bytes| {
        limited(Inbound {
            bytes: Some(bytes),
            ..Inbound::default()
        })
    };
    // 1 MiB within 30 s.
    assert!(with(34_953).validate().is_ok());
    let error = with(34_952).validate().unwrap_err();
    assert!(matches!(
        error,
        ConfigError::TooSmall {
            name: "inbound.bytes",
            ..
        }
    ));
    assert_eq!(with(0).validate(), Err(ConfigError::Zero("inbound.bytes")));
}
