//! Several tasks send at once: each client sees what each of them sent it exactly once, in the order of
//! that task's calls, while other connections come and go.

use fastrand::Rng;
use futures_util::future::join_all;
use tieline::{Config, Hub};

use super::{clients::Reader, seed};
use crate::kit::{Server, run_threads};

const CLIENTS: usize = 200;
const DRIVERS: usize = 4;
const MESSAGES: usize = 400;

/// What each client should receive from one driver.
type Due = Vec<Vec<String>>;

#[test]
fn each_drivers_messages_arrive_once_and_in_order_with_one_shard() {
    check(1);
}

#[test]
fn each_drivers_messages_arrive_once_and_in_order_with_four_shards() {
    check(4);
}

fn check(shards: usize) {
    let mut rng = Rng::with_seed(seed());
    run_threads(4, async {
        let server = Server::start(Config {
            shards: Some(shards),
            ..Config::default()
        })
        .await;
        let mut readers = Vec::new();
        for client in 0..CLIENTS {
            let query = format!("id=c{client}&user=u{}&groups=g{}", client % 10, client % 2);
            readers.push(Reader::start(server.raw(&query).await));
        }
        let drivers: Vec<_> = (0..DRIVERS)
            .map(|driver| tokio::spawn(drive(driver, server.hub.clone(), rng.fork())))
            .collect();
        let churn = async {
            loop {
                come_and_go(&server, &mut rng).await;
            }
        };
        let dues: Vec<Due> = tokio::select! {
            dues = join_all(drivers) => dues.into_iter().map(Result::unwrap).collect(),
            () = churn => unreachable!("it goes on for ever"),
        };
        server.hub.close();
        for (client, reader) in readers.into_iter().enumerate() {
            let texts = reader.seen().await.texts;
            for (driver, due) in dues.iter().enumerate() {
                let prefix = format!("{driver}:");
                let of_driver = texts.iter().filter(|text| text.starts_with(&prefix));
                assert!(
                    of_driver.eq(&due[client]),
                    "driver {driver}, client {client}"
                );
            }
        }
    });
}

/// Sends at random, one message after the other, and returns what each client should receive.
async fn drive(driver: usize, hub: Hub, mut rng: Rng) -> Due {
    let mut due = vec![Vec::new(); CLIENTS];
    for n in 0..MESSAGES {
        let text = format!("{driver}:{n}");
        let which = rng.usize(..CLIENTS);
        let is_due: Box<dyn Fn(usize) -> bool + Send> = match rng.u32(..10) {
            0..4 => {
                drop(hub.emit(&format!("c{which}"), &text));
                Box::new(move |client| client == which)
            }
            4..6 => {
                drop(hub.emit_user(&format!("u{}", which % 10), &text));
                Box::new(move |client| client % 10 == which % 10)
            }
            6..8 => {
                drop(hub.emit_group(&format!("g{}", which % 2), &text));
                Box::new(move |client| client % 2 == which % 2)
            }
            8 => {
                drop(hub.except([format!("c{which}")]).broadcast(&text));
                Box::new(move |client| client != which)
            }
            _ => {
                // Awaited now and then, so that queues are empty as well as full.
                hub.broadcast(&text).await;
                Box::new(|_| true)
            }
        };
        for (client, due) in due.iter_mut().enumerate() {
            if is_due(client) {
                due.push(text.clone());
            }
        }
    }
    // What is still queued is delivered before this is: the hub may be closed then.
    hub.broadcast("end").await;
    due
}

/// A connection that shares user and group with others connects and, in some way, disconnects.
async fn come_and_go(server: &Server, rng: &mut Rng) {
    let id = rng.usize(..5);
    let raw = server.raw(&format!("id=x{id}&user=u1&groups=g1")).await;
    let connection = server.hub.connection(&format!("x{id}"));
    let reader = Reader::start(raw);
    match rng.u32(..3) {
        0 => reader.close(1000).await,
        1 => reader.vanish().await,
        _ => drop(connection.map(|connection| connection.leave("g1"))),
    }
}
