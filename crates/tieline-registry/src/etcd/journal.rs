//! The journal of presence: the transitions that a watch of all entries brings.
//!
//! Owns what this process knows of the journal: all rosters at the revision up to which it was watched, and the latest
//! transitions. It begins with the first read, is brought up to date by each, and is forgotten when nobody reads any
//! more, so no task is needed. A read may be dropped at any time; the next one goes on where it was.
//!
//! A watch does not say that nothing has happened. So each read first asks where the journal ends: the revision of a
//! key that each put writes. Then it waits for the watch to bring that revision. What leases remove comes when it comes.
//!
//! A watch is not interrupted while the store is replaced by a backup, since its servers restart. So what was seen is
//! compared with the store whenever a watch begins: the last put has left a number that no other put has.
//!
//! Invariants: transitions are those of whole responses of the watch, in order, each once; a journal that is another
//! one, or whose store has lost what was seen, is forgotten.

use std::{collections::VecDeque, str, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{
    call_error::CallError,
    client::{EtcdClient, RetrySafety},
    mirror::{Mirror, Transition},
    place::Place,
    roster_layout::RosterLayout,
    rpc::{Event, KeyValue, RangeRequest, RangeResponse},
    watch::Watch,
};
use crate::roster::{JournalEntry, JournalReply, MAX_READ, Position};

/// The transitions that are kept.
const KEPT: usize = 65_536;

/// Entries of one request while the rosters are loaded.
const PAGE: i64 = 1000;

/// A watch that brings nothing for so long, although there is something, is begun anew.
const STALLED: Duration = Duration::from_secs(5);

/// It is forgotten when nobody has read it for so long.
const IDLE: Duration = Duration::from_mins(1);

/// Where the journal ends.
#[derive(Debug)]
pub(super) struct Tail {
    /// `None` if there is no journal.
    pub(super) last: Option<LastPut>,
    /// The revision at which this was read.
    pub(super) read_at: i64,
}

/// What the last put has left in the key of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastPut {
    /// The name of the journal.
    pub(super) name: String,
    /// Which put it was.
    number: String,
    pub(super) revision: i64,
}

pub(super) struct Journal {
    pub(super) name: String,
    /// Where the rosters were loaded.
    pub(super) start: Place,
    /// Behind it, all transitions are kept.
    first: Place,
    /// Up to this revision, everything is in `mirror` and `transitions`.
    pub(super) seen: i64,
    /// Transitions of that revision.
    index: u64,
    /// The last put up to there; `None` before any was seen.
    last: Option<LastPut>,
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
        match &self.last {
            Some(put) => Place::end_of(put.revision).position(&put.name),
            // No read goes on from here.
            None => Position::new(""),
        }
    }
}

impl LastPut {
    /// The value of a put to the journal of this name.
    pub(super) fn value(name: &str) -> String {
        format!("{name} {:016x}", fastrand::u64(..))
    }

    pub(super) fn parse(kv: &KeyValue) -> Option<Self> {
        let (name, number) = str::from_utf8(&kv.value).ok()?.split_once(' ')?;
        Some(Self {
            name: name.to_owned(),
            number: number.to_owned(),
            revision: kv.mod_revision,
        })
    }
}

impl RangeResponse {
    /// Where the journal ends, if this has read its key.
    pub(super) fn tail(&self) -> Tail {
        Tail {
            last: self.kvs.first().and_then(LastPut::parse),
            read_at: self.revision(),
        }
    }
}

/// Where the journal ended at a revision; 0 is now.
pub(super) async fn tail_at(
    client: &EtcdClient,
    layout: &RosterLayout,
    revision: i64,
) -> Result<Tail, CallError> {
    let range = RangeRequest {
        key: layout.journal_key(),
        revision,
        ..RangeRequest::default()
    };
    let response = client.call(RetrySafety::Idempotent, range).await?;
    Ok(response.tail())
}

impl Journal {
    pub(super) fn begin(layout: &RosterLayout, name: &str, at: Place) -> Self {
        let seen = at.whole_revision();
        let start = Place::end_of(seen);
        Self {
            name: name.to_owned(),
            start,
            first: start,
            seen,
            index: 0,
            last: None,
            mirror: Mirror::default(),
            transitions: VecDeque::new(),
            loading: Some(layout.entries().0),
            watch: None,
            waiting: None,
            last_read: Instant::now(),
        }
    }

    /// Reads everything up to a revision, and what has come besides.
    pub(super) async fn catch_up(
        &mut self,
        client: &EtcdClient,
        layout: &RosterLayout,
        end: i64,
    ) -> Result<(), CallError> {
        self.last_read = Instant::now();
        self.load(client, layout).await?;
        let is_stalled = self.waiting.is_some_and(|since| since.elapsed() > STALLED);
        self.watch
            .take_if(|watch| is_stalled || !watch.is_at(client));
        let mut has_failed = false;
        loop {
            match self.advance(client, layout, end).await {
                Ok(()) => return Ok(()),
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

    /// Takes what the watch brings, up to a revision, and what it has brought besides.
    async fn advance(
        &mut self,
        client: &EtcdClient,
        layout: &RosterLayout,
        end: i64,
    ) -> Result<(), CallError> {
        self.open(client, layout).await?;
        while let Some(watch) = &mut self.watch {
            let is_behind = self.seen < end;
            self.waiting = is_behind.then(|| self.waiting.unwrap_or_else(Instant::now));
            let events = if is_behind {
                watch.next().await?
            } else {
                match timeout(Duration::ZERO, watch.next()).await {
                    Ok(events) => events?,
                    Err(_) => break,
                }
            };
            self.take(layout, &events);
        }
        Ok(())
    }

    /// Begins to watch, unless it does, if the store has what was seen.
    async fn open(&mut self, client: &EtcdClient, layout: &RosterLayout) -> Result<(), CallError> {
        if self.watch.is_some() {
            return Ok(());
        }
        let last = tail_at(client, layout, self.seen).await?.last;
        if self.last.is_some() && self.last != last {
            return Err(CallError::RevisionGone);
        }
        self.last = last;
        let watch = client.watch(layout.watched(), self.seen + 1).await?;
        self.watch = Some(watch);
        Ok(())
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

    fn take(&mut self, layout: &RosterLayout, events: &[Event]) {
        // Some versions of etcd repeat events.
        let before = self.seen;
        for event in events {
            let Some(kv) = event.kv.as_ref().filter(|kv| kv.mod_revision > before) else {
                continue;
            };
            let revision = kv.mod_revision;
            if revision != self.seen {
                (self.seen, self.index) = (revision, 0);
            }
            if kv.key == layout.journal_key() {
                self.last = LastPut::parse(kv);
            } else if let Some(transition) = self.mirror.apply(layout, event) {
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

    /// Whether nobody has read it for long.
    pub(super) fn is_idle(&self) -> bool {
        self.last_read.elapsed() > IDLE
    }

    /// What is kept behind a place.
    pub(super) fn read(&self, at: Place) -> JournalReply {
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
