//! The journal of presence: the transitions that a watch of all entries brings.
//!
//! Owns what this process knows of the journal: all rosters at the revision up to which it was watched, and the latest
//! transitions. It begins with the first read, is brought up to date by each, and is forgotten when nobody reads any
//! more, so no task is needed. A read may be dropped at any time; the next one goes on where it was.
//!
//! A watch does not say that nothing has happened. So each read first asks where the journal ends: the revision of a
//! key that each put writes. Then it waits for the watch to bring that revision. What leases remove comes when it comes.
//!
//! Invariants: transitions are those of whole responses of the watch, in order, each once; a journal that is another
//! one, or whose store has fallen back behind what was seen, is forgotten.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{
    call_error::CallError,
    client::{EtcdClient, RetrySafety},
    mirror::{Mirror, Transition},
    place::Place,
    registry::EtcdRegistry,
    roster_layout::RosterLayout,
    rpc::{Event, RangeRequest},
    watch::Watch,
};
use crate::roster::{JournalEntry, JournalReply, MAX_READ, Position};

/// The transitions that are kept.
const KEPT: usize = 65_536;

/// Entries of one request while the rosters are loaded.
const PAGE: i64 = 1000;

/// A watch that brings nothing for so long, although there is something, is begun anew.
const STALLED: Duration = Duration::from_secs(5);

/// For so long after the last read, the rosters are kept up to date.
const IDLE: Duration = Duration::from_mins(1);

/// Where the journal ends.
#[derive(Debug)]
pub(super) struct Tail {
    /// The name of the journal, and the revision of the last put; `None` if there is no journal.
    pub(super) journal: Option<(String, i64)>,
    /// The revision at which this was read.
    pub(super) read_at: i64,
}

pub(super) struct Journal {
    name: String,
    /// Where the rosters were loaded.
    start: Place,
    /// Behind it, all transitions are kept.
    first: Place,
    /// Up to this revision, everything is in `mirror` and `transitions`.
    seen: i64,
    /// Transitions of that revision.
    index: u64,
    mirror: Mirror,
    transitions: VecDeque<(Place, Transition)>,
    /// The key to go on from, while the rosters are loaded.
    loading: Option<Bytes>,
    watch: Option<Watch>,
    /// Since when the watch has not brought what there is.
    waiting: Option<Instant>,
    last_read: Instant,
}

impl Tail {
    pub(super) fn position(&self) -> Position {
        match &self.journal {
            Some((name, revision)) => Place::end_of(*revision).position(name),
            // No read goes on from here.
            None => Position::new(""),
        }
    }
}

impl EtcdRegistry {
    pub(super) async fn do_read(&self, after: &Position) -> Result<JournalReply, CallError> {
        let Some((name, at)) = Place::parse(after.as_str()) else {
            return Ok(JournalReply::Broken);
        };
        let mut slot = self.journal.lock().await;
        let tail = self.tail().await?;
        let is_other = |own: &str, seen| {
            let journal = tail.journal.as_ref();
            journal.is_none_or(|(name, _)| name != own) || seen > tail.read_at
        };
        slot.take_if(|journal| is_other(&journal.name, journal.seen) || at < journal.start);
        let (false, Some((_, end))) = (is_other(name, at.revision), &tail.journal) else {
            return Ok(JournalReply::Broken);
        };
        let journal = slot.get_or_insert_with(|| Journal::begin(&self.rosters, name, at));
        let caught_up = journal.catch_up(&self.client, &self.rosters, *end);
        match timeout(self.client.timeout(), caught_up).await {
            Ok(Ok(())) => Ok(journal.read(at)),
            Ok(Err(CallError::RevisionGone)) => {
                *slot = None;
                Ok(JournalReply::Broken)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(CallError::Timeout),
        }
    }

    /// Where the journal ends.
    async fn tail(&self) -> Result<Tail, CallError> {
        let range = RangeRequest {
            key: self.rosters.journal_key(),
            ..RangeRequest::default()
        };
        let response = self.client.call(RetrySafety::Idempotent, range).await?;
        Ok(response.tail())
    }

    /// Forgets the journal if nobody reads it.
    pub(super) fn forget_idle_journal(&self) {
        if let Ok(mut slot) = self.journal.try_lock() {
            slot.take_if(|journal| journal.last_read.elapsed() > IDLE);
        }
    }
}

impl Journal {
    fn begin(layout: &RosterLayout, name: &str, at: Place) -> Self {
        let seen = at.whole_revision();
        let start = Place::end_of(seen);
        Self {
            name: name.to_owned(),
            start,
            first: start,
            seen,
            index: 0,
            mirror: Mirror::default(),
            transitions: VecDeque::new(),
            loading: Some(layout.entries().0),
            watch: None,
            waiting: None,
            last_read: Instant::now(),
        }
    }

    /// Reads everything up to a revision, and what has come besides.
    async fn catch_up(
        &mut self,
        client: &EtcdClient,
        layout: &RosterLayout,
        end: i64,
    ) -> Result<(), CallError> {
        self.last_read = Instant::now();
        self.load(client, layout).await?;
        let is_stalled = self.waiting.is_some_and(|since| since.elapsed() > STALLED);
        self.watch.take_if(|watch| is_stalled || !watch.is_at(client));
        let mut has_failed = false;
        loop {
            let is_behind = self.seen < end;
            self.waiting = is_behind.then(|| self.waiting.unwrap_or_else(Instant::now));
            let next = self.next(client, layout);
            let next = if is_behind {
                next.await
            } else {
                match timeout(Duration::ZERO, next).await {
                    Ok(next) => next,
                    Err(_) => return Ok(()),
                }
            };
            match next {
                Ok(events) => self.take(layout, &events),
                Err(CallError::RevisionGone) => return Err(CallError::RevisionGone),
                Err(error) => {
                    self.watch = None;
                    // It ends with the connection, which may have ended long ago.
                    if std::mem::replace(&mut has_failed, true) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Loads all rosters, as they were where the journal is read from.
    async fn load(&mut self, client: &EtcdClient, layout: &RosterLayout) -> Result<(), CallError> {
        while let Some(key) = self.loading.clone() {
            let page = RangeRequest {
                key,
                range_end: layout.entries().1,
                limit: PAGE,
                revision: self.seen,
                ..RangeRequest::default()
            };
            let page = client.call(RetrySafety::Idempotent, page).await?;
            page.kvs.iter().for_each(|kv| self.mirror.load(layout, kv));
            self.loading = page.next_key();
        }
        Ok(())
    }

    async fn next(
        &mut self,
        client: &EtcdClient,
        layout: &RosterLayout,
    ) -> Result<Vec<Event>, CallError> {
        if self.watch.is_none() {
            let watch = client.watch(layout.watched(), self.seen + 1).await?;
            self.watch = Some(watch);
        }
        match &mut self.watch {
            Some(watch) => watch.next().await,
            None => Ok(Vec::new()),
        }
    }

    fn take(&mut self, layout: &RosterLayout, events: &[Event]) {
        // Some versions of etcd repeat events.
        let before = self.seen;
        for event in events {
            let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            if revision <= before {
                continue;
            }
            if revision != self.seen {
                (self.seen, self.index) = (revision, 0);
            }
            if let Some(transition) = self.mirror.apply(layout, event) {
                self.index += 1;
                let place = Place::behind(revision, self.index);
                self.transitions.push_back((place, transition));
            }
        }
        while self.transitions.len() > KEPT
            && let Some((place, _)) = self.transitions.pop_front()
        {
            self.first = place;
        }
    }

    /// What is kept behind a place.
    fn read(&self, at: Place) -> JournalReply {
        if at < self.first {
            return JournalReply::Broken;
        }
        let begin = self.transitions.partition_point(|(place, _)| *place <= at);
        let entries = self.transitions.range(begin..).take(MAX_READ);
        let entries: Vec<_> = entries
            .map(|(place, one)| JournalEntry {
                position: place.position(&self.name),
                kind: one.kind,
                roster: one.roster.clone(),
                user: one.user.clone(),
                info: one.info.clone(),
                count: one.count,
            })
            .collect();
        let last = begin + entries.len();
        let reached = match self.transitions.get(last) {
            None => Place::end_of(self.seen).max(at),
            Some(_) => self.transitions[last - 1].0,
        };
        let reached = reached.position(&self.name);
        JournalReply::Entries { entries, reached }
    }
}
