//! The operations of the contract of rosters.
//!
//! Owns the mapping of each operation to its transactions, and the names of the operations in errors.

use std::time::Duration;

use super::{call_error::during, registry::EtcdRegistry, rosters::Walk};
use crate::{
    error::{RegistryError, RegistryErrorKind},
    reply::RegistryFuture,
    roster::{
        BeatReply, HookReply, JournalReply, OpenReply, Position, Put, PutReply, RosterKind,
        RosterName, RosterPage, RosterReply, Term,
    },
    rosters::Rosters,
    types::{Cursor, Page},
};

impl Rosters for EtcdRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        Box::pin(async move { self.do_open(term).await.map_err(during("open a term")) })
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        Box::pin(async move { self.do_beat(term).await.map_err(during("renew a term")) })
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        Box::pin(async move {
            let reply = self.do_put(term, put).await;
            reply.map_err(during("put users in rosters"))
        })
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        Box::pin(async move {
            let ended = self.do_end(term, after).await;
            ended.map_err(during("end a term"))
        })
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        Box::pin(async move {
            let reply = self.do_roster(roster, most).await;
            reply.map_err(during("read a roster"))
        })
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        const OPERATION: &str = "read a page of a roster";
        Box::pin(async move {
            let walk = Walk::parse(&from);
            if walk.is_none() && !from.0.is_empty() {
                let (kind, why) = (
                    RegistryErrorKind::InvalidInput,
                    "the cursor is not from this registry",
                );
                return Err(RegistryError::of_kind(kind, OPERATION, why));
            }
            let page = self.do_page(roster, walk).await;
            page.map_err(during(OPERATION))
        })
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        Box::pin(async move {
            let page = self.do_rosters(kind, &from).await;
            page.map_err(during("list the rosters"))
        })
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        Box::pin(async move {
            let reply = self.do_read(after).await;
            reply.map_err(during("read the journal"))
        })
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        Box::pin(async move {
            let reply = self.do_hook(term, reached).await;
            reply.map_err(during("take the dispatcher's place"))
        })
    }
}
