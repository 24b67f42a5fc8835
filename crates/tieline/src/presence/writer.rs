//! Keeps this node's entries in the registry: terms, puts and beats.
//!
//! Owns when each is sent. Invariants: one request at a time, so that no reply overtakes another; who comes or goes is
//! sent at once, together with whatever waits; who is entered again takes at most a twentieth of the registry's time.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tieline_registry::{
    BeatReply, MAX_PUT, OpenReply, PutOp, RegistryError, TendReply, Term, roster_table::RosterTable,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::shared::Shared;

/// Between two calls of `tend`, more or less a fifth.
const TEND: Duration = Duration::from_millis(500);
/// The same, while something is left to remove.
const TEND_AGAIN: Duration = Duration::from_millis(10);
/// Before a request is sent again to a registry that does not answer, at most.
const RETRY: Duration = Duration::from_millis(500);
/// Between two puts of those who are entered again.
const PACE: Duration = Duration::from_millis(20);
/// The share of the registry's time that these may take: one in so many.
const SHARE: u32 = 20;

pub(super) struct Writer {
    shared: Arc<Shared>,
    next_beat: Instant,
    next_tend: Instant,
    /// When users may be entered again.
    next_again: Instant,
    /// The last request failed.
    has_failed: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            next_beat: now,
            next_tend: now,
            next_again: now,
            has_failed: false,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            match self.step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "failed to keep the rosters up to date");
                    self.has_failed = true;
                }
            }
            self.wait().await;
        }
    }

    async fn wait(&self) {
        if self.has_failed {
            tokio::time::sleep(RETRY.mul_f64(0.2 + 0.8 * fastrand::f64())).await;
            return;
        }
        let mut until = self.next_beat.min(self.next_tend);
        let (has_again, due) = self
            .shared
            .table(|table| (table.has_again(), table.next_due()));
        if has_again {
            until = until.min(self.next_again);
        }
        if let Some(due) = due {
            until = until.min(Instant::now() + due.saturating_sub(self.shared.now()));
        }
        let left = until.saturating_duration_since(Instant::now());
        // Either way, there is something to do, or it is time to look.
        let _ = timeout(left, self.shared.changed.notified()).await;
    }

    /// Does what there is to do now. Whether there is more.
    async fn step(&mut self) -> Result<bool, RegistryError> {
        if self.shared.is_draining.load(Relaxed) {
            // The term is left to its end.
            sleep_until(Instant::now() + self.shared.lease).await;
            return Ok(false);
        }
        self.open().await?;
        let is_doubted = self.shared.take_doubt();
        if self.has_failed || is_doubted || Instant::now() >= self.next_beat {
            self.beat().await?;
            self.open().await?;
        }
        if std::mem::take(&mut self.has_failed) {
            // The registry is back. Who has changed nodes meanwhile is entered there before it goes here.
            let due = self.shared.now() + self.shared.longest_grace();
            self.shared.table(|table| table.postpone(due));
        }
        // However much waits: a term that is not renewed is over, and then everybody has to be entered again.
        let until = self.next_beat.min(self.next_tend);
        let has_more = loop {
            let has_more = self.put().await?;
            if !has_more || Instant::now() >= until {
                break has_more;
            }
        };
        self.end_old().await?;
        if Instant::now() >= self.next_tend {
            self.tend().await?;
        }
        Ok(has_more)
    }

    /// Begins a term, if there is none. Its name is new, also after a request that was not answered. A node that
    /// drains begins none: a beat that the end of its term has overtaken finds the term lost.
    async fn open(&mut self) -> Result<(), RegistryError> {
        if self.shared.term().is_some() || self.shared.is_draining.load(Relaxed) {
            return Ok(());
        }
        let term = Term::new(self.shared.lease, self.shared.longest_grace());
        let reply = self.shared.ask("open a term", |rosters| {
            // The term outlives the future, which borrows it.
            let term = term.clone();
            Box::pin(async move { rosters.open(&term).await })
        });
        if let OpenReply::Opened { stands, .. } = reply.await? {
            self.shared.table(|table| table.on_opened(term, stands));
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), RegistryError> {
        if let Some(old) = self.shared.table(|table| table.old_term().cloned())
            && self.renew(old).await? == BeatReply::Lost
        {
            self.shared.table(RosterTable::on_old_lost);
        }
        if let Some(term) = self.shared.term() {
            let reply = self.renew(term).await?;
            let now = self.shared.now();
            self.shared.table(|table| table.on_beat(&reply, now));
        }
        self.next_beat = Instant::now() + self.shared.lease / 3;
        Ok(())
    }

    async fn renew(&self, term: Term) -> Result<BeatReply, RegistryError> {
        let grace = self.shared.longest_grace();
        let term = Term { grace, ..term };
        let reply = self.shared.ask("renew a term", |rosters| {
            Box::pin(async move { rosters.beat(&term).await })
        });
        reply.await
    }

    /// Sends what waits. Whether there may be more.
    async fn put(&mut self) -> Result<bool, RegistryError> {
        let begun = Instant::now();
        let again = if begun < self.next_again { 0 } else { MAX_PUT };
        let now = self.shared.now();
        let next = self.shared.table(|table| {
            let put = table.next_put(now, again)?;
            Some((table.term().cloned()?, put))
        });
        let Some((term, put)) = next else {
            return Ok(false);
        };
        let enters_again = put.items.iter().any(|item| item.op == PutOp::Reenter);
        let reply = self.shared.ask("put users in rosters", |rosters| {
            Box::pin(async move { rosters.put(&term, &put).await })
        });
        let reply = reply.await;
        if enters_again {
            self.next_again = begun + PACE.max(begun.elapsed() * SHARE);
        }
        let (reply, failed) = match reply {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        let now = self.shared.now();
        self.shared.on_reply(reply, now);
        self.shared.to_read.notify_one();
        failed.map_or(Ok(true), Err)
    }

    /// Ends the term whose writes were in doubt, once everybody is entered under the new one.
    async fn end_old(&mut self) -> Result<(), RegistryError> {
        match self.shared.table(RosterTable::take_ended) {
            Some(old) => self.shared.end(old, Duration::ZERO).await,
            None => Ok(()),
        }
    }

    async fn tend(&mut self) -> Result<(), RegistryError> {
        let lease = self.shared.lease;
        let tended = self
            .shared
            .ask("end terms that have run out", |rosters| rosters.tend(lease));
        let pause = match tended.await? {
            TendReply::Done { left } if left > 0 => TEND_AGAIN,
            TendReply::Done { .. } | TendReply::Held(_) => {
                TEND.mul_f64(0.8 + 0.4 * fastrand::f64())
            }
        };
        self.next_tend = Instant::now() + pause;
        Ok(())
    }
}
