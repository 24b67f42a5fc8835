//! How often the node allocates: per echo, per delivery, per waiting message.
//!
//! A counting allocator counts what this thread allocates; a reallocation counts too. Node and test
//! share the thread, and the clients are plain sockets that allocate nothing, so the counts are the
//! node's alone and the same in every run and profile.

#![allow(
    clippy::unwrap_used,
    reason = "what a test takes for granted fails it, with its place"
)]

mod dialects;
mod harness;
#[cfg(feature = "cluster")]
mod single_node;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use allocation_counter::measure;
use tieline::{Config, Connection, Deflate, Delivery, Frame, Message, WriteOutcome};
use tokio::sync::oneshot;

use self::harness::{Harness, OnMessage, masked};

const TEXT: u8 = 1;
const BINARY: u8 = 2;

const MIB: usize = 1024 * 1024;

/// The allocations of some rounds, and their bytes.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    times: u64,
    bytes: u64,
}

/// Counts the cost of this many rounds. What is allocated once, such as a thread's buffers, does not count: a
/// first run allocates it, and the cost of a run without rounds is subtracted. Plays four times as many.
fn count(rounds: usize, mut play: impl FnMut(usize)) -> Counted {
    play(rounds);
    let once = measure(|| play(rounds));
    let twice = measure(|| play(2 * rounds));
    Counted {
        times: twice.count_total - once.count_total,
        bytes: twice.bytes_total - once.bytes_total,
    }
}

fn echo(connection: &Connection, message: Message) {
    drop(connection.emit(message));
}

fn broadcast_it(connection: &Connection, message: Message) {
    drop(connection.hub().broadcast(message));
}

/// A thousand clients and their server's ends are more than the usual 1,024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// A node with clients `r0`, `r1` and so on; with compression where it is given.
fn world_with(
    on_message: OnMessage,
    count: usize,
    compression: Option<Deflate>,
) -> (Harness, Vec<TcpStream>) {
    let config = Config {
        compression,
        ..Config::default()
    };
    let headers = match compression {
        Some(_) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        None => "",
    };
    let harness = Harness::start(on_message, config, None);
    let client = |i| harness.client(&format!("id=r{i}"), headers);
    let clients = (0..count).map(client).collect();
    (harness, clients)
}

/// Reads exactly this many bytes.
fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads a frame; returns whether it is compressed, and its payload.
fn frame(client: &mut TcpStream) -> (bool, Vec<u8>) {
    let head = read(client, 2);
    let length = match head[1] {
        126 => read(client, 2),
        short => vec![0, short],
    };
    let length = u16::from_be_bytes([length[0], length[1]]);
    (head[0] & 0x40 != 0, read(client, length.into()))
}

/// Echoes of 64 bytes: in each round a client sends this many at once and gets them back.
fn echoes(opcode: u8, rounds: usize, in_flight: usize) -> Counted {
    let (harness, mut clients) = world_with(echo, 1, None);
    let client = &mut clients[0];
    let sent = masked(opcode, &[b'x'; 64]).repeat(in_flight);
    let echo = [&[0x80 | opcode, 64], &[b'x'; 64][..]].concat();
    let (expected, mut received) = (echo.repeat(in_flight), vec![0; in_flight * 66]);
    count(rounds, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                client.write_all(&sent).unwrap();
                harness.events.more(in_flight).await;
                client.read_exact(&mut received).unwrap();
                assert_eq!(received, expected);
            }
        });
    })
}

#[test]
fn a_tracked_message_allocates_five_times() {
    let (harness, mut clients) = world_with(echo, 1, None);
    let frame = Frame::text("x".repeat(64));
    let mut read_rounds = |rounds| {
        for _ in 0..rounds {
            assert_eq!(self::frame(&mut clients[0]), (false, vec![b'x'; 64]));
        }
    };
    let plain = count(16, |rounds| {
        for _ in 0..rounds {
            let delivery = harness.hub.emit("r0", frame.clone()).try_outcome();
            assert_eq!(delivery, Some(Delivery::Delivered));
        }
        read_rounds(rounds);
    });
    let tracked = count(16, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                let mut receipt = harness.hub.emit_tracked("r0", frame.clone());
                assert_eq!(receipt.written().await, WriteOutcome::Written);
            }
        });
        read_rounds(rounds);
    });
    // Those of reading.
    assert_eq!(
        tracked.times - plain.times,
        5 * 16,
        "{plain:?}, {tracked:?}"
    );
}

#[test]
fn an_echo_allocates_at_most_twice_and_a_read_once() {
    for opcode in [TEXT, BINARY] {
        for in_flight in [1, 4, 16, 64] {
            let rounds = 1024 / in_flight;
            let counted = echoes(opcode, rounds, in_flight);
            assert!(
                counted.times <= 2 * 1024 + rounds as u64,
                "opcode {opcode}, {in_flight} in flight: {counted:?} for 1024 echoes"
            );
        }
    }
}

#[test]
fn looking_for_silent_clients_allocates_nothing() {
    let config = Config {
        message_timeout: Duration::from_millis(40),
        ..Config::default()
    };
    let harness = Harness::start(echo, config, None);
    let _client = harness.client("id=r0", "");
    // Some checks: there is one each 5 ms.
    let check = || harness.run(async { tokio::time::sleep(Duration::from_millis(50)).await });
    check();
    assert_eq!(measure(check).count_total, 0);
}

/// Broadcasts by the application.
fn broadcasts(receivers: usize, compression: Option<Deflate>) -> Counted {
    const ROUNDS: usize = 32;
    let (harness, mut clients) = world_with(echo, receivers, compression);
    let text = "to everyone, ".repeat(if compression.is_some() { 80 } else { 5 });
    let counted = count(ROUNDS, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                let reached = harness.hub.broadcast(text.as_str()).await;
                assert_eq!(reached.delivered, receivers as u64);
            }
        });
    });
    for client in &mut clients {
        for _ in 0..4 * ROUNDS {
            let (compressed, payload) = frame(client);
            assert_eq!(compressed, compression.is_some());
            assert!(compressed || payload == text.as_bytes());
        }
    }
    counted
}

/// Broadcasts by the handler, triggered by a client, this many at once.
fn handler_broadcasts(receivers: usize, in_flight: usize) -> Counted {
    const ROUNDS: usize = 8;
    let (harness, mut clients) = world_with(broadcast_it, receivers, None);
    let sent = masked(TEXT, &[b'x'; 64]).repeat(in_flight);
    let counted = count(ROUNDS, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                clients[0].write_all(&sent).unwrap();
                harness.events.more(in_flight).await;
            }
        });
    });
    for client in &mut clients {
        for _ in 0..4 * ROUNDS * in_flight {
            assert_eq!(frame(client), (false, vec![b'x'; 64]));
        }
    }
    counted
}

// Up to 32 receivers are served by the caller, more by the shard's worker; the costs differ.

#[test]
fn a_delivery_of_a_broadcast_allocates_nothing() {
    assert_eq!(broadcasts(30, None), broadcasts(10, None));
    assert_eq!(broadcasts(210, None), broadcasts(60, None));
}

#[test]
fn a_delivery_of_what_a_handler_sends_to_all_allocates_nothing() {
    for in_flight in [1, 16] {
        assert_eq!(
            handler_broadcasts(30, in_flight),
            handler_broadcasts(10, in_flight)
        );
    }
}

#[test]
fn a_broadcast_is_compressed_once_for_all() {
    let deflate = Some(Deflate::default());
    assert_eq!(broadcasts(30, deflate), broadcasts(10, deflate));
    assert_eq!(broadcasts(210, deflate), broadcasts(60, deflate));
}

#[test]
fn a_broadcast_allocates_ten_times_at_most() {
    for (receivers, most) in [(10, 2), (60, 10)] {
        let counted = broadcasts(receivers, None);
        assert!(counted.times <= 32 * most, "{receivers}: {counted:?}");
    }
}

#[test]
fn a_message_to_one_allocates_its_payload_and_its_frame() {
    let (harness, mut clients) = world_with(echo, 1, None);
    let counted = count(32, |rounds| {
        for _ in 0..rounds {
            let mut receipt = harness.hub.emit("r0", "x".repeat(64));
            assert_eq!(receipt.try_outcome(), Some(Delivery::Delivered));
        }
    });
    assert_eq!(counted.times, 2 * 32);
    for _ in 0..4 * 32 {
        assert_eq!(frame(&mut clients[0]), (false, vec![b'x'; 64]));
    }
}

#[test]
fn a_frame_that_is_sent_again_allocates_nothing() {
    let harness = Harness::start(echo, Config::default(), None);
    let mut client = harness.client("id=r0&user=u&group=g", "");
    let frame = Frame::text("x".repeat(64));
    let counted = count(16, |rounds| {
        for _ in 0..rounds {
            drop(harness.hub.emit("r0", frame.clone()));
            drop(harness.hub.emit("nobody", frame.clone()));
            drop(harness.hub.emit_user("u", frame.clone()));
            drop(harness.hub.emit_group("g", frame.clone()));
        }
    });
    assert_eq!(counted, Counted { times: 0, bytes: 0 });
    assert!(read(&mut client, 4 * 16 * 3 * 66).ends_with(&[b'x'; 64]));
}

#[test]
fn a_message_that_waits_for_many_slow_readers_is_held_once() {
    const READERS: usize = 1_000;
    raise_descriptor_limit();
    let harness = Harness::start(echo, Config::default(), Some(16 * 1024));
    let mut readers: Vec<_> = (0..READERS)
        .map(|i| harness.client(&format!("id=r{i}"), ""))
        .collect();
    let whole = measure(|| {
        let held = measure(|| {
            let reached = harness.run(harness.hub.broadcast(vec![7; MIB]));
            assert_eq!(reached.delivered, READERS as u64);
        });
        let beside = held.bytes_max - MIB as u64;
        assert!(beside < 64 * 1024, "{beside} bytes beside the message");
        read_all(&harness, &mut readers);
    });
    // The thread's buffer of 16 KiB, and 32 bytes for each connection's queue.
    let kept = whole.bytes_current;
    assert!(kept < 64 * 1024, "{kept} bytes are kept when all is read");
}

/// Reads a MiB from each, one after the other, in another thread, while the node runs.
fn read_all(harness: &Harness, readers: &mut [TcpStream]) {
    // Ends with the thread, even if that panics. An event of the node would not do: it may be another, and then
    // the node would stand still while the thread waits for it.
    let (reading, ended) = oneshot::channel::<()>();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let _reading = reading;
            for client in readers {
                let payload = read(client, 10 + MIB).split_off(10);
                assert!(payload.into_iter().all(|byte| byte == 7));
            }
        });
        let _ = harness.run(ended);
        reader.join().unwrap();
    });
}
