//! Terms, puts, and the dispatcher's place.
//!
//! A term is a lease: its name is made from that of the term, so nothing has to be remembered. All that a term has
//! entered is bound to the lease, and ends with it at one revision; so there is nothing to tend. The *fence* of a term
//! is the revision at which its key was last written. Each put compares it, and moves it: what is late finds another
//! one. Invariant: entries are written and removed only behind the fence of their term.

use std::time::Duration;

use super::{
    batch::BATCH,
    call_error::CallError,
    client::RetrySafety,
    journal::{LastPut, Tail},
    lifecycle::seconds,
    place::Place,
    registry::EtcdRegistry,
    roster_layout::{Statement, lease_of, term_text},
    rpc::{
        KeepAlives, KeyValue, LeaseGrantRequest, LeaseRevokeRequest, RangeResponse, RequestOp,
        TxnRequest, delete, get, nested, put, revision_is, value_is,
    },
};
use crate::roster::{
    BeatReply, HookReply, ItemOutcome, OpenReply, Position, Pulse, Put, PutItem, PutOp, PutReply,
    RosterKind, Term,
};

/// The keys and values of one transaction, in bytes: etcd's limit is 1.5 MiB with all that is around them.
const TXN_BYTES: usize = 1 << 20;

/// What a transaction answers to a part of a put.
enum Part {
    /// Carried out. The fence has moved here.
    Done(i64),
    /// Not carried out, because of this.
    Refused(PutReply),
}

/// A term's life.
impl EtcdRegistry {
    pub(super) async fn do_open(&self, term: &Term) -> Result<OpenReply, CallError> {
        let lease = lease_of(term);
        let ttl = seconds(term.time_to_live());
        let grant = LeaseGrantRequest { ttl, id: lease };
        match self.client.call(RetrySafety::Idempotent, grant).await {
            // The answer to the first attempt was lost.
            Ok(_) | Err(CallError::LeaseExists) => {}
            Err(error) => return Err(error),
        }
        let journal = self.rosters.journal_key();
        let first = LastPut::value(&term_text(lease));
        let begin_journal = TxnRequest {
            compare: vec![revision_is(journal.clone(), 0)],
            success: vec![put(journal.clone(), first, 0)],
            failure: Vec::new(),
        };
        let txn = TxnRequest {
            compare: Vec::new(),
            success: vec![
                put(self.rosters.term_key(lease), "", lease),
                nested(begin_journal),
                get(journal),
            ],
            failure: Vec::new(),
        };
        let response = match self.client.call(RetrySafety::Idempotent, txn).await {
            Ok(response) => response,
            Err(CallError::LeaseGone) => return Ok(OpenReply::Lost),
            Err(error) => return Err(error),
        };
        let fence = response.revision();
        let tail = response.ranges().next().unwrap_or_default().tail();
        self.note_journal(&tail);
        Ok(OpenReply::Opened {
            stands: fence.unsigned_abs(),
            tail: tail.position(),
        })
    }

    pub(super) async fn do_beat(&self, term: &Term) -> Result<BeatReply, CallError> {
        self.forget_idle_journal();
        let lease = lease_of(term);
        let renew = KeepAlives(vec![lease]);
        let read = TxnRequest {
            compare: Vec::new(),
            success: vec![
                get(self.rosters.term_key(lease)),
                get(self.rosters.journal_key()),
            ],
            failure: Vec::new(),
        };
        let renewed = self.client.call(RetrySafety::Idempotent, renew);
        let found = self.client.call(RetrySafety::Idempotent, read);
        let (renewed, found) = tokio::join!(renewed, found);
        let (renewed, mut found) = (renewed?, found?.ranges());
        let fence = found.next().as_ref().and_then(only).map(fence_of);
        let is_renewed = renewed.iter().all(|ttl| *ttl > 0);
        let Some(stands) = fence.filter(|_| is_renewed) else {
            return Ok(BeatReply::Lost);
        };
        let tail = found.next().unwrap_or_default().tail();
        self.note_journal(&tail);
        Ok(BeatReply::Renewed(Pulse {
            stands,
            tail: tail.position(),
            entries: None,
            hold: Duration::ZERO,
        }))
    }

    /// A lease cannot be made shorter: a term that is not to end at once lives as long as if its node had died.
    pub(super) async fn do_end(&self, term: &Term, after: Duration) -> Result<(), CallError> {
        if !after.is_zero() {
            return Ok(());
        }
        let id = lease_of(term);
        let revoke = LeaseRevokeRequest { id };
        match self.client.call(RetrySafety::Idempotent, revoke).await {
            Ok(_) | Err(CallError::LeaseGone) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Puts.
impl EtcdRegistry {
    pub(super) async fn do_put(&self, term: &Term, put: &Put) -> Result<PutReply, CallError> {
        let outcomes = self.outcomes(term, put).await?;
        let mut admitted = Vec::with_capacity(outcomes.len());
        for (item, outcome) in put.items.iter().zip(&outcomes) {
            if *outcome == ItemOutcome::Done {
                admitted.push(item);
            }
        }
        let mut fence = i64::try_from(put.acknowledged).unwrap_or(i64::MAX);
        let mut left = &*admitted;
        // At least once: that nobody was admitted says nothing about the term.
        loop {
            let (part, rest) = left.split_at(self.fit_one_txn(left));
            fence = match self.put_part(term, fence, part).await? {
                Part::Done(fence) => fence,
                Part::Refused(reply) => return Ok(reply),
            };
            left = rest;
            if left.is_empty() {
                return Ok(PutReply::Done {
                    stands: fence.unsigned_abs(),
                    outcomes,
                });
            }
        }
    }

    /// How many of these items fit one transaction.
    fn fit_one_txn(&self, items: &[&PutItem]) -> usize {
        let mut bytes = 0;
        let fits = items.iter().take_while(|item| {
            let key = self.rosters.entry_key(&item.roster, &item.user, 0);
            // The key of who is entered again is compared, too.
            bytes += 2 * key.len() + item.info.len();
            bytes <= TXN_BYTES
        });
        fits.count().max(1).min(items.len())
    }

    async fn put_part(
        &self,
        term: &Term,
        fence: i64,
        items: &[&PutItem],
    ) -> Result<Part, CallError> {
        let lease = lease_of(term);
        let key = self.rosters.term_key(lease);
        let journal = LastPut::value(&self.journal_name().await?);
        let writes = items.chunks(BATCH).map(|items| {
            let writes = items.iter().map(|item| self.write(item, lease));
            nested(TxnRequest {
                compare: Vec::new(),
                success: writes.collect(),
                failure: Vec::new(),
            })
        });
        let own = [
            put(key.clone(), "", lease),
            put(self.rosters.journal_key(), journal, 0),
        ];
        let txn = TxnRequest {
            compare: vec![revision_is(key.clone(), fence)],
            success: own.into_iter().chain(writes).collect(),
            failure: vec![get(key)],
        };
        let response = match self.client.call(RetrySafety::SendOnce, txn).await {
            Ok(response) => response,
            Err(CallError::LeaseGone) => return Ok(Part::Refused(PutReply::Lost)),
            Err(error) => return Err(error),
        };
        if response.succeeded {
            return Ok(Part::Done(response.revision()));
        }
        let stands = response.reads().next().flatten().map(|kv| fence_of(&kv));
        Ok(Part::Refused(match stands {
            None => PutReply::Lost,
            Some(stands) if stands < fence.unsigned_abs() => PutReply::Loss,
            Some(stands) => PutReply::Stale { stands },
        }))
    }

    /// The name of the journal. It is another one only once all terms are lost, so what a term has learned stays true
    /// as long as it has the right to put.
    async fn journal_name(&self) -> Result<String, CallError> {
        let known = self.journal_name.lock().clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let tail = self.tail().await?;
        self.note_journal(&tail);
        let name = tail.last.map(|put| put.name);
        Ok(name.unwrap_or_default())
    }

    fn note_journal(&self, tail: &Tail) {
        if let Some(put) = &tail.last {
            *self.journal_name.lock() = Some(put.name.clone());
        }
    }

    fn write(&self, item: &PutItem, lease: i64) -> RequestOp {
        let key = self.rosters.entry_key(&item.roster, &item.user, lease);
        let write = |is_fresh| {
            let value = Statement::value(is_fresh, &item.info);
            put(key.clone(), value, lease)
        };
        // Rosters of other kinds have no information, so there is none that a write would replace.
        let says_nothing = item.info.is_empty() && item.roster.kind() == RosterKind::Members;
        match item.op {
            PutOp::Leave => delete(key),
            PutOp::Enter if !says_nothing => write(true),
            // What is there stays as it is.
            PutOp::Enter | PutOp::Reenter => nested(TxnRequest {
                compare: vec![revision_is(key.clone(), 0)],
                success: vec![write(false)],
                failure: Vec::new(),
            }),
        }
    }
}

/// The dispatcher's place.
impl EtcdRegistry {
    pub(super) async fn do_hook(
        &self,
        term: &Term,
        reached: Option<&Position>,
    ) -> Result<HookReply, CallError> {
        match reached {
            Some(reached) => self.keep_hook(term, reached).await,
            None => self.take_hook(term).await,
        }
    }

    async fn take_hook(&self, term: &Term) -> Result<HookReply, CallError> {
        let (lease, by) = (lease_of(term), self.rosters.dispatcher_key());
        let reads = || {
            let keys = [by.clone(), self.rosters.dispatched_key()];
            let keys = keys.into_iter().chain([self.rosters.journal_key()]);
            keys.map(get)
        };
        let take = [put(by.clone(), term_text(lease), lease)];
        let txn = TxnRequest {
            compare: vec![revision_is(by.clone(), 0)],
            success: take.into_iter().chain(reads()).collect(),
            failure: reads().collect(),
        };
        let response = match self.client.call(RetrySafety::Idempotent, txn).await {
            Ok(response) => response,
            Err(CallError::LeaseGone) => return Ok(HookReply::Lost),
            Err(error) => return Err(error),
        };
        let mut found = response.ranges();
        let mut next = || found.next().unwrap_or_default();
        let (by, at, tail) = (next(), next(), next().tail());
        if only(&by).is_none_or(|by| by.value != term_text(lease)) {
            return Ok(HookReply::Busy);
        }
        let at = only(&at).map(|at| String::from_utf8_lossy(&at.value));
        let at = at.as_deref().and_then(Place::parse);
        // A place in a journal that is lost is none.
        let is_lost = |name: &str| tail.last.as_ref().is_none_or(|put| put.name != name);
        Ok(match at.filter(|(journal, _)| !is_lost(journal)) {
            Some((journal, place)) => HookReply::Held(place.position(journal)),
            None => HookReply::Reset(tail.position()),
        })
    }

    async fn keep_hook(&self, term: &Term, reached: &Position) -> Result<HookReply, CallError> {
        let by = term_text(lease_of(term));
        let at = put(
            self.rosters.dispatched_key(),
            reached.as_str().to_owned(),
            0,
        );
        let txn = TxnRequest {
            compare: vec![value_is(self.rosters.dispatcher_key(), by)],
            success: vec![at],
            failure: Vec::new(),
        };
        let response = self.client.call(RetrySafety::SendOnce, txn).await?;
        Ok(if response.succeeded {
            HookReply::Held(reached.clone())
        } else {
            HookReply::Lost
        })
    }
}

fn only(range: &RangeResponse) -> Option<&KeyValue> {
    range.kvs.first()
}

fn fence_of(kv: &KeyValue) -> u64 {
    kv.mod_revision.unsigned_abs()
}
