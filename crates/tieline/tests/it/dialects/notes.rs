//! Notes on one node.

use tieline::{Config, Deflate, Delivery, Message, Note, SendError};

use super::inflated;
use crate::kit::{
    Raw, Server,
    dialects::{Renders, dialects},
    raw::{BINARY, TEXT},
    run, run_threads,
};

/// Receivers of each dialect: few are served by the caller, many by the workers.
const CROWDS: [usize; 2] = [2, 40];

async fn server(config: Config) -> (Server, Renders) {
    let (dialects, renders) = dialects();
    (Server::in_dialects(config, dialects).await, renders)
}

fn with_shards(shards: usize) -> Config {
    Config {
        shards: Some(shards),
        ..Config::default()
    }
}

async fn texts(client: &mut Raw, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(client.text().await);
    }
    texts
}

#[test]
fn every_call_sends_a_note_to_each_client_in_its_dialect() {
    run(async {
        let (server, _) = server(Config::default()).await;
        let mut plain = server.raw("id=a&user=u&groups=g&quiet").await;
        let mut verbose = server
            .raw("id=b&user=u&groups=g&dialect=verbose&quiet")
            .await;
        let mut picky = server.raw("id=c&user=u&groups=g&dialect=picky&quiet").await;
        let note = |text: &str| Note::text(text).with_about("ada");
        let hub = &server.hub;
        for id in ["a", "b", "c"] {
            assert_eq!(hub.emit(id, note("1")).await, Delivery::Delivered);
            let connection = server.connection(id);
            assert_eq!(connection.emit(note("2")).await, Delivery::Delivered);
            assert_eq!(connection.send(note("2")).await, Ok(()));
        }
        assert_eq!(hub.emit_user("u", note("3")).await.delivered, 3);
        assert_eq!(hub.emit_group("g", note("4")).await.delivered, 3);
        assert_eq!(hub.broadcast(note("5")).await.delivered, 3);
        let others = hub.except(["a"]);
        assert_eq!(others.emit_user("u", note("6")).await.delivered, 2);
        assert_eq!(others.emit_group("g", note("7")).await.delivered, 2);
        assert_eq!(others.broadcast(note("8")).await.delivered, 2);
        let relayed = Note::from(Message::Text("9".into()));
        assert_eq!(hub.broadcast(relayed).await.delivered, 3);

        assert_eq!(
            texts(&mut plain, 7).await,
            ["1", "2", "2", "3", "4", "5", "9"]
        );
        let line = |origin: &str, n| format!("{origin}|ada|text|{n}");
        let expected = [
            line("server", 1),
            line("server", 2),
            line("server", 2),
            line("user u", 3),
            line("group g", 4),
            line("everyone", 5),
            line("user u", 6),
            line("group g", 7),
            line("everyone", 8),
            "everyone||text|9".into(),
        ];
        assert_eq!(texts(&mut verbose, 10).await, expected);
        let digits = ["1", "2", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(texts(&mut picky, 10).await, digits);
    });
}

#[test]
fn a_frame_reaches_clients_of_every_dialect_as_it_is() {
    run(async {
        let (server, renders) = server(Config::default()).await;
        let mut clients = Vec::new();
        for query in ["quiet", "dialect=verbose&quiet", "dialect=picky&quiet"] {
            clients.push(server.raw(query).await);
        }
        assert_eq!(server.hub.broadcast("as it is").await.delivered, 3);
        for client in &mut clients {
            assert_eq!(client.text().await, "as it is");
        }
        assert_eq!(renders.counts(), (0, 0));
    });
}

#[test]
fn plain_clients_get_the_data_of_every_kind() {
    run(async {
        let (server, _) = server(Config::default()).await;
        let mut client = server.raw("id=a&quiet").await;
        for (note, opcode) in [
            (Note::text("x"), TEXT),
            (Note::binary("x"), BINARY),
            (Note::other(7, "x"), BINARY),
        ] {
            assert_eq!(server.hub.emit("a", note).await, Delivery::Delivered);
            let frame = client.data().await;
            assert_eq!((frame.opcode, &*frame.payload), (opcode, &b"x"[..]));
        }
    });
}

#[test]
fn a_note_is_rendered_once_for_each_dialect_that_has_receivers() {
    run_threads(2, async {
        let (server, renders) = server(with_shards(4)).await;
        let (mut plain, mut all) = (Vec::new(), 0);
        for crowd in CROWDS {
            let prefix = format!("plain{crowd}-");
            plain.extend(server.crowd(&prefix, crowd, "groups=g&quiet").await);
            all += crowd;
            let note = Note::text("to plain clients alone");
            assert_eq!(server.hub.emit_group("g", note).await.delivered, all as u64);
            assert_eq!(renders.counts(), (0, 0), "nobody else is there");
        }
        let (mut verbose, mut picky) = (Vec::new(), Vec::new());
        for (round, crowd) in (1..).zip(CROWDS) {
            let query = "groups=g&dialect=verbose&quiet";
            let prefix = format!("verbose{crowd}-");
            verbose.extend(server.crowd(&prefix, crowd, query).await);
            let query = "groups=g&dialect=picky&quiet";
            let prefix = format!("picky{crowd}-");
            picky.extend(server.crowd(&prefix, crowd, query).await);
            all += 2 * crowd;
            let note = Note::text(format!("round {round}"));
            assert_eq!(server.hub.emit_group("g", note).await.delivered, all as u64);
            assert_eq!(renders.counts(), (round, round));
            for client in &mut verbose {
                let expected = format!("group g||text|round {round}");
                assert_eq!(client.text().await, expected);
            }
            for client in &mut picky {
                assert_eq!(client.text().await, format!("ROUND {round}"));
            }
        }
    });
}

#[test]
fn whom_a_dialect_leaves_out_is_no_receiver() {
    run(async {
        for crowd in CROWDS {
            let (server, _) = server(with_shards(2)).await;
            let mut plain = server.crowd("plain", crowd, "groups=g&quiet").await;
            let query = "groups=g&dialect=picky&quiet";
            let mut picky = server.crowd("picky", crowd, query).await;
            let reached = server.hub.emit_group("g", Note::text("- no")).await;
            let counts = (reached.delivered, reached.offline, reached.refused);
            assert_eq!(counts, (crowd as u64, 0, 0));
            let delivery = server.hub.emit("picky0", Note::binary("no")).await;
            assert_eq!(delivery, Delivery::Refused);
            let delivery = server.connection("picky0").emit(Note::text("- no")).await;
            assert_eq!(delivery, Delivery::Refused);
            let sent = server.connection("picky0").send(Note::text("- no")).await;
            assert_eq!(sent, Err(SendError::Refused));
            let reached = server.hub.emit_group("g", Note::text("yes")).await;
            assert_eq!(reached.delivered, 2 * crowd as u64);
            for client in &mut plain {
                assert_eq!(texts(client, 2).await, ["- no", "yes"]);
            }
            for client in &mut picky {
                assert_eq!(client.text().await, "YES");
            }
        }
    });
}

#[test]
fn a_dialect_that_panics_harms_its_note_only() {
    run(async {
        for crowd in CROWDS {
            let (server, _) = server(with_shards(2)).await;
            let mut plain = server.crowd("plain", crowd, "groups=g&quiet").await;
            let query = "groups=g&dialect=picky&quiet";
            let mut picky = server.crowd("picky", crowd, query).await;
            let reached = server.hub.emit_group("g", Note::text("panic")).await;
            assert_eq!((reached.delivered, reached.refused), (crowd as u64, 0));
            let delivery = server.hub.emit("picky0", Note::text("panic")).await;
            assert_eq!(delivery, Delivery::Refused);
            let reached = server.hub.emit_group("g", Note::text("on")).await;
            assert_eq!(reached.delivered, 2 * crowd as u64);
            for client in &mut plain {
                assert_eq!(texts(client, 2).await, ["panic", "on"]);
            }
            for client in &mut picky {
                assert_eq!(client.text().await, "ON");
            }
            server.assert_unharmed().await;
        }
    });
}

/// What is sent in one go is joined for each dialect; who is left out of some of it, leaves or joins
/// meanwhile gets the rest one by one.
#[test]
fn a_burst_of_notes_and_frames_arrives_in_order_in_every_dialect() {
    run(async {
        let (server, _) = server(with_shards(1)).await;
        let mut plain = server.crowd("plain", 40, "groups=g&quiet").await;
        let query = "groups=g&dialect=verbose&quiet";
        let mut verbose = server.crowd("verbose", 40, query).await;
        let query = "groups=g&dialect=picky&quiet";
        let mut picky = server.crowd("picky", 40, query).await;
        let mut late = server.raw("id=late&dialect=verbose&quiet").await;
        let hub = &server.hub;
        // No await in between: the worker finds all of it.
        let mut receipts = vec![
            (hub.emit_group("g", Note::text("one")), 120),
            (hub.emit_group("g", Note::text("- two")), 80),
            (hub.emit_group("g", "three"), 120),
        ];
        let but_one = hub.except(["plain0", "picky0"]);
        receipts.push((but_one.emit_group("g", Note::text("four")), 118));
        assert!(server.connection("late").join("g").unwrap());
        receipts.push((hub.emit_group("g", Note::text("five")), 121));
        let single = hub.emit("picky1", Note::text("six"));
        for (receipt, delivered) in receipts {
            let reached = receipt.await;
            let counts = (reached.delivered, reached.offline, reached.refused);
            assert_eq!(counts, (delivered, 0, 0));
        }
        assert_eq!(single.await, Delivery::Delivered);

        let all = ["one", "- two", "three", "four", "five"];
        let but_four = ["one", "- two", "three", "five"];
        assert_eq!(texts(&mut plain[0], 4).await, but_four);
        for client in &mut plain[1..] {
            assert_eq!(texts(client, 5).await, all);
        }
        let line = |text: &str| match text {
            "three" => text.to_owned(),
            text => format!("group g||text|{text}"),
        };
        for client in &mut verbose {
            assert_eq!(texts(client, 5).await, all.map(line));
        }
        assert_eq!(late.text().await, line("five"));
        assert_eq!(texts(&mut picky[0], 3).await, ["ONE", "three", "FIVE"]);
        assert_eq!(
            texts(&mut picky[1], 5).await,
            ["ONE", "three", "FOUR", "FIVE", "SIX"]
        );
        for client in &mut picky[2..] {
            let expected = ["ONE", "three", "FOUR", "FIVE"];
            assert_eq!(texts(client, 4).await, expected);
        }
    });
}

#[test]
fn what_was_rendered_is_compressed_for_those_who_take_that() {
    run(async {
        let config = Config {
            compression: Some(Deflate::default()),
            ..with_shards(2)
        };
        let (server, renders) = server(config).await;
        let long = "all work and no play ".repeat(100);
        for crowd in CROWDS {
            let query = "dialect=verbose&quiet";
            let mut bare = server.crowd(&format!("bare{crowd}-"), crowd, query).await;
            let mut deflating = Vec::new();
            for _ in 0..crowd {
                let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
                let opened = Raw::open(server.address, "/?dialect=verbose&quiet", offer);
                deflating.push(opened.await.0);
            }
            let before = renders.counts().0;
            server.hub.broadcast(Note::text(&*long)).await;
            assert_eq!(renders.counts().0, before + 1);
            let expected = format!("everyone||text|{long}");
            for client in &mut bare {
                assert_eq!(client.text().await, expected);
            }
            for client in &mut deflating {
                assert_eq!(inflated(&client.data().await), expected);
            }
            drop((bare, deflating));
            server.empty().await;
        }
    });
}

#[test]
fn a_dialect_that_the_hub_lacks_is_refused() {
    run(async {
        let (server, _) = server(Config::default()).await;
        let answer = server.ask("dialect=unknown", "").await;
        assert_eq!(answer.status, 500, "{answer:?}");
        server.assert_unharmed().await;
    });
}
