//! Tasks that wait for the end of a connection, or end with it.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use tieline::{CloseReason, Config, Connection};
use tokio::{sync::Notify, task::JoinHandle};

use crate::kit::{Server, close_frame, eventually, run, run_threads};

/// A task that waits for the end of a connection.
fn watch(connection: &Connection) -> JoinHandle<CloseReason> {
    let connection = connection.clone();
    tokio::spawn(async move { connection.closed().await })
}

/// Sets a flag when it is dropped.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicBool>);

struct SetWhenDropped(Dropped);

impl Dropped {
    fn guard(&self) -> SetWhenDropped {
        SetWhenDropped(self.clone())
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

#[test]
fn all_who_wait_for_the_end_learn_the_reason() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let connection = server.connection("a");
        let watching: Vec<_> = (0..3).map(|_| watch(&connection)).collect();
        let given_up = watch(&connection);
        tokio::task::yield_now().await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        let reason = CloseReason::Application(close_frame(4000));
        connection.close(close_frame(4000));
        for watching in watching {
            assert_eq!(watching.await.unwrap(), reason);
        }
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        server.empty().await;
        // Later too.
        assert_eq!(connection.closed().await, reason);
    });
}

#[test]
fn the_end_is_told_whoever_brings_it_about() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut leaving = server.raw("id=a").await;
        let lost = server.raw("id=b").await;
        let _replaced = server.raw("id=c").await;
        let [a, b, c] = ["a", "b", "c"].map(|id| watch(&server.connection(id)));
        leaving.send_close(1000).await;
        lost.reset();
        let _newer = server.raw("id=c").await;
        assert!(matches!(a.await.unwrap(), CloseReason::Client(Some(_))));
        assert!(matches!(b.await.unwrap(), CloseReason::Lost(_)));
        assert_eq!(c.await.unwrap(), CloseReason::Replaced);
    });
}

#[test]
fn the_end_is_told_before_on_disconnect() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&disconnect=wait").await;
        let connection = server.connection("a");
        let watching = watch(&connection);
        client.send_close(1000).await;
        watching.await.unwrap();
        // `on_disconnect` waits for the gate.
        server.log.end_of("a").await;
        assert_eq!(server.hub.len(), 1);
        server.open_gate(1);
        server.empty().await;
    });
}

#[test]
fn a_callback_can_give_up_when_its_connection_closes() {
    run(async {
        let server = Server::start(Config {
            close_timeout: Duration::from_secs(100),
            drain_timeout: Duration::from_secs(200),
            ..Config::default()
        })
        .await;
        let mut client = server.raw("id=a&connect=closed").await;
        let connection = server.connection("a");
        connection.close(close_frame(4000));
        assert_eq!(client.closed().await, 4000);
        client.send_close(4000).await;
        // Not after `close_timeout`, which the deadline of this test would not allow.
        let reason = server.log.end_of("a").await;
        assert_eq!(reason, CloseReason::Application(close_frame(4000)));
    });
}

#[test]
fn a_spawned_task_ends_with_its_connection() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a").await;
        let connection = server.connection("a");
        let (endless, dropped) = (Dropped::default(), Dropped::default());
        let (guard, started) = (endless.guard(), Arc::new(Notify::new()));
        let task = connection.spawn({
            let started = Arc::clone(&started);
            async move {
                let _guard = guard;
                started.notify_one();
                pending::<()>().await;
            }
        });
        let brief = connection.spawn(async { 7 });
        assert_eq!(brief.await.unwrap(), Some(7));
        started.notified().await;
        assert!(!endless.is_set());
        client.send_close(1000).await;
        assert_eq!(task.await.unwrap(), None);
        assert!(endless.is_set());
        // One that comes too late is not begun.
        let guard = dropped.guard();
        let late = connection.spawn(async move { drop(guard) });
        assert_eq!(late.await.unwrap(), None);
        assert!(dropped.is_set());
    });
}

#[test]
fn a_panic_in_a_spawned_task_is_its_own() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.client("id=a").await;
        let connection = server.connection("a");
        let task = connection.spawn(async { panic!("on purpose") });
        assert!(task.await.unwrap_err().is_panic());
        client.send("still there").await;
        assert_eq!(client.text().await, "still there");
    });
}

#[test]
fn a_drain_waits_for_spawned_tasks_and_counts_those_that_remain() {
    run_threads(3, async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            close_timeout: Duration::from_millis(50),
            drain_timeout: Duration::from_millis(300),
            ..Config::default()
        })
        .await;
        let _client = server.raw("id=a").await;
        let connection = server.connection("a");
        let (release, blocked) = mpsc::sync_channel::<()>(1);
        let started = Arc::new(Notify::new());
        // It holds its thread, so it is not dropped before it is released.
        let task = connection.spawn({
            let started = Arc::clone(&started);
            async move {
                started.notify_one();
                blocked.recv().unwrap();
            }
        });
        started.notified().await;
        let ended = connection.spawn(pending::<()>());
        let drained = server.node.drain().await;
        assert_eq!((drained.closed, drained.remaining), (1, 1));
        assert_eq!(ended.await.unwrap(), None);
        release.send(()).unwrap();
        assert_eq!(task.await.unwrap(), Some(()));
        eventually(|| server.hub.is_empty()).await;
        assert_eq!(server.node.drain().await.remaining, 0);
    });
}

#[test]
fn a_drain_waits_for_what_was_spawned_on_the_hub() {
    run(async {
        let server = Server::start(Config {
            drain_window: Duration::ZERO,
            ..Config::default()
        })
        .await;
        let release = Arc::new(Notify::new());
        let task = server.hub.spawn({
            let release = Arc::clone(&release);
            async move { release.notified().await }
        });
        let mut drain = std::pin::pin!(server.node.drain());
        let early = tokio::time::timeout(Duration::from_millis(200), &mut drain).await;
        assert!(early.is_err(), "the drain did not wait");
        assert!(!task.is_finished());
        release.notify_one();
        assert_eq!(drain.await.remaining, 0);
        task.await.unwrap();
    });
}
