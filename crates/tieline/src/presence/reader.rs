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
use tokio::time::{Instant, sleep, timeout};

use super::{
    shared::Shared,
    subscribers::{Newcomers, Subscribers},
};

/// Between two reads, unless there is something to read before.
const POLL: Duration = Duration::from_millis(50);
/// Members that are read at once; of larger rosters, pages are.
pub(super) const FEW: usize = 512;
/// Rosters or pages that are asked for at once. A node that starts again follows tens of thousands: one after the other,
/// each would wait for the round trips of all before it. Pages of a thousand cost a registry 1 ms each.
const AT_ONCE: usize = 64;
/// Before a request is sent again to a registry that does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// Between two looks for followers that have gone, which takes time for each.
const SWEEP: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    shared: Arc<Shared>,
    view: RosterView,
    subscribers: Subscribers,
    newcomers: Arc<Newcomers>,
    next_sweep: Instant,
    is_stale: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        newcomers: Arc<Newcomers>,
        is_stale: Arc<AtomicBool>,
    ) -> Self {
        let view = RosterView::new(shared.lease);
        Self {
            shared,
            view,
            subscribers: Subscribers::default(),
            newcomers,
            next_sweep: Instant::now(),
            is_stale,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.wait().await;
            self.sweep();
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

    /// Waits until there is something to read.
    async fn wait(&mut self) {
        if !self.subscribers.is_empty() {
            // Either way, it is time to read.
            let _ = timeout(POLL, self.shared.to_read.notified()).await;
        }
        self.take_newcomers();
        while self.subscribers.is_empty() {
            self.is_stale.store(false, Relaxed);
            self.shared.to_read.notified().await;
            self.take_newcomers();
        }
    }

    fn take_newcomers(&mut self) {
        for (roster, listener) in self.newcomers.take() {
            self.view.follow(&roster);
            self.subscribers.add(roster, listener);
        }
    }

    /// Forgets who does not follow any more.
    fn sweep(&mut self) {
        if Instant::now() < self.next_sweep {
            return;
        }
        self.next_sweep = Instant::now() + SWEEP;
        for roster in self.subscribers.forget_gone() {
            self.view.unfollow(&roster);
        }
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
