//! The cost of the hub: the outbox without a socket, everything else over real sockets.
//!
//! Node and clients share one thread, and the node runs only while it is timed, in processor time; what it
//! sent is read while the time is stopped.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(
    clippy::unwrap_used,
    reason = "what a benchmark takes for granted ends it, with its place"
)]

#[path = "../tests/allocations/harness.rs"]
mod harness;

use std::{
    hint::black_box,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use tieline::{Config, Connection, Frame, Message, Note, bench::Outbox};

use self::harness::{Harness, masked};

/// Messages that the kernel buffers of a client hold before they are read.
const UNREAD: u64 = 32;

fn outbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    let cases = [
        ("64_x_1", 64, 1),
        ("64_x_16", 64, 16),
        ("64_x_256", 64, 256),
        ("32k_x_16", 32 * 1024, 16),
    ];
    for (name, size, frames) in cases {
        let frame = Frame::binary(vec![7; size]);
        let mut outbox = Outbox::default();
        group.throughput(Throughput::Elements(frames));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                (0..frames).for_each(|_| outbox.push(frame.clone()));
                outbox.flush(|length| _ = black_box(length)).unwrap();
            });
        });
    }
    group.finish();
}

fn echo(connection: &Connection, message: Message) {
    drop(connection.emit(message));
}

/// A world with this many clients: ten users with a tenth of them each, and a group of the first ten.
fn harness_with(count: usize, config: Config) -> (Harness, Vec<TcpStream>) {
    let harness = Harness::start(echo, config, None);
    let client = |i| {
        let group = if i < 10 { "&group=few" } else { "" };
        let client = harness.client(&format!("id=c{i}&user=u{}{group}", i % 10), "");
        client.set_nonblocking(true).unwrap();
        client
    };
    let clients = (0..count).map(client).collect();
    (harness, clients)
}

/// Reads what has arrived.
fn drain(clients: &mut [TcpStream]) {
    let mut bytes = vec![0; 64 * 1024];
    for client in clients {
        while client.read(&mut bytes).is_ok() {}
    }
}

/// The processor time of this thread: others on the machine take none of it.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// Times this many calls of `operation`, and reads what it sent while the time is stopped.
fn timed(clients: &mut [TcpStream], mut times: u64, mut operation: impl FnMut()) -> Duration {
    let mut taken = Duration::ZERO;
    while times > 0 {
        let calls = times.min(UNREAD);
        let begun = now();
        (0..calls).for_each(|_| operation());
        taken += now().checked_sub(begun).unwrap();
        drain(clients);
        times -= calls;
    }
    taken
}

fn broadcast(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broadcast");
    let frame = Frame::text("x".repeat(64));
    for receivers in [10, 100, 1000] {
        let (harness, mut clients) = harness_with(receivers, Config::default());
        group.throughput(Throughput::Elements(receivers as u64));
        group.bench_function(format!("64_to_{receivers}"), |bencher| {
            bencher.iter_custom(|times| {
                timed(&mut clients, times, || {
                    let reached = harness.run(harness.hub.broadcast(frame.clone()));
                    assert_eq!(reached.delivered, receivers as u64);
                })
            });
        });
    }
    group.finish();
}

/// Sixteen members of a room of 1,000 write at once: to all, and to all but themselves.
fn room(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("room");
    let (harness, mut clients) = harness_with(1000, Config::default());
    let (hub, frame) = (&harness.hub, Frame::text("x".repeat(64)));
    group.throughput(Throughput::Elements(16 * 1000));
    for (name, excepting) in [("16_to_all", false), ("16_to_all_others", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                timed(&mut clients, times, || {
                    let receipts: Vec<_> = (0..16)
                        .map(|i| {
                            if excepting {
                                hub.except([format!("c{i}")]).broadcast(frame.clone())
                            } else {
                                hub.broadcast(frame.clone())
                            }
                        })
                        .collect();
                    let reached = receipts
                        .into_iter()
                        .map(|receipt| harness.run(receipt).delivered);
                    assert_eq!(
                        reached.sum::<u64>(),
                        16 * if excepting { 999 } else { 1000 }
                    );
                })
            });
        });
    }
    group.finish();
}

/// Notes to 1,000 clients, by how many dialects they read in; the third of the harness numbers.
fn notes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("notes");
    for (name, dialects) in [
        ("in_1_dialect", &[1][..]),
        ("in_3_dialects", &[0, 1, 2]),
        ("numbered", &[3]),
    ] {
        let harness = Harness::start(echo, Config::default(), None);
        let clients = dialects.iter().cycle().enumerate().take(1000);
        let mut clients: Vec<_> = clients
            .map(|(i, dialect)| {
                let client = harness.client(&format!("id=c{i}&dialect={dialect}"), "");
                client.set_nonblocking(true).unwrap();
                client
            })
            .collect();
        let (hub, text) = (&harness.hub, "x".repeat(64));
        for run in [1, 16] {
            group.throughput(Throughput::Elements(run * 1000));
            group.bench_function(format!("{name}_x_{run}"), |bencher| {
                bencher.iter_custom(|times| {
                    timed(&mut clients, times, || {
                        let receipts: Vec<_> = (0..run)
                            .map(|_| hub.broadcast(Note::text(&*text)))
                            .collect();
                        for receipt in receipts {
                            assert_eq!(harness.run(receipt).delivered, 1000);
                        }
                    })
                });
            });
        }
    }
    group.finish();
}

fn emit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit");
    let (harness, mut clients) = harness_with(1000, Config::default());
    let (hub, frame) = (&harness.hub, Frame::text("x".repeat(64)));
    group.bench_function("to_an_id", |bencher| {
        bencher.iter_custom(|times| {
            timed(&mut clients[7..8], times, || {
                drop(hub.emit("c7", frame.clone()));
            })
        });
    });
    group.bench_function("to_nobody", |bencher| {
        bencher.iter(|| hub.emit("nobody", frame.clone()));
    });
    group.throughput(Throughput::Elements(10));
    group.bench_function("to_a_group_of_10", |bencher| {
        bencher.iter_custom(|times| {
            timed(&mut clients[..10], times, || {
                drop(hub.emit_group("few", frame.clone()));
            })
        });
    });
    for shards in [2, 8, 16, 64] {
        let config = Config {
            shards: Some(shards),
            ..Config::default()
        };
        let (harness, mut clients) = harness_with(100, config);
        let (hub, of) = (&harness.hub, format!("in_{shards}_shards"));
        group.bench_function(format!("to_a_group_of_10_{of}"), |bencher| {
            bencher.iter_custom(|times| {
                timed(&mut clients[..10], times, || {
                    drop(hub.emit_group("few", frame.clone()));
                })
            });
        });
        group.bench_function(format!("to_a_group_of_none_{of}"), |bencher| {
            bencher.iter(|| hub.emit_group("nobody", frame.clone()));
        });
    }
    group.throughput(Throughput::Elements(100));
    group.bench_function("to_a_user_of_100", |bencher| {
        bencher.iter_custom(|times| {
            timed(&mut clients, times, || {
                let reached = harness.run(hub.emit_user("u3", frame.clone()));
                assert_eq!(reached.delivered, 100);
            })
        });
    });
    group.finish();
}

/// Runs of messages to one client that reads at once: emitted, and sent when there is room; each with a write
/// of its own, and with one for the run, as in a callback.
fn send(criterion: &mut Criterion) {
    const RUN: u64 = 16;
    let mut group = criterion.benchmark_group("send");
    let (harness, mut clients) = harness_with(1, Config::default());
    let connection = harness.hub.connection("c0").unwrap();
    let frame = Frame::text("x".repeat(64));
    group.throughput(Throughput::Elements(RUN));
    let cases = [
        ("emit", false, false),
        ("when_ready", true, false),
        ("emit_corked", false, true),
        ("when_ready_corked", true, true),
    ];
    for (name, waits, corked) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                timed(&mut clients, times, || {
                    let _cork = corked.then(|| harness.hub.cork());
                    harness.run(async {
                        for _ in 0..RUN {
                            if waits {
                                connection.send(frame.clone()).await.unwrap();
                            } else {
                                drop(connection.emit(frame.clone()));
                            }
                        }
                    });
                })
            });
        });
    }
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look_up");
    let (harness, _clients) = harness_with(1000, Config::default());
    let hub = &harness.hub;
    group.bench_function("an_id_of_1000", |bencher| bencher.iter(|| hub.online("c7")));
    group.bench_function("a_connection_of_1000", |bencher| {
        bencher.iter(|| hub.connection("c7"));
    });
    group.bench_function("a_group_of_10", |bencher| {
        bencher.iter(|| hub.members("few"));
    });
    group.bench_function("a_user_of_100", |bencher| bencher.iter(|| hub.user("u3")));
    group.finish();
}

/// The whole path of a message: read, decode, handler, encode, outbox, write.
fn echoes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    for in_flight in [1, 16] {
        let harness = Harness::start(echo, Config::default(), None);
        let mut client = harness.client("id=a", "");
        let sent = masked(1, &[b'x'; 64]).repeat(in_flight);
        let mut received = vec![0; in_flight * 66];
        group.throughput(Throughput::Elements(in_flight as u64));
        group.bench_function(format!("64_x_{in_flight}"), |bencher| {
            bencher.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                for _ in 0..times {
                    client.write_all(&sent).unwrap();
                    let begun = Instant::now();
                    harness.run_for(in_flight);
                    taken += begun.elapsed();
                    client.read_exact(&mut received).unwrap();
                }
                taken
            });
        });
    }
    group.finish();
}

criterion_group!(
    benches, outbox, broadcast, room, notes, emit, send, look_up, echoes
);
criterion_main!(benches);
