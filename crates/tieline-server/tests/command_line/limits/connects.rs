//! How many clients there may be, and how often they may connect.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tokio::net::TcpSocket;

use super::{Limited, eventually_admitted};
use crate::kit::{Client, DEADLINE, ask_to_upgrade};

#[test]
fn a_client_too_many_gets_429_until_another_one_leaves() {
    for (option, scope, other) in [
        ("limits.max_connections_per_address", "address", None),
        ("hub_defaults.max_connections", "hub", Some(("news", "ada"))),
        (
            "hub_defaults.max_connections_per_user",
            "user",
            Some(("chat", "bob")),
        ),
    ] {
        let limited = Limited::serve(&[(option, "2")]);
        let first = limited.admitted("chat", "ada");
        let _second = limited.admitted("chat", "ada");
        assert_eq!(limited.refused("chat", "ada"), 5);
        limited.logged(&format!(
            r#"scope="{scope}" limit="connections" action="refused""#
        ));
        // Whoever does not share the limit is served.
        let _other = other.map(|(hub, user)| limited.admitted(hub, user));
        drop(first);
        drop(eventually_admitted(&limited, "chat", "ada"));
    }
}

#[test]
fn connects_beyond_a_rate_get_429_and_the_time_to_come_again() {
    for (option, scope, other) in [
        ("limits.max_connect_rate_per_address", "address", None),
        (
            "hub_defaults.max_connect_rate",
            "hub",
            Some(("news", "ada")),
        ),
        (
            "hub_defaults.max_connect_rate_per_user",
            "user",
            Some(("chat", "bob")),
        ),
    ] {
        let limited = Limited::serve(&[(option, "1"), ("limits.connect_burst", "3s")]);
        let begun = Instant::now();
        for _ in 0..3 {
            drop(limited.admitted("chat", "ada"));
        }
        // As many more as the time that has passed allows.
        let mut more = 0;
        let after = loop {
            let (_, head) = limited.ask("chat", "ada");
            if head.starts_with("HTTP/1.1 429") {
                let (_, after) = head.split_once("retry-after: ").unwrap();
                break after.lines().next().unwrap().to_owned();
            }
            more += 1;
            assert!(more <= begun.elapsed().as_secs() + 1, "{head}");
            assert!(begun.elapsed() < DEADLINE, "never refused");
        };
        assert_eq!(after, "1");
        limited.logged(&format!(
            r#"scope="{scope}" limit="connects" action="refused""#
        ));
        if let Some((hub, user)) = other {
            drop(limited.admitted(hub, user));
        }
        drop(eventually_admitted(&limited, "chat", "ada"));
    }
}

#[test]
fn connects_beyond_a_rate_wait_for_their_turn_if_they_are_to() {
    for (option, scope) in [
        ("limits.max_connect_rate_per_address", "address"),
        ("hub_defaults.max_connect_rate", "hub"),
        ("hub_defaults.max_connect_rate_per_user", "user"),
    ] {
        let limited = Limited::serve(&[
            (option, "10"),
            ("limits.connect_burst", "100ms"),
            ("limits.connect_excess", "slow-down"),
        ]);
        let begun = Instant::now();
        for _ in 0..6 {
            drop(limited.admitted("chat", "ada"));
        }
        assert!(begun.elapsed() >= Duration::from_millis(490));
        limited.logged(&format!(
            r#"scope="{scope}" limit="connects" action="slowed_down""#
        ));
    }
}

/// Connects from another address than 127.0.0.1.
async fn connect_from(address: &str, server: &str) -> std::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    let stream = socket.connect(server.parse().unwrap()).await.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn a_flood_of_connects_from_one_address_leaves_others_served() {
    let limited = Limited::serve(&[
        ("limits.max_connect_rate_per_address", "20"),
        ("limits.max_connections_per_address", "100"),
        ("hub_defaults.max_connections", "150"),
    ]);
    let (address, flooding) = (limited.address().to_owned(), AtomicBool::new(true));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let flood = || {
            let mut kept = Vec::new();
            let mut refused = 0;
            let begun = Instant::now();
            while flooding.load(Ordering::Relaxed) && begun.elapsed() < DEADLINE {
                let path = "/client/hubs/chat?user=mallory";
                let (socket, head) = ask_to_upgrade(&address, path, "");
                if head.starts_with("HTTP/1.1 101") {
                    kept.push(socket);
                } else {
                    assert!(head.starts_with("HTTP/1.1 429"), "{head}");
                    refused += 1;
                }
            }
            // Those who are still connecting must not find their places free.
            (kept, refused)
        };
        let floods: Vec<_> = (0..4).map(|_| scope.spawn(flood)).collect();
        limited.logged(r#"scope="address" limit="connections" action="refused""#);
        // Somebody else connects, sends and receives all the while.
        for n in 0..20 {
            let socket = runtime.block_on(connect_from("127.0.0.2", &address));
            let mut client = Client::over(socket, &address, "/client/hubs/chat?user=ada");
            assert!(client.text().contains(r#""event":"connected""#));
            client.send(&format!(
                r#"{{"type":"joinGroup","group":"g","ackId":{n}}}"#
            ));
            assert!(client.text().contains(r#""success":true"#));
        }
        flooding.store(false, Ordering::Relaxed);
        let floods: Vec<_> = floods.into_iter().map(|it| it.join().unwrap()).collect();
        let kept: usize = floods.iter().map(|(kept, _)| kept.len()).sum();
        let refused: usize = floods.iter().map(|(_, refused)| refused).sum();
        assert!(kept <= 100 && refused > 0, "{kept} kept, {refused} refused");
    });
}
