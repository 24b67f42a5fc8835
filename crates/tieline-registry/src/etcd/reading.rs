//! Reads of the journal.
//!
//! Owns when what is known of the journal is right for a read, and when it is forgotten.

use tokio::time::timeout;

use super::{
    call_error::CallError,
    journal::{Journal, Tail, tail_at},
    place::Place,
    registry::EtcdRegistry,
};
use crate::roster::{JournalReply, Position};

impl EtcdRegistry {
    pub(super) async fn do_read(&self, after: &Position) -> Result<JournalReply, CallError> {
        let Some((name, at)) = Place::parse(after.as_str()) else {
            return Ok(JournalReply::Broken);
        };
        let mut slot = self.journal.lock().await;
        let tail = self.tail().await?;
        let is_lost = |own: &str, seen| {
            let last = tail.last.as_ref();
            last.is_none_or(|put| put.name != own) || seen > tail.read_at
        };
        slot.take_if(|journal| is_lost(&journal.name, journal.seen));
        let (false, Some(last)) = (is_lost(name, at.revision), &tail.last) else {
            return Ok(JournalReply::Broken);
        };
        if slot.as_ref().is_some_and(|journal| at < journal.start) {
            // Others read it: it is given up only if one can begin earlier.
            let earlier = tail_at(&self.client, &self.rosters, at.whole_revision());
            match earlier.await {
                Ok(_) => *slot = None,
                Err(CallError::RevisionGone) => return Ok(JournalReply::Broken),
                Err(error) => return Err(error),
            }
        }
        let journal = slot.get_or_insert_with(|| Journal::begin(&self.rosters, name, at));
        let caught_up = journal.catch_up(&self.client, &self.rosters, last.revision);
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
    pub(super) async fn tail(&self) -> Result<Tail, CallError> {
        tail_at(&self.client, &self.rosters, 0).await
    }

    /// Forgets the journal if nobody reads it.
    pub(super) fn forget_idle_journal(&self) {
        if let Ok(mut slot) = self.journal.try_lock() {
            slot.take_if(|journal| journal.is_idle());
        }
    }
}
