//! Who is in a roster, and which rosters there are.
//!
//! Owns the pages. All pages of one walk are of one revision, unless etcd has compacted it meanwhile; then the walk goes
//! on at another one, with another end of the journal. Invariant: the entries of one user are on one page.

use std::{str, sync::Arc};

use bytes::Bytes;

use super::{
    call_error::CallError,
    client::RetrySafety,
    journal::Tail,
    place::Place,
    registry::EtcdRegistry,
    roster_layout::{Statement, user_part},
    rpc::{KeyValue, RangeRequest, RangeResponse, TxnRequest, get, range},
};
use crate::{
    roster::{Member, Position, RosterKind, RosterName, RosterPage, RosterReply},
    types::{Cursor, Page},
};

/// Entries of one page.
const PAGE: i64 = 1000;

/// Keys of one request that counts.
const KEYS: i64 = 10_000;

/// Where a walk over a roster goes on.
pub(super) struct Walk {
    revision: i64,
    /// The end of the journal at that revision.
    tail: Position,
    key: Bytes,
}

impl Walk {
    fn cursor(&self) -> Cursor {
        let mut text = format!("{} {} ", self.revision, self.tail.as_str()).into_bytes();
        text.extend_from_slice(&self.key);
        Cursor(text)
    }

    /// `None` if it is none of a roster on etcd.
    pub(super) fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.splitn(3, |byte| *byte == b' ');
        let mut text = || str::from_utf8(parts.next()?).ok();
        let (revision, tail) = (text()?.parse().ok()?, text()?);
        let key = Bytes::copy_from_slice(parts.next()?);
        let tail = match Place::parse(tail) {
            Some((journal, place)) => place.position(journal),
            None => Position::new(tail),
        };
        Some(Self {
            revision,
            tail,
            key,
        })
    }
}

/// Users of a roster, in the order of their keys.
#[derive(Default)]
struct Users {
    count: u64,
    /// What the keys of the last user begin with.
    last: Bytes,
}

impl Users {
    /// Counts the users of the next entries.
    fn count(&mut self, kvs: &[KeyValue]) {
        for kv in kvs {
            let user = user_part(&kv.key);
            if *user != *self.last {
                self.count += 1;
                self.last = kv.key.slice(..user.len());
            }
        }
    }
}

impl EtcdRegistry {
    pub(super) async fn do_roster(
        &self,
        roster: &RosterName,
        most: usize,
    ) -> Result<RosterReply, CallError> {
        let keys = self.rosters.entries_of(roster);
        let (mut page, tail, revision) = self.first_page(keys.clone()).await?;
        let (mut users, mut entries) = (Users::default(), Vec::new());
        let is_within = |count| usize::try_from(count).is_ok_and(|count| count <= most);
        loop {
            users.count(&page.kvs);
            let next = page.next_key();
            let keeps = is_within(users.count);
            if keeps {
                entries.append(&mut page.kvs);
            }
            let Some(key) = next else { break };
            let range = RangeRequest {
                key,
                range_end: keys.1.clone(),
                limit: if keeps { PAGE } else { KEYS },
                keys_only: !keeps,
                revision,
                ..RangeRequest::default()
            };
            page = self.client.call(RetrySafety::Idempotent, range).await?;
        }
        Ok(RosterReply {
            tail: tail.position(),
            count: users.count,
            members: is_within(users.count).then(|| self.members(&entries)),
        })
    }

    pub(super) async fn do_page(
        &self,
        roster: &RosterName,
        walk: Option<Walk>,
    ) -> Result<RosterPage, CallError> {
        let (first, range_end) = self.rosters.entries_of(roster);
        // A cursor leads to no other roster.
        let key = walk.as_ref().map_or(Bytes::new(), |walk| walk.key.clone());
        let key = key.max(first);
        let revision = walk.as_ref().map_or(0, |walk| walk.revision);
        let of_walk = RangeRequest {
            key: key.clone(),
            range_end: range_end.clone(),
            limit: PAGE,
            revision,
            ..RangeRequest::default()
        };
        let read = match walk {
            None => Err(CallError::RevisionGone),
            Some(walk) => {
                let page = self.client.call(RetrySafety::Idempotent, of_walk).await;
                page.map(|page| (page, walk.tail, walk.revision))
            }
        };
        let (mut page, tail, revision) = match read {
            Ok(read) => read,
            Err(CallError::RevisionGone) => {
                let (page, tail, revision) = self.first_page((key, range_end)).await?;
                (page, tail.position(), revision)
            }
            Err(error) => return Err(error),
        };
        let next = whole_users(&mut page).map(|key| Walk {
            revision,
            tail: tail.clone(),
            key,
        });
        Ok(RosterPage {
            members: self.members(&page.kvs),
            next: next.as_ref().map(Walk::cursor),
            tail,
        })
    }

    /// A page, with the end of the journal and the revision at which both were read.
    async fn first_page(
        &self,
        (key, range_end): (Bytes, Bytes),
    ) -> Result<(RangeResponse, Tail, i64), CallError> {
        let page = RangeRequest {
            key,
            range_end,
            limit: PAGE,
            ..RangeRequest::default()
        };
        let txn = TxnRequest {
            compare: Vec::new(),
            success: vec![range(page), get(self.rosters.journal_key())],
            failure: Vec::new(),
        };
        let response = self.client.call(RetrySafety::Idempotent, txn).await?;
        let revision = response.revision();
        let mut found = response.ranges();
        let mut next = || found.next().unwrap_or_default();
        Ok((next(), next().tail(), revision))
    }

    /// The users of entries, which come in the order of their keys.
    fn members(&self, entries: &[KeyValue]) -> Vec<Member> {
        let of_user = entries.chunk_by(|one, other| user_part(&one.key) == user_part(&other.key));
        let member = |entries: &[KeyValue]| {
            let user = self.rosters.parse(&entries.first()?.key)?.user;
            let said = entries.iter().map(Statement::parse).max()?;
            let info = Arc::clone(&said.info);
            Some(Member { user, info })
        };
        of_user.filter_map(member).collect()
    }

    /// A page ends with the last entry of a roster, or with the whole roster that it has reached.
    pub(super) async fn do_rosters(
        &self,
        kind: RosterKind,
        from: &Cursor,
    ) -> Result<Page<RosterName>, CallError> {
        let (first, range_end) = self.rosters.entries_of_kind(kind);
        let range = RangeRequest {
            key: first.max(Bytes::copy_from_slice(&from.0)),
            range_end,
            limit: PAGE,
            keys_only: true,
            ..RangeRequest::default()
        };
        let page = self.client.call(RetrySafety::Idempotent, range).await?;
        let keys = page.kvs.iter();
        let rosters = keys.filter_map(|kv| Some(self.rosters.parse(&kv.key)?.roster));
        let mut items: Vec<_> = rosters.collect();
        items.dedup();
        let last = items.last().filter(|_| page.more);
        let next = last.map(|last| Cursor(self.rosters.entries_of(last).1.to_vec()));
        Ok(Page { items, next })
    }
}

/// Leaves the last user to the next page if not all of its entries may be on this one. Returns where that begins.
fn whole_users(page: &mut RangeResponse) -> Option<Bytes> {
    let end = page.next_key()?;
    let last = user_part(&page.kvs.last()?.key).len();
    let last = page.kvs.last()?.key.slice(..last);
    let whole = page.kvs.partition_point(|kv| *user_part(&kv.key) < *last);
    if whole == 0 {
        // One user at a thousand nodes.
        return Some(end);
    }
    page.kvs.truncate(whole);
    Some(last)
}
