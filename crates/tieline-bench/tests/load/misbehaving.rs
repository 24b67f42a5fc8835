//! Servers that misbehave become faults, and never break the load.

use std::{
    io::Write,
    net::TcpListener,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use tieline_bench::plan::{Pacing, Scenario};

use crate::{NoProgress, plan, run, servers};

const ALL: [Scenario; 8] = [
    Scenario::Idle,
    Scenario::Echo,
    Scenario::Broadcast,
    Scenario::Direct,
    Scenario::Rooms,
    Scenario::Mixed,
    Scenario::Storm,
    Scenario::Churn,
];

fn refused(scenario: Scenario, url: &str) -> String {
    let refused = tieline_bench::run(&plan(scenario, url), &NoProgress);
    refused.expect_err("nothing opens").to_string()
}

#[test]
fn a_missing_server_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scenario in ALL {
        let why = refused(scenario, &format!("ws://{address}/"));
        let expected = format!("cannot connect to {address}: connection refused");
        assert!(why.contains(&expected), "{why}");
    }
}

#[test]
fn a_server_that_refuses_is_quoted() {
    let address = servers::each(|_, mut socket| {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\ntry /ws\n";
        // The client may be gone already.
        let _ = socket.write_all(answer);
        let _ = servers::read(&mut socket);
    });
    for scenario in ALL {
        let why = refused(scenario, &format!("ws://{address}/"));
        assert!(why.contains("HTTP/1.1 404 Not Found: try /ws"), "{why}");
    }
}

#[test]
fn garbage_ends_a_connection_and_not_the_load() {
    let address = servers::each(|number, mut socket| {
        let more: &[u8] = match number % 3 {
            0 => b"\xff\xff\xff",
            1 => b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
            _ => b"\x80\x01x",
        };
        servers::accept(&mut socket, more);
        let _ = servers::read(&mut socket);
    });
    for scenario in ALL {
        let outcome = tieline_bench::run(&plan(scenario, &format!("ws://{address}/")), &NoProgress);
        let why = match outcome {
            Ok(outcome) => outcome.faults.examples.join(";"),
            Err(e) => e.to_string(),
        };
        assert!(why.contains("garbage: "), "{why}");
    }
}

#[test]
fn a_server_that_dies_midway_ends_the_load_early() {
    let address = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        for _ in 0..20 {
            let Ok(message) = servers::read(&mut socket) else {
                return;
            };
            let _ = servers::write(&mut socket, &message);
        }
    });
    let mut plan = plan(Scenario::Echo, &format!("ws://{address}/"));
    plan.duration = std::time::Duration::from_secs(30);
    let outcome = run(&plan);
    assert!(outcome.elapsed < plan.duration);
    assert_eq!(outcome.faults.ended, 10);
    assert!(!outcome.faults.examples.is_empty());
}

#[test]
fn a_closed_loop_continues_with_the_remaining_connections() {
    let url = servers::floor();
    // Every second connection goes to a server that closes it at the first message.
    let short = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        let _ = servers::read(&mut socket);
        let _ = socket.write_all(b"\x88\x06\x03\xe9away");
    });
    let mut plan = plan(Scenario::Echo, &url);
    plan.urls.push(format!("ws://{short}/"));
    let outcome = run(&plan);
    assert_eq!(outcome.faults.ended, 5);
    assert_eq!(
        outcome.faults.examples[0],
        "the server closed a connection: 1001 away"
    );
    assert!(outcome.arrived > 20);
    assert_eq!(outcome.elapsed, plan.duration);
}

#[test]
fn a_broadcast_continues_without_an_ended_receiver() {
    let url = servers::floor();
    let leaves = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"\x89\x02hi");
        // It leaves only if the client answers its ping.
        let pong = servers::read(&mut socket).unwrap();
        while pong != b"hi" && servers::read(&mut socket).is_ok() {}
    });
    let mut plan = plan(Scenario::Broadcast, &url);
    plan.urls = vec![url.clone(), url.clone(), url, format!("ws://{leaves}/")];
    let outcome = run(&plan);
    assert_eq!(outcome.faults.ended, 2);
    assert!(outcome.arrived > 20, "{outcome:?}");
}

#[test]
fn a_missing_message_is_lost() {
    let address = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        while servers::read(&mut socket).is_ok() {}
    });
    let mut plan = plan(Scenario::Echo, &format!("ws://{address}/"));
    let faults = run(&plan).faults;
    assert_eq!(faults.lost, 20);
    let said = faults.examples.concat();
    assert!(said.contains("20 messages had not arrived"), "{said}");
    plan.pace = Pacing::PerSecond(100.0);
    assert_eq!(run(&plan).faults.lost, 35);
}

#[test]
fn a_message_in_fragments_is_one() {
    let address = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        while let Ok(message) = servers::read(&mut socket) {
            let (begin, end) = message.split_at(20);
            let first = [&[0x01, 20], begin].concat();
            let last = [&[0x80, u8::try_from(end.len()).unwrap()], end].concat();
            if socket
                .write_all(&[&first, &[0x89, 0][..], &last].concat())
                .is_err()
            {
                return;
            }
            let pong = servers::read(&mut socket);
            if pong.is_ok_and(|pong| !pong.is_empty()) {
                return;
            }
        }
    });
    let mut plan = plan(Scenario::Echo, &format!("ws://{address}/"));
    plan.pace = Pacing::InFlight(1);
    let outcome = run(&plan);
    assert!(outcome.arrived > 20, "{outcome:?}");
    assert_eq!(outcome.faults.ended, 0);
}

#[test]
fn a_server_that_never_stops_sending_does_not_stop_the_clock() {
    let address = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        let frames = [0x81, 2, b'h', b'i'].repeat(64 * 1024);
        while socket.write_all(&frames).is_ok() {}
    });
    let mut plan = plan(Scenario::Idle, &format!("ws://{address}/"));
    plan.connections = 2;
    let (sender, receiver) = sync_channel(1);
    let duration = plan.duration;
    thread::spawn(move || sender.send(run(&plan).elapsed));
    let elapsed = receiver.recv_timeout(Duration::from_secs(20));
    let elapsed = elapsed.expect("it ends");
    assert!(elapsed >= duration && elapsed < duration * 3, "{elapsed:?}");
}

#[test]
fn duplicates_trigger_no_message() {
    let address = servers::each(|_, mut socket| {
        servers::accept(&mut socket, b"");
        while let Ok(message) = servers::read(&mut socket) {
            let written = servers::write(&mut socket, &message);
            if written
                .and_then(|()| servers::write(&mut socket, &message))
                .is_err()
            {
                return;
            }
        }
    });
    let outcome = run(&plan(Scenario::Echo, &format!("ws://{address}/")));
    assert!(
        outcome.faults.repeated >= outcome.arrived / 2,
        "{outcome:?}"
    );
    assert!(outcome.arrived <= outcome.sent + 20, "{outcome:?}");
    assert_eq!(outcome.faults.lost, 0);
}

#[test]
fn misdelivered_messages_do_not_count() {
    let mut plan = plan(Scenario::Echo, &servers::floor());
    plan.send = "B{payload}".to_owned();
    let outcome = run(&plan);
    assert!(outcome.arrived > 0 && outcome.arrived <= outcome.sent + 20);
    assert!(
        outcome.faults.misdelivered >= outcome.arrived,
        "{outcome:?}"
    );
    let said = outcome.faults.examples.concat();
    let expected = "messages arrived at the wrong connection";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_once() {
    let address = servers::each(|_, mut socket| while servers::read(&mut socket).is_ok() {});
    let begin = Instant::now();
    let why = refused(Scenario::Echo, &format!("ws://{address}/"));
    assert!(why.contains("no answer within ten seconds"), "{why}");
    assert!(begin.elapsed() < Duration::from_secs(18));
}

#[test]
fn a_churn_counts_until_the_server_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let sockets = listener.incoming().take(200).map(Result::unwrap);
        let open = |mut socket| {
            servers::accept(&mut socket, b"");
            socket
        };
        drop(sockets.map(open).collect::<Vec<_>>());
    });
    let mut plan = plan(Scenario::Churn, &format!("ws://{address}/"));
    (plan.warm_up, plan.duration) = (Duration::ZERO, Duration::from_secs(30));
    let begin = Instant::now();
    let outcome = run(&plan);
    assert!(outcome.arrived > 0);
    // Each connection was refused twenty times, a tenth of a second apart.
    let refused = Duration::from_millis(1900);
    let lasted = begin.elapsed();
    assert!(
        outcome.elapsed + refused <= lasted,
        "{lasted:?}, {outcome:?}"
    );
}
