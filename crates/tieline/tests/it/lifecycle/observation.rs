//! Observing one connection.

use std::time::Instant;

use tieline::{
    Config,
    Direction::{Received, Sent},
    FrameKind::{Binary, Close, Fragment, Ping, Pong, Text},
    Observation, Observed,
};

use super::close_frame;
use crate::kit::{
    Server,
    raw::{BINARY, PING, TEXT},
    run, run_threads,
};

async fn next(observation: &mut Observation) -> Observed {
    observation.recv().await.unwrap()
}

fn what(observed: &Observed) -> (tieline::Direction, tieline::FrameKind, usize, &[u8]) {
    let Observed {
        direction,
        kind,
        len,
        ..
    } = observed;
    (*direction, *kind, *len, &observed.payload)
}

#[test]
fn frames_of_both_directions_are_observed_in_order_until_the_end() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let mut observation = server.connection("a").observe(64, 4);
        let begun = Instant::now();
        client.send_text("hello").await;
        client.send(BINARY, &[7]).await;
        client.send(PING, b"are you there").await;
        for _ in 0..3 {
            client.frame().await.unwrap();
        }
        server.connection("a").close(close_frame(4000, ""));
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        let expected: [(_, _, _, &[u8]); 8] = [
            (Received, Text, 5, b"hell"),
            (Sent, Text, 5, b"hell"),
            (Received, Binary, 1, &[7]),
            (Sent, Binary, 1, &[7]),
            (Received, Ping, 13, b"are "),
            (Sent, Pong, 13, b"are "),
            (Sent, Close, 2, &[15, 160]),
            (Received, Close, 2, &[15, 160]),
        ];
        for expected in expected {
            let observed = next(&mut observation).await;
            assert_eq!(what(&observed), expected);
            assert_eq!(observed.missed, 0);
            assert_eq!(
                observed.begins_message,
                matches!(observed.kind, Text | Binary)
            );
            assert!(observed.at >= begun);
        }
        assert_eq!(observation.recv().await, None);
        assert_eq!(observation.recv().await, None);
    });
}

#[test]
fn what_an_observer_does_not_take_in_time_is_counted() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let mut behind = server.connection("a").observe(2, 0);
        let mut other = server.connection("a").observe(64, 0);
        for text in ["1", "22", "333"] {
            client.send_text(text).await;
            client.text().await;
        }
        let observed = next(&mut behind).await;
        assert_eq!((observed.len, observed.missed), (3, 4));
        assert!(observed.payload.is_empty());
        assert_eq!(next(&mut behind).await.missed, 0);
        drop(behind);
        // The other one is as before.
        for len in [1, 1, 2, 2, 3, 3] {
            assert_eq!(next(&mut other).await.len, len);
        }
        client.send_text("4444").await;
        assert_eq!(next(&mut other).await.len, 4);
    });
}

#[test]
fn broadcasts_are_observed_and_arrive_at_all() {
    run_threads(2, async {
        let server = Server::start(Config::default()).await;
        let mut crowd = server.crowd("c", 4, "groups=g").await;
        let mut observation = server.connection("c1").observe(1024, 64);
        let texts: Vec<_> = (0..100).map(|number| format!("message {number}")).collect();
        for text in &texts {
            drop(server.hub.emit_group("g", text.clone()));
        }
        for client in &mut crowd {
            for text in &texts {
                assert_eq!(client.text().await, *text);
            }
        }
        for text in &texts {
            let observed = next(&mut observation).await;
            assert_eq!(what(&observed), (Sent, Text, text.len(), text.as_bytes()));
        }
        drop(observation);
        drop(server.hub.emit_group("g", "after"));
        assert_eq!(crowd[1].text().await, "after");
    });
}

#[test]
fn pieces_of_a_message_and_what_waits_behind_them_are_observed() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let connection = server.connection("a");
        let mut observation = connection.observe(64, 0);
        let mut message = connection.stream_text().await.unwrap();
        message.write("some").await.unwrap();
        drop(connection.emit("behind"));
        message.finish().unwrap();
        client.text().await;
        for expected in [(Fragment, 4, true), (Text, 6, true), (Fragment, 0, false)] {
            let observed = next(&mut observation).await;
            let seen = (observed.kind, observed.len, observed.begins_message);
            assert_eq!(seen, expected);
        }
    });
}

#[test]
fn a_connection_that_has_ended_has_nothing_to_observe() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let connection = server.connection("a");
        client.send(TEXT, b"before").await;
        client.text().await;
        drop(client);
        server.empty().await;
        let mut ended = connection.observe(8, 8);
        assert_eq!(ended.recv().await, None);
    });
}
