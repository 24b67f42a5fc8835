//! One dispatcher for the cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tieline::{DispatchError, Dispatcher, Exit, Position, PresenceEvent};
use tokio::sync::watch;

use super::members::node;
use crate::kit::{memory_registry, run_within};

/// Notes what it is told, in words, and refuses the first event that it is asked to.
#[derive(Clone)]
struct Notes {
    all: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<Option<&'static str>>>,
    changed: watch::Sender<usize>,
}

impl Notes {
    fn new() -> Self {
        Self {
            all: Arc::default(),
            refuses: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    async fn until(&self, what: &str) {
        let mut changed = self.changed.subscribe();
        while !self.all.lock().iter().any(|note| note == what) {
            let waiting = tokio::time::timeout(Duration::from_secs(15), changed.changed()).await;
            waiting
                .unwrap_or_else(|_| panic!("{what} is not in {:?}", self.all.lock()))
                .unwrap();
        }
    }
}

impl Dispatcher for Notes {
    async fn dispatch(&self, events: &[PresenceEvent]) -> Result<(), DispatchError> {
        let words: Vec<_> = events.iter().map(words).collect();
        let refused = *self.refuses.lock();
        if refused.is_some_and(|refused| words.iter().any(|word| word == refused)) {
            *self.refuses.lock() = None;
            return Err("not now".into());
        }
        self.all.lock().extend(words);
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }
}

fn words(event: &PresenceEvent) -> String {
    match event {
        PresenceEvent::Reset { .. } => "reset".to_owned(),
        PresenceEvent::Joined {
            namespace,
            group,
            user,
            members,
            ..
        } => format!("+{user} in {namespace}/{group}: {members}"),
        PresenceEvent::Left {
            group,
            user,
            members,
            ..
        } => format!("-{user} in {group}: {members}"),
        PresenceEvent::Changed { user, info, .. } => format!("~{user}: {info}"),
        PresenceEvent::Occupied { group, .. } => format!("{group} is occupied"),
        PresenceEvent::Vacated { group, .. } => format!("{group} is vacated"),
        other => format!("{other:?}"),
    }
}

#[test]
fn one_node_dispatches_every_change_in_order() {
    run_within(Duration::from_secs(40), async {
        let registry = memory_registry();
        let (a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let (notes_a, notes_b) = (Notes::new(), Notes::new());
        *notes_a.refuses.lock() = Some("-ada in lobby: 0");
        let dispatching_a = on_a.dispatch(notes_a.clone());
        notes_a.until("reset").await;
        let _dispatching_b = on_b.dispatch(notes_b.clone());
        on_b.namespace("chat")
            .unwrap()
            .enter("hall", "joan", "")
            .await
            .unwrap();
        notes_a.until("+joan in chat/hall: 1").await;
        on_a.enter("lobby", "ada", "1").await.unwrap();
        notes_a.until("+ada in /lobby: 1").await;
        on_b.enter("lobby", "ada", "2").await.unwrap();
        notes_a.until("~ada: 2").await;
        on_a.exit("lobby", "ada", Exit::Left);
        on_b.exit("lobby", "ada", Exit::Left);
        notes_a.until("-ada in lobby: 0").await;
        // Two nodes are in it, and it is vacated once.
        for presence in [&on_a, &on_b] {
            presence.occupy("square").await.unwrap();
        }
        notes_a.until("square is occupied").await;
        for presence in [&on_a, &on_b] {
            presence.vacate("square", Exit::Disconnected);
        }
        notes_a.until("square is vacated").await;
        assert_eq!(
            *notes_a.all.lock(),
            [
                "reset",
                "+joan in chat/hall: 1",
                "+ada in /lobby: 1",
                "~ada: 2",
                "-ada in lobby: 0",
                "square is occupied",
                "square is vacated",
            ]
        );
        assert!(notes_b.all.lock().is_empty(), "A has the place");

        // A's node is gone: B goes on where it was.
        drop((dispatching_a, on_a, a));
        on_b.enter("lobby", "grace", "").await.unwrap();
        notes_b.until("+grace in /lobby: 1").await;
        let all = notes_b.all.lock().clone();
        assert_eq!(all, ["+grace in /lobby: 1"]);
    });
}

/// Takes everything, and is done with what comes before the first event of a user that it waits for.
#[derive(Clone)]
struct Waits {
    notes: Notes,
    before: Arc<Mutex<Option<Position>>>,
    last: Arc<Mutex<Option<Position>>>,
    is_waiting: Arc<AtomicBool>,
    handed_over: watch::Sender<usize>,
}

impl Waits {
    fn new() -> Self {
        Self {
            notes: Notes::new(),
            before: Arc::default(),
            last: Arc::default(),
            is_waiting: Arc::default(),
            handed_over: watch::Sender::new(0),
        }
    }
}

impl Dispatcher for Waits {
    async fn dispatch(&self, events: &[PresenceEvent]) -> Result<(), DispatchError> {
        for event in events {
            *self.last.lock() = Some(event.version().clone());
            let is_awaited =
                matches!(event, PresenceEvent::Joined { user, .. } if &**user == "slow");
            if is_awaited {
                self.is_waiting.store(true, Relaxed);
            } else if !self.is_waiting.load(Relaxed) {
                *self.before.lock() = Some(event.version().clone());
            }
        }
        self.notes.dispatch(events).await
    }

    fn done(&self, _: &Position) -> Option<Position> {
        self.before.lock().clone()
    }

    fn handed_over(&self) {
        self.handed_over.send_modify(|count| *count += 1);
    }
}

#[test]
fn what_a_dispatcher_is_not_done_with_comes_again() {
    run_within(Duration::from_secs(40), async {
        let registry = memory_registry();
        let (a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let waits = Waits::new();
        let dispatching_a = on_a.dispatch(waits.clone());
        waits.notes.until("reset").await;
        on_b.enter("lobby", "ada", "").await.unwrap();
        waits.notes.until("+ada in /lobby: 1").await;
        on_b.enter("lobby", "slow", "").await.unwrap();
        waits.notes.until("+slow in /lobby: 2").await;
        on_b.enter("lobby", "joan", "").await.unwrap();
        waits.notes.until("+joan in /lobby: 3").await;
        assert_eq!(*waits.handed_over.borrow(), 0);

        // A has been done with Ada alone, and said so before it took what followed.
        drop((dispatching_a, on_a, a));
        let notes = Notes::new();
        let _dispatching_b = on_b.dispatch(notes.clone());
        notes.until("+joan in /lobby: 3").await;
        assert_eq!(
            *notes.all.lock(),
            ["+slow in /lobby: 2", "+joan in /lobby: 3"]
        );
    });
}

#[test]
fn a_dispatcher_learns_that_its_node_has_lost_the_place() {
    run_within(Duration::from_secs(40), async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let waits = Waits::new();
        let _dispatching = on_a.dispatch(waits.clone());
        waits.notes.until("reset").await;
        let mut handed_over = waits.handed_over.subscribe();
        on_a.drain().await.unwrap();
        handed_over.wait_for(|count| *count > 0).await.unwrap();
    });
}

#[test]
fn a_dispatcher_that_stops_finishes_what_it_has_and_another_goes_on_behind_it() {
    run_within(Duration::from_secs(40), async {
        let registry = memory_registry();
        let (_a, on_a) = node(&registry).await;
        let (_b, on_b) = node(&registry).await;
        let waits = Waits::new();
        let dispatching_a = on_a.dispatch(waits.clone());
        waits.notes.until("reset").await;
        on_b.enter("lobby", "slow", "").await.unwrap();
        waits.notes.until("+slow in /lobby: 1").await;
        dispatching_a.stop_taking();
        on_b.enter("lobby", "ada", "").await.unwrap();
        // Some reads later, it has not been handed on, and the place is still A's.
        let notes = Notes::new();
        let _dispatching_b = on_b.dispatch(notes.clone());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(*waits.notes.all.lock(), ["reset", "+slow in /lobby: 1"]);
        assert!(notes.all.lock().is_empty());
        assert_eq!(*waits.handed_over.borrow(), 0);

        let last = waits.last.lock().clone();
        *waits.before.lock() = last;
        dispatching_a.end().await;
        on_a.drain().await.unwrap();
        notes.until("+ada in /lobby: 2").await;
        assert_eq!(*notes.all.lock(), ["+ada in /lobby: 2"]);
    });
}
