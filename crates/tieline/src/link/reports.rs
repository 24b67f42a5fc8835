//! Tracked messages that were sent to peers, until the peer reports whether they have left for their clients.
//!
//! Owns who waits for which report. Must not know requests. Invariants: each tracked message has one entry at most, of
//! the peer to which it was sent last; a report of another peer changes nothing; whoever waits is never left waiting by
//! an entry that nobody answers: without its stream, or its delivery, or of a peer that makes no reports, there is none.

use std::{fmt, sync::Arc};

use foldhash::HashMap;
use parking_lot::Mutex;

use super::proto::{Report, ReportKind};
use crate::written::{Tracker, WriteOutcome};

/// Entries of a process; what is sent beyond has no report, and the outcome is unknown.
const MAX_ENTRIES: usize = 65_536;

/// The tracked messages of this process that peers have.
#[derive(Default)]
pub(crate) struct WriteReports(Mutex<HashMap<u64, Entry>>);

struct Entry {
    tracker: Arc<Tracker>,
    peer: Arc<str>,
}

impl WriteReports {
    /// A tracked message is about to be sent to a peer. Returns the number by which the peer reports; 0 if it is not
    /// asked to.
    pub(super) fn expect(&self, tracker: &Arc<Tracker>, peer: &Arc<str>) -> u64 {
        let number = tracker.number();
        let mut entries = self.0.lock();
        if entries.len() >= MAX_ENTRIES && !entries.contains_key(&number) {
            return 0;
        }
        let entry = Entry {
            tracker: Arc::clone(tracker),
            peer: Arc::clone(peer),
        };
        entries.insert(number, entry);
        number
    }

    /// The message was not delivered, or may not have been: no report is waited for.
    pub(super) fn forget(&self, tracker: &Tracker) {
        self.0.lock().remove(&tracker.number());
    }

    /// A peer reports.
    pub(super) fn on_report(&self, peer: &str, report: &Report) {
        let mut entries = self.0.lock();
        let is_from = |entry: &Entry| *entry.peer == *peer;
        if !entries.get(&report.number).is_some_and(is_from) {
            return;
        }
        let entry = entries.remove(&report.number);
        drop(entries);
        if let Some(entry) = entry {
            entry.tracker.decide(report.outcome());
        }
    }

    /// A peer reports no more, because the stream to it has ended, or never, because its version does not. What it has
    /// not received may still be sent elsewhere, so nothing is decided; what nobody holds any more is unknown.
    pub(super) fn forget_all_of(&self, peer: &str) {
        let mut entries = self.0.lock();
        let lost = entries.extract_if(|_, entry| *entry.peer == *peer);
        let lost: Vec<_> = lost.collect();
        drop(entries);
        drop(lost);
    }
}

impl fmt::Debug for WriteReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteReports").finish_non_exhaustive()
    }
}

impl Report {
    /// The report on the message with this number.
    pub(super) fn new(number: u64, outcome: WriteOutcome) -> Self {
        let kind = match outcome {
            WriteOutcome::Written => ReportKind::Written,
            WriteOutcome::Discarded => ReportKind::Discarded,
            WriteOutcome::Lost => ReportKind::Lost,
            WriteOutcome::NotDelivered(_) | WriteOutcome::Unknown => ReportKind::Undetermined,
        };
        let kind = kind.into();
        Self { number, kind }
    }

    /// What whoever waits gets.
    fn outcome(&self) -> WriteOutcome {
        match self.kind() {
            ReportKind::Written => WriteOutcome::Written,
            ReportKind::Discarded => WriteOutcome::Discarded,
            ReportKind::Lost => WriteOutcome::Lost,
            ReportKind::Undetermined => WriteOutcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn sent(
        reports: &WriteReports,
        peer: &str,
    ) -> (Arc<Tracker>, oneshot::Receiver<WriteOutcome>, u64) {
        let (tracker, outcome) = Tracker::new();
        let tracker = Arc::new(tracker);
        let number = reports.expect(&tracker, &peer.into());
        (tracker, outcome, number)
    }

    #[test]
    fn an_outcome_is_the_same_on_the_other_side() {
        for outcome in [
            WriteOutcome::Written,
            WriteOutcome::Discarded,
            WriteOutcome::Lost,
            WriteOutcome::Unknown,
        ] {
            assert_eq!(Report::new(7, outcome).outcome(), outcome);
        }
        let later = Report {
            number: 7,
            kind: 99,
        };
        assert_eq!(later.outcome(), WriteOutcome::Unknown);
    }

    #[tokio::test]
    async fn only_the_peer_that_has_the_message_reports_on_it() {
        let reports = WriteReports::default();
        let (tracker, outcome, number) = sent(&reports, "a:1");
        // It comes back, and goes to another peer.
        reports.forget(&tracker);
        assert_eq!(reports.expect(&tracker, &"b:1".into()), number);
        reports.on_report("a:1", &Report::new(number, WriteOutcome::Lost));
        reports.on_report("b:1", &Report::new(number, WriteOutcome::Written));
        assert_eq!(outcome.await, Ok(WriteOutcome::Written));
        assert!(reports.0.lock().is_empty());
    }

    #[tokio::test]
    async fn a_stream_that_ends_leaves_nobody_waiting_and_decides_nothing() {
        let reports = WriteReports::default();
        let (tracker, outcome, _) = sent(&reports, "a:1");
        let (elsewhere, other, number) = sent(&reports, "b:1");
        reports.forget_all_of("a:1");
        // It was not sent, and finds its client here.
        tracker.decide(WriteOutcome::Written);
        assert_eq!(outcome.await, Ok(WriteOutcome::Written));
        drop(elsewhere);
        reports.on_report("b:1", &Report::new(number, WriteOutcome::Lost));
        assert_eq!(other.await, Ok(WriteOutcome::Lost));
        let (tracker, outcome, _) = sent(&reports, "a:1");
        drop(tracker);
        reports.forget_all_of("a:1");
        assert!(outcome.await.is_err());
    }

    #[test]
    fn there_are_so_many_entries_at_most() {
        let reports = WriteReports::default();
        let all: Vec<_> = (0..MAX_ENTRIES).map(|_| sent(&reports, "a:1")).collect();
        assert!(all.iter().all(|(_, _, number)| *number > 0));
        assert_eq!(sent(&reports, "a:1").2, 0);
        reports.forget(&all[0].0);
        assert!(sent(&reports, "a:1").2 > 0);
    }
}
