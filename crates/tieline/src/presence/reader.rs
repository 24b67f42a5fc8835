//! Reads the journal for all followers of this node.
//!
//! Owns when it is read, and how much at once. Invariant: the journal is read alone, after all that was asked for before
//! is answered, so that each answer is newer than its position: the view depends on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tieline_registry::{
    JournalReply, RegistryError, RosterName, RosterPage, RosterReply,
    roster_view::{Fetch, RosterView},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{following::Change, shared::Shared, subscribers::Subscribers};

/// Between two reads, unless this node has entered somebody.
const POLL: Duration = Duration::from_millis(50);
/// Members that are read at once; of larger rosters, pages are.
pub(super) const FEW: usize = 512;
/// Rosters or pages that are asked for at once. A node that starts again follows tens of thousands: one after the other,
/// each would wait for the round trips of all before it. Pages of a thousand cost a registry 1 ms each.
const AT_ONCE: usize = 64;
/// Before a request is sent again to a registry that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Somebody begins to follow a roster.
pub(super) type Follow = (RosterName, mpsc::Sender<Change>);

pub(super) struct Reader {
    shared: Arc<Shared>,
    view: RosterView,
    subscribers: Subscribers,
    follows: mpsc::Receiver<Follow>,
    is_stale: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        follows: mpsc::Receiver<Follow>,
        is_stale: Arc<AtomicBool>,
    ) -> Self {
        let view = RosterView::new(shared.lease);
        Self {
            shared,
            view,
            subscribers: Subscribers::default(),
            follows,
            is_stale,
        }
    }

    /// Runs until nobody can follow any more.
    pub(super) async fn run(mut self) {
        while self.wait().await {
            for roster in self.subscribers.forget_gone() {
                self.view.unfollow(&roster);
            }
            let read = self.step().await;
            self.subscribers.tell(&mut self.view);
            let stale = read.is_err() || self.view.is_settling();
            self.is_stale.store(stale, Relaxed);
            if let Err(error) = read {
                tracing::debug!(%error, "failed to read the rosters");
                sleep(RETRY).await;
            }
        }
    }

    /// Waits until there is something to read. False once nobody can follow any more.
    async fn wait(&mut self) -> bool {
        if self.subscribers.is_empty() {
            self.is_stale.store(false, Relaxed);
            let Some(follow) = self.follows.recv().await else {
                return false;
            };
            self.follow(follow);
        } else {
            tokio::select! {
                follow = self.follows.recv() => match follow {
                    Some(follow) => self.follow(follow),
                    // Those who follow go on until they are dropped.
                    None => sleep(POLL).await,
                },
                // Either way, it is time to read.
                _ = timeout(POLL, self.shared.entered.notified()) => {}
            }
        }
        while let Ok(follow) = self.follows.try_recv() {
            self.follow(follow);
        }
        true
    }

    fn follow(&mut self, (roster, changes): Follow) {
        self.view.follow(&roster);
        self.subscribers.add(roster, changes);
    }

    /// Reads what is new.
    async fn step(&mut self) -> Result<(), RegistryError> {
        loop {
            self.fetch().await?;
            let more = self.read().await?;
            self.subscribers.tell(&mut self.view);
            if !more && self.view.next_fetch().is_none() {
                break;
            }
        }
        self.settle().await
    }

    /// Reads some of the rosters that are to be read.
    async fn fetch(&mut self) -> Result<(), RegistryError> {
        let fetches = self.view.next_fetches(AT_ONCE).into_iter();
        let answers = join_all(fetches.map(|fetch| ask(&self.shared, fetch))).await;
        let mut outcome = Ok(());
        for answer in answers {
            match answer {
                Ok(Answer::Roster(name, reply)) => self.view.on_roster(&name, reply),
                Ok(Answer::Page(name, page)) => self.view.on_page(&name, page),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Reads the journal once. Whether there may be more.
    async fn read(&mut self) -> Result<bool, RegistryError> {
        let Some(at) = self.view.position().cloned() else {
            return Ok(false);
        };
        let asked = self.shared.ask("read the journal", |rosters| {
            Box::pin(async move { rosters.read(&at).await })
        });
        let reply = asked.await?;
        if reply == JournalReply::Broken {
            tracing::info!("the registry has lost its rosters or some of them: reading them again");
            // A registry without a journal has one as soon as a node has noticed.
            sleep(POLL).await;
        }
        Ok(self.view.on_read(reply, self.shared.now()))
    }

    /// Once everybody had the time to enter again what was lost, who is missing is gone.
    async fn settle(&mut self) -> Result<(), RegistryError> {
        if !self.view.wants_beat(self.shared.now()) {
            return Ok(());
        }
        let Some(term) = self.shared.term() else {
            return Ok(());
        };
        let asked = self.shared.ask("renew a term", |rosters| {
            Box::pin(async move { rosters.beat(&term).await })
        });
        let reply = asked.await?;
        self.view.on_beat(&reply);
        Ok(())
    }
}

/// What was read of a roster.
enum Answer {
    Roster(RosterName, RosterReply),
    Page(RosterName, RosterPage),
}

async fn ask(shared: &Shared, fetch: Fetch) -> Result<Answer, RegistryError> {
    match fetch {
        Fetch::Roster(name) => {
            let asked = shared.ask("read a roster", |rosters| {
                let name = name.clone();
                Box::pin(async move { rosters.roster(&name, FEW).await })
            });
            let reply = asked.await?;
            Ok(Answer::Roster(name, reply))
        }
        Fetch::Page(name, cursor) => {
            let asked = shared.ask("read a page of a roster", |rosters| {
                let name = name.clone();
                Box::pin(async move { rosters.page(&name, cursor).await })
            });
            let page = asked.await?;
            Ok(Answer::Page(name, page))
        }
    }
}
