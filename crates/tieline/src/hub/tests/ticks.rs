//! When messages to many leave: over connections with real sockets, whose clients are plain ones of the
//! standard library. On the loopback device, what was written can be read at once.

use std::{
    future::poll_fn,
    io::{ErrorKind, Read},
    net::TcpStream as StdStream,
    task::Poll,
    thread,
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::{JoinSet, block_in_place, yield_now},
};

use super::*;
use crate::{
    close::CloseReason,
    hub::{cork::Cork, state::Activity},
};

/// The server's end of a connection in the group `g`, and its client.
struct Pair {
    guard: ConnectionGuard,
    client: StdStream,
}

impl Pair {
    async fn new(hub: &Hub, id: &str) -> Self {
        Self::in_group(hub, id, "g").await
    }

    async fn in_group(hub: &Hub, id: &str, group: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let socket = accepted.unwrap().0;
        socket.set_nodelay(true).unwrap();
        let (read, write) = socket.into_split();
        write.writable().await.unwrap();
        // The halves share the socket; without the reading one, the socket is still open.
        drop(read);
        let guard = connect_as(hub, id, None, &[group]);
        inner(&guard).attach(Some(write));
        let client = client.unwrap().into_std().unwrap();
        Self { guard, client }
    }

    /// The texts that have arrived.
    fn arrived(&self) -> Vec<String> {
        let mut bytes = Vec::new();
        self.client.set_nonblocking(true).unwrap();
        match (&self.client).read_to_end(&mut bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            result => assert!(result.is_ok(), "{result:?}"),
        }
        texts(&bytes)
    }

    /// Waits for a text.
    fn wait(&self) -> String {
        let mut client = &self.client;
        client.set_nonblocking(false).unwrap();
        let limit = Some(Duration::from_secs(20));
        client.set_read_timeout(limit).unwrap();
        let mut head = [0; 2];
        client.read_exact(&mut head).unwrap();
        let mut text = vec![0; head[1].into()];
        client.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

/// Runs a test in a task: what the future of `block_on` sends leaves at once.
fn run_task(test: impl Future<Output = ()> + Send + 'static) {
    run(async { tokio::spawn(test).await.unwrap() });
}

async fn room(hub: &Hub, members: usize) -> Vec<Pair> {
    let mut room = Vec::new();
    for i in 0..members {
        room.push(Pair::new(hub, &format!("c{i}")).await);
    }
    room
}

fn several_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Two turns of all tasks: one for those that are ready, and one for what they have listed.
async fn end_of_tick() {
    yield_now().await;
    yield_now().await;
}

/// Ten tasks that are ready at once write to a room; each finds that nothing has left yet.
async fn ten_senders(is_corked: bool) -> Vec<Vec<String>> {
    let hub = hub(Config::default());
    let room = Arc::new(room(&hub, 10).await);
    let mut senders = JoinSet::new();
    for i in 0..10 {
        let (hub, room) = (hub.clone(), Arc::clone(&room));
        senders.spawn(async move {
            let cork = is_corked.then(Cork::new);
            let receipt = hub.emit_group("g", i.to_string());
            drop(cork);
            assert!(room.iter().all(|pair| pair.arrived().is_empty()), "{i}");
            assert_eq!(receipt.await.delivered, 10);
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    end_of_tick().await;
    room.iter().map(Pair::arrived).collect()
}

#[test]
fn what_ready_tasks_send_to_a_room_leaves_together() {
    let expected: Vec<_> = (0..10).map(|i| i.to_string()).collect();
    for is_corked in [false, true] {
        let received = run(ten_senders(is_corked));
        assert_eq!(received, vec![expected.clone(); 10]);
    }
}

/// Lets the tasks that are ready run, as `yield_now` does, but without a look at the sockets.
async fn back_of_the_queue() {
    let mut is_woken = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut is_woken, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// More receivers than are flushed in one poll; their senders go on in between.
#[test]
fn what_is_sent_while_a_long_tick_ends_leaves_too() {
    run(async {
        let hub = hub(Config::default());
        let mut pairs = Vec::new();
        let mut senders = JoinSet::new();
        for i in 0..200 {
            let group = format!("room {}", i / 20);
            pairs.push(Pair::in_group(&hub, &format!("c{i}"), &group).await);
        }
        for room in 0..10 {
            let hub = hub.clone();
            senders.spawn(async move {
                for n in 0..5 {
                    drop(hub.emit_group(&format!("room {room}"), n.to_string()));
                    back_of_the_queue().await;
                }
            });
        }
        senders.join_all().await;
        for _ in 0..10 {
            yield_now().await;
        }
        for pair in &pairs {
            assert_eq!(pair.arrived(), ["0", "1", "2", "3", "4"]);
        }
    });
}

#[test]
fn messages_to_one_and_to_many_keep_their_order() {
    let sends = async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        let sender = hub.clone();
        tokio::spawn(async move {
            let _cork = Cork::new();
            drop(sender.emit_group("g", "1"));
            drop(sender.emit("c", "2"));
            drop(sender.emit_group("g", "3"));
        });
        let mut received = Vec::new();
        while received.len() < 3 {
            end_of_tick().await;
            received.extend(pair.arrived());
        }
        assert_eq!(received, ["1", "2", "3"]);
    };
    run(sends);
    several_threads().block_on(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        for round in 0..1000 {
            let sender = hub.clone();
            let task = async move {
                let _cork = Cork::new();
                drop(sender.emit_group("g", format!("{round}a")));
                drop(sender.emit("c", format!("{round}b")));
                drop(sender.emit_group("g", format!("{round}c")));
            };
            tokio::spawn(task).await.unwrap();
        }
        let sent = |round| ["a", "b", "c"].map(|part| format!("{round}{part}"));
        for expected in (0..1000).flat_map(sent) {
            assert_eq!(pair.wait(), expected);
        }
    });
}

#[test]
fn a_close_leaves_behind_what_was_sent_to_many_before() {
    run_task(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        drop(hub.emit_group("g", "last words"));
        inner(&pair.guard).close(CloseReason::Panic);
        assert_eq!(pair.arrived(), ["last words", "1011"]);
    });
}

#[test]
fn a_connection_that_ends_within_a_tick_sends_what_it_was_sent() {
    run_task(async {
        let hub = hub(Config::default());
        let Pair { guard, client } = Pair::new(&hub, "c").await;
        drop(hub.emit_group("g", "last words"));
        drop(guard);
        let mut bytes = Vec::new();
        client.set_nonblocking(false).unwrap();
        (&client).read_to_end(&mut bytes).unwrap();
        assert_eq!(texts(&bytes), ["last words"]);
        end_of_tick().await;
        assert_eq!(hub.len(), 0);
    });
}

#[test]
fn half_of_an_outbox_does_not_wait_for_the_tick() {
    run_task(async {
        let config = Config {
            outbox_frames: 8,
            ..Config::default()
        };
        let hub = hub(config);
        let pair = Pair::new(&hub, "c").await;
        for i in 0..20 {
            assert_eq!(hub.emit_group("g", i.to_string()).await.delivered, 1);
        }
        assert!(pair.arrived().len() >= 16);
    });
}

#[test]
fn a_task_that_blocks_its_worker_does_not_hold_back_what_it_sent() {
    several_threads().block_on(async {
        let hub = hub(Config::default());
        let room = room(&hub, 3).await;
        let task = tokio::spawn(async move {
            drop(hub.emit_group("g", "now"));
            block_in_place(|| {
                for pair in &room {
                    assert_eq!(pair.wait(), "now");
                }
            });
        });
        task.await.unwrap();
    });
}

#[test]
fn a_sender_outside_of_a_task_waits_for_nobody() {
    run_task(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        drop(hub.emit_group("g", "1"));
        assert!(pair.arrived().is_empty());
        // This task blocks its worker until the other thread has its answer.
        let sender = thread::spawn(move || drop(hub.emit_group("g", "2")));
        sender.join().unwrap();
        assert_eq!(pair.arrived(), ["1", "2"]);
    });
}

#[test]
fn a_client_that_does_not_read_is_not_listed() {
    run_task(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        let state = &inner(&pair.guard).state;
        state.set(Activity::WRITE_PENDING, true);
        drop(hub.emit_group("g", "1"));
        assert!(!state.is(Activity::LISTED));
    });
}

#[test]
fn a_task_of_another_runtime_does_not_wait_for_that_of_the_hub() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (hub, pair) = runtime.block_on(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        end_of_tick().await;
        (hub, pair)
    });
    // The hub's runtime stands still.
    let other = thread::spawn(|| {
        run_task(async move {
            drop(hub.emit_group("g", "at once"));
            assert_eq!(pair.arrived(), ["at once"]);
            let cork = Cork::new();
            drop(hub.emit_group("g", "with the cork"));
            assert!(pair.arrived().is_empty());
            drop(cork);
            assert_eq!(pair.arrived(), ["with the cork"]);
        });
    });
    other.join().unwrap();
    drop(runtime);
}

#[test]
fn a_runtime_that_ends_within_a_tick_loses_and_leaks_nothing() {
    let mut builder = Builder::new_current_thread();
    // The future of `block_on` goes on, and ends, before the flusher runs.
    let runtime = builder.event_interval(1).enable_all().build().unwrap();
    let (conn, client) = runtime.block_on(async {
        let hub = hub(Config::default());
        let pair = Pair::new(&hub, "c").await;
        let conn = Arc::downgrade(inner(&pair.guard));
        let client = pair.client.try_clone().unwrap();
        end_of_tick().await;
        let (sent, is_sent) = oneshot::channel();
        tokio::spawn(async move {
            drop(hub.emit_group("g", "last words"));
            assert!(pair.arrived().is_empty());
            sent.send(()).unwrap();
            std::future::pending::<()>().await;
            drop((hub, pair));
        });
        is_sent.await.unwrap();
        (conn, client)
    });
    drop(runtime);
    assert!(conn.upgrade().is_none(), "the connection is kept");
    let mut bytes = Vec::new();
    client.set_nonblocking(false).unwrap();
    (&client).read_to_end(&mut bytes).unwrap();
    assert_eq!(texts(&bytes), ["last words"]);
}
