//! The rosters of a memory registry, with one deliberate difference.

use std::time::Duration;

use tieline_registry::{
    BeatReply, Cursor, HookReply, JournalReply, OpenReply, Page, Position, Pulse, Put, PutReply,
    Registry, RegistryFuture, RosterKind, RosterName, RosterPage, RosterReply, Rosters, TendReply,
    Term,
};

use super::{MutantRegistry, Mutation};

impl MutantRegistry {
    fn rosters_within(&self) -> &dyn Rosters {
        let inner: &dyn Registry = &*self.inner;
        inner.rosters().expect("the memory registry has rosters")
    }

    /// The put as the mutant carries it out.
    fn mutate_put(&self, put: &Put) -> Put {
        let mut put = put.clone();
        match self.mutation {
            Mutation::IgnoresNumbers => {
                put.acknowledged = 0;
                put.number = self
                    .numbers
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                    + 1;
            }
            Mutation::HidesLoss => put.acknowledged = 0,
            Mutation::IgnoresLimit => put.limit = None,
            _ => {}
        }
        put
    }

    fn mutate_read(&self, reply: JournalReply, after: &Position) -> JournalReply {
        match (self.mutation, reply) {
            (Mutation::IgnoresBreaks, JournalReply::Broken) => JournalReply::Entries {
                entries: Vec::new(),
                reached: after.clone(),
            },
            (
                Mutation::SkipsTransitions,
                JournalReply::Entries {
                    mut entries,
                    reached,
                },
            ) => {
                if entries.len() > 1 {
                    entries.remove(0);
                }
                JournalReply::Entries { entries, reached }
            }
            (
                Mutation::RepeatsTransitions,
                JournalReply::Entries {
                    mut entries,
                    reached,
                },
            ) => {
                if let Some(first) = entries.first().cloned() {
                    entries.insert(0, first);
                }
                JournalReply::Entries { entries, reached }
            }
            (_, reply) => reply,
        }
    }
}

impl Rosters for MutantRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        self.rosters_within().open(term)
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        Box::pin(async move {
            let reply = self.rosters_within().beat(term).await?;
            Ok(match reply {
                BeatReply::Renewed(pulse) if self.is(Mutation::HidesLoss) => {
                    let stands = u64::MAX;
                    BeatReply::Renewed(Pulse { stands, ..pulse })
                }
                other => other,
            })
        })
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        Box::pin(async move {
            let put = self.mutate_put(put);
            self.rosters_within().put(term, &put).await
        })
    }

    fn tend(&self, lease: Duration) -> RegistryFuture<'_, TendReply> {
        if self.is(Mutation::IgnoresHold) {
            // Nothing stands still for half of this.
            return self.rosters_within().tend(Duration::from_hours(1));
        }
        self.rosters_within().tend(lease)
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        if self.is(Mutation::EndsAtOnce) {
            return self.rosters_within().end(term, Duration::ZERO);
        }
        self.rosters_within().end(term, after)
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        self.rosters_within().roster(roster, most)
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        self.rosters_within().page(roster, from)
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        self.rosters_within().rosters(kind, from)
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        Box::pin(async move {
            let reply = self.rosters_within().read(after).await?;
            Ok(self.mutate_read(reply, after))
        })
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        Box::pin(async move {
            let reply = self.rosters_within().hook(term, reached).await?;
            match reply {
                HookReply::Busy if self.is(Mutation::SharesTheHook) => {
                    let tail = RosterName::new(RosterKind::Members, "");
                    let tail = self.rosters_within().roster(&tail, 0).await?.tail;
                    Ok(HookReply::Held(tail))
                }
                other => Ok(other),
            }
        })
    }
}
