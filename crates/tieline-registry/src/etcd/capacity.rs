//! Which rosters are full.
//!
//! Owns what becomes of the items of a put. They are counted before the put, so users of two nodes who come at the same
//! moment may both be admitted: the limit is not a promise to the last seat.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::{
    batch::BATCH,
    call_error::CallError,
    client::RetrySafety,
    registry::EtcdRegistry,
    roster_layout::{lease_of, user_part},
    rpc::{RangeRequest, RangeResponse, RequestOp, TxnRequest, range},
};
use crate::roster::{ItemOutcome, Put, PutItem, PutOp, RosterName, Term};

/// Keys of one request.
const PAGE: i64 = 10_000;

/// How many entries each user of a roster has, by what their keys begin with.
type Seats = HashMap<Bytes, u32>;

impl EtcdRegistry {
    /// What becomes of each item if the put is carried out.
    pub(super) async fn outcomes(
        &self,
        term: &Term,
        put: &Put,
    ) -> Result<Vec<ItemOutcome>, CallError> {
        let mut outcomes = vec![ItemOutcome::Done; put.items.len()];
        let Some(limit) = put.limit.map(|limit| limit as usize) else {
            return Ok(outcomes);
        };
        let mut of_rosters: BTreeMap<&RosterName, Vec<usize>> = BTreeMap::new();
        for (index, item) in put.items.iter().enumerate() {
            of_rosters.entry(&item.roster).or_default().push(index);
        }
        let is_entered = |indexes: &Vec<usize>| {
            let mut items = indexes.iter().map(|index| &put.items[*index]);
            items.any(|item| item.op == PutOp::Enter)
        };
        of_rosters.retain(|_, indexes| is_entered(indexes));
        let counts = of_rosters.keys().map(|roster| {
            let (key, range_end) = self.rosters.entries_of(roster);
            range(RangeRequest {
                key,
                range_end,
                count_only: true,
                ..RangeRequest::default()
            })
        });
        let counts = self.read_ranges(counts.collect()).await?;
        for ((roster, indexes), found) in of_rosters.into_iter().zip(counts) {
            // Entries, of which a user may have several.
            let entries = usize::try_from(found.count).unwrap_or(usize::MAX);
            if entries.saturating_add(indexes.len()) > limit {
                let items: Vec<_> = indexes.iter().map(|index| &put.items[*index]).collect();
                let full = self.full(term, roster, &items, limit).await?;
                for index in full {
                    outcomes[indexes[index]] = ItemOutcome::Full;
                }
            }
        }
        Ok(outcomes)
    }

    /// Those of these items, which are of one roster, who find it full.
    async fn full(
        &self,
        term: &Term,
        roster: &RosterName,
        items: &[&PutItem],
        limit: usize,
    ) -> Result<Vec<usize>, CallError> {
        let mut seats = self.seats(roster, items, limit).await?;
        let lease = lease_of(term);
        let mut full = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let key = self.rosters.entry_key(roster, &item.user, lease);
            let user = key.slice(..user_part(&key).len());
            match item.op {
                PutOp::Enter if !seats.contains_key(&user) && seats.len() >= limit => {
                    full.push(index);
                }
                // One more or less of a user who is there at other nodes too makes no difference.
                PutOp::Enter | PutOp::Reenter => _ = seats.entry(user).or_insert(1),
                PutOp::Leave if seats.get(&user) == Some(&1) => _ = seats.remove(&user),
                PutOp::Leave => {}
            }
        }
        Ok(full)
    }

    /// The users of a roster: all, or as many as make it full, and those of these items.
    async fn seats(
        &self,
        roster: &RosterName,
        items: &[&PutItem],
        limit: usize,
    ) -> Result<Seats, CallError> {
        let mut seats = Seats::new();
        let count = |seats: &mut Seats, found: &RangeResponse| {
            for kv in &found.kvs {
                let user = kv.key.slice(..user_part(&kv.key).len());
                *seats.entry(user).or_insert(0) += 1;
            }
        };
        let (key, range_end) = self.rosters.entries_of(roster);
        let mut next = Some(key);
        while seats.len() < limit
            && let Some(key) = next
        {
            let page = RangeRequest {
                key,
                range_end: range_end.clone(),
                limit: PAGE,
                keys_only: true,
                ..RangeRequest::default()
            };
            let page = self.client.call(RetrySafety::Idempotent, page).await?;
            count(&mut seats, &page);
            next = page.next_key();
        }
        if next.is_none() {
            return Ok(seats);
        }
        let users = items.iter().map(|item| {
            let (key, range_end) = self.rosters.entries_of_user(roster, &item.user);
            range(RangeRequest {
                key,
                range_end,
                keys_only: true,
                ..RangeRequest::default()
            })
        });
        for (found, item) in self.read_ranges(users.collect()).await?.iter().zip(items) {
            // They may have been counted in part.
            seats.remove(&self.rosters.entries_of_user(roster, &item.user).0);
            count(&mut seats, found);
        }
        Ok(seats)
    }

    /// Reads many ranges, some in each request.
    async fn read_ranges(&self, ranges: Vec<RequestOp>) -> Result<Vec<RangeResponse>, CallError> {
        let mut found = Vec::with_capacity(ranges.len());
        for some in ranges.chunks(BATCH) {
            let txn = TxnRequest {
                compare: Vec::new(),
                success: some.to_vec(),
                failure: Vec::new(),
            };
            let response = self.client.call(RetrySafety::Idempotent, txn).await?;
            found.extend(response.ranges());
        }
        Ok(found)
    }
}
