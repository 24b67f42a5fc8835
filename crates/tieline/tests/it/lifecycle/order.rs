//! What one task sends to one client arrives in the order of the calls, by any method.

use tieline::{Config, Hub};

use crate::kit::{Server, run, run_threads};

/// Sends `count` numbers to all clients, in turn one by one, to the user, to the group and to all.
fn send_numbers(hub: &Hub, crowd: usize, count: usize) {
    for n in 0..count {
        let text = n.to_string();
        match n % 7 {
            0 | 4 => drop(hub.broadcast(&text)),
            1 => drop(hub.emit_group("g", &text)),
            2 => drop(hub.emit_user("u", &text)),
            3 => drop(hub.except(["nobody"]).broadcast(&text)),
            _ => (0..crowd).for_each(|i| drop(hub.emit(&format!("c{i}"), &text))),
        }
    }
}

async fn assert_in_order(shards: usize, size: usize) {
    let server = Server::start(Config {
        shards: Some(shards),
        ..Config::default()
    })
    .await;
    let mut crowd = server.crowd("c", size, "user=u&groups=g").await;
    let hub = server.hub.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..5 {
            send_numbers(&hub, size, 100);
            tokio::task::yield_now().await;
        }
    });
    for client in &mut crowd {
        for n in (0..5).flat_map(|_| 0..100) {
            assert_eq!(client.text().await, n.to_string());
        }
    }
    sending.await.unwrap();
}

#[test]
fn to_a_few_clients() {
    run(async {
        for shards in [1, 4] {
            assert_in_order(shards, 5).await;
        }
    });
}

#[test]
fn to_more_clients_than_a_caller_serves_itself() {
    run(async {
        for shards in [1, 4] {
            assert_in_order(shards, 40 * shards).await;
        }
    });
}

#[test]
fn on_several_threads() {
    run_threads(4, async {
        for shards in [1, 4] {
            assert_in_order(shards, 50 * shards).await;
        }
    });
}

#[test]
fn from_a_handler() {
    run_threads(4, async {
        let server = Server::start(Config::default()).await;
        let mut crowd = server.crowd("c", 60, "").await;
        // What a client says comes back in its order although other tasks broadcast meanwhile.
        let hub = server.hub.clone();
        let noise = tokio::spawn(async move {
            for _ in 0..200 {
                hub.broadcast("noise").await;
            }
        });
        for n in 0..100 {
            crowd[0].send_text(&n.to_string()).await;
        }
        let (mut next, mut noises) = (0, 0);
        while next < 100 || noises < 200 {
            match crowd[0].text().await.as_str() {
                "noise" => noises += 1,
                number => {
                    assert_eq!(number, next.to_string());
                    next += 1;
                }
            }
        }
        noise.await.unwrap();
    });
}

#[test]
fn to_a_client_that_reads_slowly() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            outbox_bytes: 64 * 1024 * 1024,
            ..Config::default()
        })
        .await;
        let _crowd = server.crowd("c", 40, "quiet=1").await;
        let mut slow = server.narrow("id=slow").await;
        // Frames of 10 bytes to 60 KB, so that writes end amid frames of every kind.
        let sizes = [10, 1000, 20_000, 60_000];
        let text = |n: usize| format!("{n:0size$}", size = sizes[n % 4]);
        for n in 0..200 {
            match n % 3 {
                0 => drop(server.hub.emit("slow", text(n))),
                _ => drop(server.hub.broadcast(text(n))),
            }
            if n % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for n in 0..200 {
            assert_eq!(slow.text().await, text(n));
        }
    });
}

#[test]
fn from_one_callback_by_every_way() {
    run_threads(4, async {
        for size in [3, 60] {
            let server = Server::start(Config::default()).await;
            let mut crowd = server.crowd("c", size, "groups=mix").await;
            for _ in 0..10 {
                crowd[0].send_text("!mix:500").await;
                for n in 0..500 {
                    assert_eq!(crowd[0].text().await, n.to_string());
                }
            }
        }
    });
}

#[test]
fn long_and_short_ones_to_many() {
    run(async {
        let server = Server::start(Config {
            shards: Some(1),
            ..Config::default()
        })
        .await;
        let mut crowd = server.crowd("c", 40, "").await;
        let long = "x".repeat(300_000);
        for n in 0..3 {
            server.hub.broadcast(n.to_string());
            server.hub.broadcast(&long);
        }
        for client in &mut crowd {
            for n in 0..3 {
                assert_eq!(client.text().await, n.to_string());
                assert_eq!(client.text().await, long);
            }
        }
    });
}
