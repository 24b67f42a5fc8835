//! Pings and silence.

use std::time::Instant;

use tieline::{CloseReason, Config, Delivery};
use tokio_tungstenite::tungstenite::Message;

use super::millis;
use crate::kit::{
    Server,
    raw::{PING, PONG},
    run,
};

/// For clients that must stay: a busy machine may make them late.
fn patient() -> Config {
    Config {
        ping_interval: millis(200),
        ping_timeout: millis(1000),
        ..quick()
    }
}

fn quick() -> Config {
    Config {
        ping_interval: millis(150),
        ping_timeout: millis(150),
        close_timeout: millis(150),
        ..Config::default()
    }
}

#[test]
fn a_dead_peer_is_pinged_then_closed_with_1011() {
    run(async {
        let server = Server::start(quick()).await;
        let begun = Instant::now();
        let mut dead = server.raw("id=a").await;
        let ping = dead.frame().await.unwrap();
        assert_eq!(ping.opcode, PING);
        let pinged = begun.elapsed();
        // The clock is coarse: an eighth of the interval.
        assert!(pinged >= millis(120), "pinged after {pinged:?}");
        let close = dead.frame().await.unwrap();
        assert_eq!(close.payload[..2], 1011_u16.to_be_bytes());
        let closed = begun.elapsed();
        assert!(closed >= millis(250), "closed after {closed:?}");
        dead.end().await;
        assert_eq!(server.log.end_of("a").await, CloseReason::Silent);
        server.empty().await;
        assert_eq!(server.log.disconnects("a").len(), 1);
        server.assert_unharmed().await;
    });
}

#[test]
fn a_silent_client_that_pongs_stays() {
    run(async {
        let server = Server::start(patient()).await;
        let mut silent = server.client("id=a").await;
        for _ in 0..6 {
            assert!(matches!(silent.next().await, Message::Ping(_)));
        }
        assert_eq!(
            server.hub.emit("a", "still here").await,
            Delivery::Delivered
        );
        assert_eq!(silent.text().await, "still here");
    });
}

#[test]
fn a_client_that_sends_is_not_pinged() {
    run(async {
        let server = Server::start(Config {
            ping_interval: millis(600),
            ..quick()
        })
        .await;
        let mut talker = server.raw("id=a").await;
        let begun = Instant::now();
        while begun.elapsed() < millis(1500) {
            talker.send_text("talk").await;
            let frame = talker.frame().await.unwrap();
            assert_ne!(frame.opcode, PING);
        }
    });
}

#[test]
fn an_unsolicited_pong_is_a_sign_of_life() {
    run(async {
        let server = Server::start(patient()).await;
        let mut client = server.raw("id=a").await;
        let mut dead = server.raw("id=dead").await;
        // The end of the other client shows that enough time has passed.
        let ended = tokio::select! {
            () = dead_ends(&mut dead) => true,
            () = async { loop {
                client.send(PONG, b"").await;
                tokio::time::sleep(millis(20)).await;
            } } => false,
        };
        assert!(ended);
        assert!(server.hub.online("a"));
    });
}

async fn dead_ends(dead: &mut crate::kit::Raw) {
    while dead.frame().await.is_some() {}
}

#[test]
fn a_client_is_not_dead_while_its_handler_runs() {
    run(async {
        let server = Server::start(quick()).await;
        let mut busy = server.raw("id=a").await;
        busy.send_text("!wait").await;
        // Two others come, fall silent and are closed, one after the other.
        for id in ["b", "c"] {
            let mut dead = server.raw(&format!("id={id}")).await;
            dead_ends(&mut dead).await;
            assert_eq!(server.log.end_of(id).await, CloseReason::Silent);
        }
        assert!(server.hub.online("a"));
        server.open_gate(1);
        busy.send_text("done?").await;
        assert_eq!(busy.text().await, "done?");
    });
}
