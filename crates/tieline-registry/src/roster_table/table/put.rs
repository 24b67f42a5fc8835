//! The next put of a node.
//!
//! Owns which items it has, and in which order. Must not know what becomes of it. Invariant: one put is in flight at a
//! time.

use std::{sync::Arc, time::Duration};

use super::{InFlight, MAX_PUT, Put, PutItem, PutOp, RosterTable, SlotKey, Stage};

impl RosterTable {
    /// The next put, if there is anything to put and none is in flight. At most `again` of its items enter again
    /// who was entered before.
    pub fn next_put(&mut self, now: Duration, again: usize) -> Option<Put> {
        if self.is_in_flight || self.term.is_none() {
            return None;
        }
        self.queue_due(now);
        let (mut items, limit) = self.take_fresh(now);
        for _ in 0..again {
            if items.len() == MAX_PUT {
                break;
            }
            let Some(key) = self.again.pop_front() else {
                break;
            };
            let slot = self.slots.get(&key.0, &key.1);
            if slot.is_some_and(|slot| slot.wanted(now) == Some(PutOp::Enter)) {
                // Who was to be entered again has gone, and has come anew since: perhaps with another limit.
                self.fresh.push_back(key);
                continue;
            }
            items.extend(self.take_item(key, now));
        }
        if items.is_empty() {
            return None;
        }
        self.number += 1;
        self.is_in_flight = true;
        self.in_flight_limit = limit;
        Some(Put {
            number: self.number,
            acknowledged: self.acknowledged,
            limit,
            items,
        })
    }

    /// Who has come or gone. A put has one limit, so whoever has come with another waits for the next one.
    fn take_fresh(&mut self, now: Duration) -> (Vec<PutItem>, Option<u32>) {
        let (mut items, mut others) = (Vec::new(), Vec::new());
        let mut limit = None;
        while items.len() < MAX_PUT
            && others.len() < MAX_PUT
            && let Some(key) = self.fresh.pop_front()
        {
            let slot = self.slots.get(&key.0, &key.1);
            let comes = slot.filter(|slot| slot.wanted(now) == Some(PutOp::Enter));
            if comes.is_some_and(|slot| *limit.get_or_insert(slot.limit()) != slot.limit()) {
                others.push(key);
                continue;
            }
            items.extend(self.take_item(key, now));
        }
        others
            .into_iter()
            .rev()
            .for_each(|key| self.fresh.push_front(key));
        (items, limit.unwrap_or(self.limit))
    }

    fn take_item(&mut self, key: SlotKey, now: Duration) -> Option<PutItem> {
        let slot = self.slots.get_mut(&key)?;
        if slot.stage == Stage::InFlight {
            // It was queued twice: a slot of the same user has gone meanwhile.
            return None;
        }
        slot.stage = Stage::Rests;
        let op = slot.wanted(now)?;
        let info = match op {
            PutOp::Enter | PutOp::Reenter => slot.info(),
            PutOp::Leave => Arc::default(),
        };
        slot.stage = Stage::InFlight;
        let (roster, user) = key.clone();
        self.in_flight.push(InFlight {
            key,
            op,
            info: Arc::clone(&info),
        });
        Some(PutItem {
            op,
            roster,
            user,
            info,
        })
    }
}
