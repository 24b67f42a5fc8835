//! One dispatcher for the cluster.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tieline::{DispatchError, Dispatcher, Exit, PresenceEvent};
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
