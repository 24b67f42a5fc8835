//! The orderly end of a node.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tieline::{CloseReason, Config, Delivery};
use tokio::net::TcpStream;

use crate::kit::{
    Raw, Server, Stopwatch, eventually,
    fragments::next,
    raw::{CLOSE, request},
    run, run_threads,
};

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A quick drain: all closes at once, and a second for slow clients.
fn quick() -> Config {
    Config {
        drain_window: Duration::ZERO,
        close_timeout: millis(1000),
        drain_timeout: millis(1000),
        ..Config::default()
    }
}

/// Reads to the close frame and replies to it; returns when it came and what came before.
async fn leave(client: &mut Raw) -> (Instant, Vec<String>) {
    let (texts, code) = client.texts_until_closed().await;
    let at = Instant::now();
    assert_eq!(code, 1012);
    client.send_close(1012).await;
    client.end().await;
    (at, texts)
}

#[test]
fn closes_are_spread_over_the_window_with_jitter() {
    run(async {
        let count = 100;
        let window = millis(3000);
        let server = Server::start(Config {
            drain_window: window,
            ..Config::default()
        })
        .await;
        let mut crowd = server.crowd("c", count, "").await;
        let (begun, watch) = (Instant::now(), Stopwatch::start());
        let (drained, left) =
            tokio::join!(server.node.drain(), join_all(crowd.iter_mut().map(leave)));
        assert_eq!((drained.closed, drained.remaining), (count, 0));
        assert!(server.hub.is_empty());

        let arrival: Vec<_> = left.iter().map(|(at, _)| *at - begun).collect();
        let mut moments = arrival.clone();
        moments.sort_unstable();
        // They come no earlier than they are due, and later only by as much as the machine is busy.
        let late = watch.delayed();
        assert!(moments[0] < window / 4 + late, "the first leaves at once");
        assert!(moments[count - 1] > window * 3 / 4, "the last leaves late");
        // Each quarter of the window has about a quarter of the closes.
        for quarter in 1..=3 {
            let due = window * quarter / 4;
            let even = count * quarter as usize / 4;
            let before = |due| moments.partition_point(|at| *at < due);
            let (come, come_late) = (before(due), before(due + late));
            assert!(
                come <= even + count / 6 && come_late + count / 6 >= even,
                "{come}, and {come_late} {late:?} later, in {quarter} quarters"
            );
        }
        // Neither in the order of arrival nor at even distances.
        assert!(!arrival.is_sorted());
        let gaps = moments.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
        let uneven = gaps.filter(|gap| gap.abs_diff(window / 100) > window / 500);
        assert!(uneven.count() > count / 4, "no jitter");
        for i in 0..count {
            assert_eq!(
                server.log.disconnects(&format!("c{i}")),
                [CloseReason::Drain]
            );
        }
    });
}

#[test]
fn upgrades_are_answered_503_while_draining() {
    run(async {
        let server = Server::start(Config {
            drain_window: millis(1000),
            ..Config::default()
        })
        .await;
        let mut crowd = server.crowd("c", 10, "").await;
        assert!(server.node.is_ready());
        let asking = async {
            // The first close says that the drain has begun.
            eventually(|| !server.node.is_ready()).await;
            let answer = server.ask("id=late", "").await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.header("retry-after"), Some("1"));
        };
        let leaving = join_all(crowd.iter_mut().map(leave));
        let (drained, (), _) = tokio::join!(server.node.drain(), asking, leaving);
        assert_eq!((drained.closed, drained.remaining), (10, 0));
        assert_eq!(server.ask("id=later", "").await.status, 503);
        assert!(server.hub.is_empty());
    });
}

#[test]
fn a_decision_under_way_when_the_drain_begins_is_answered_503() {
    run(async {
        let server = Server::start(quick()).await;
        let mut raw = Raw::over(TcpStream::connect(server.address).await.unwrap());
        raw.write(request("/?id=a&authorize=wait", "").as_bytes())
            .await;
        eventually(|| server.node.handler().is_deciding()).await;
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (0, 0));
        server.open_gate(1);
        assert_eq!(raw.answer().await.status, 503);
        assert!(server.log.all().is_empty());
    });
}

#[test]
fn what_was_delivered_before_the_drain_arrives() {
    run(async {
        let server = Server::start(Config {
            outbox_bytes: 64 * 1024 * 1024,
            drain_window: millis(100),
            ..Config::default()
        })
        .await;
        let mut slow = server.narrow("id=slow").await;
        let mut quick = server.raw("id=quick").await;
        let text = |n: usize| format!("{n:060000}");
        for n in 0..200 {
            assert_eq!(server.hub.emit("slow", text(n)).await, Delivery::Delivered);
            assert_eq!(
                server.hub.emit("quick", n.to_string()).await,
                Delivery::Delivered
            );
        }
        let (drained, (_, slow), (_, quick)) =
            tokio::join!(server.node.drain(), leave(&mut slow), leave(&mut quick));
        assert_eq!((drained.closed, drained.remaining), (2, 0));
        assert!(slow.into_iter().eq((0..200).map(text)));
        assert!(quick.into_iter().eq((0..200).map(|n| n.to_string())));
    });
}

#[test]
fn what_was_broadcast_to_many_before_the_drain_arrives() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            ..quick()
        })
        .await;
        let mut crowd = server.crowd("c", 40, "").await;
        server.hub.broadcast("goodbye");
        let (drained, left) =
            tokio::join!(server.node.drain(), join_all(crowd.iter_mut().map(leave)));
        assert_eq!((drained.closed, drained.remaining), (40, 0));
        for (_, texts) in left {
            assert_eq!(texts, ["goodbye"]);
        }
    });
}

#[test]
fn a_client_that_never_replies_does_not_outlast_its_close_deadline() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(300),
            drain_timeout: millis(10_000),
            ..quick()
        })
        .await;
        let mut stuck = server.raw("id=a").await;
        let begun = Instant::now();
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert!(begun.elapsed() >= millis(300));
        assert_eq!(stuck.closed().await, 1012);
        assert_eq!(server.log.disconnects("a"), [CloseReason::Drain]);
    });
}

#[test]
fn a_handler_that_never_ends_is_dropped_at_its_close_deadline() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(300),
            drain_timeout: millis(10_000),
            ..quick()
        })
        .await;
        let mut client = server.raw("id=a").await;
        client.send_text("!hang").await;
        server.log.heard("a").await;
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert_eq!(server.log.disconnects("a"), [CloseReason::Drain]);
        assert!(server.hub.is_empty());
    });
}

#[test]
fn tasks_that_remain_at_the_deadline_are_counted() {
    run(async {
        let server = Server::start(Config {
            close_timeout: millis(1000),
            drain_timeout: millis(1500),
            ..quick()
        })
        .await;
        // Two deadlines, one for the handler and one for `on_disconnect`, last longer than the drain.
        let mut stuck = Vec::new();
        for i in 0..3 {
            let mut client = server.raw(&format!("id=s{i}&disconnect=hang")).await;
            client.send_text("!hang").await;
            server.log.heard(&format!("s{i}")).await;
            stuck.push(client);
        }
        let mut orderly = server.raw("id=a").await;
        let begun = Instant::now();
        let (drained, _) = tokio::join!(server.node.drain(), leave(&mut orderly));
        assert_eq!((drained.closed, drained.remaining), (4, 3));
        let elapsed = begun.elapsed();
        assert!(
            elapsed >= millis(1500) && elapsed < millis(5000),
            "{elapsed:?}"
        );
        // A further drain waits for the rest.
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (0, 0));
        assert!(server.hub.is_empty());
    });
}

#[test]
fn serve_ends_with_the_drain_and_frees_the_port() {
    run(async {
        let server = Server::start(quick()).await;
        let address = server.address;
        let (hub, log) = (server.hub.clone(), server.log.clone());
        let mut crowd = server.crowd("c", 5, "").await;
        // An idle HTTP connection and half a request do not delay it for long.
        let mut idle = Raw::over(TcpStream::connect(address).await.unwrap());
        assert_eq!(idle.upgrade("/?authorize=refuse", "").await.status, 418);
        let begun = Instant::now();
        let (drained, _) = tokio::join!(server.stop(), join_all(crowd.iter_mut().map(leave)));
        assert_eq!((drained.closed, drained.remaining), (5, 0));
        assert!(begun.elapsed() < millis(4000));
        assert!(hub.is_empty());
        assert_eq!(log.disconnects("c0"), [CloseReason::Drain]);
        assert!(TcpStream::connect(address).await.is_err());
        idle.end().await;
    });
}

#[test]
fn half_a_request_does_not_delay_the_end_of_a_node() {
    run(async {
        let server = Server::start(Config {
            handshake_timeout: millis(300),
            ..quick()
        })
        .await;
        let mut half = Raw::over(TcpStream::connect(server.address).await.unwrap());
        half.write(b"GET / HTTP/1.1\r\n").await;
        server.assert_unharmed().await;
        let drained = server.stop().await;
        assert_eq!(drained.remaining, 0);
        half.end().await;
    });
}

#[test]
fn upgrades_that_race_with_the_drain_are_refused_or_closed() {
    run_threads(4, async {
        for _ in 0..30 {
            let server = Server::start(quick()).await;
            let racing = (0..20).map(|i| {
                let address = server.address;
                tokio::spawn(async move {
                    let (mut raw, answer) = Raw::open(address, &format!("/?id=c{i}"), "").await;
                    match answer.status {
                        101 => drop(leave(&mut raw).await),
                        status => assert_eq!(status, 503),
                    }
                })
            });
            let racing: Vec<_> = racing.collect();
            let some = fastrand::usize(0..20);
            eventually(|| server.hub.len() >= some).await;
            let drained = server.node.drain().await;
            assert_eq!(drained.remaining, 0);
            assert!(server.hub.is_empty());
            for client in racing {
                client.await.unwrap();
            }
        }
    });
}

#[test]
fn a_message_in_pieces_ends_before_its_client_is_closed() {
    run(async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a&quiet=1").await;
        let mut bystander = server.raw("id=b").await;
        let mut message = server.connection("a").stream_text().await.unwrap();
        message.write("one, ").await.unwrap();
        let drain = tokio::spawn({
            let node = server.node.clone();
            async move { node.drain().await }
        });
        // Whoever is sent nothing does not wait for it.
        leave(&mut bystander).await;
        message.write("two").await.unwrap();
        message.finish().unwrap();
        let got = next(&mut client, &mut Vec::new()).await;
        assert_eq!(got.text(), "one, two");
        leave(&mut client).await;
        let drained = drain.await.unwrap();
        assert_eq!((drained.closed, drained.remaining), (2, 0));
    });
}

#[test]
fn a_message_that_does_not_end_is_cut_off_in_time_for_the_close() {
    run(async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            close_timeout: millis(10_000),
            drain_timeout: millis(10_500),
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a&quiet=1").await;
        let mut message = server.connection("a").stream_text().await.unwrap();
        message.write("one, ").await.unwrap();
        // By the clock: a busy machine makes it longer.
        let begun = Instant::now();
        let (drained, ()) = tokio::join!(server.node.drain(), async {
            while client.frame().await.unwrap().opcode != CLOSE {}
            client.send_close(1012).await;
            client.end().await;
        });
        assert_eq!((drained.closed, drained.remaining), (1, 0));
        assert!(begun.elapsed() >= millis(500));
        assert!(message.write("two").await.is_err());
    });
}
