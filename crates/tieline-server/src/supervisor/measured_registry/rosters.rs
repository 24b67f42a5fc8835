//! The same for rosters.

use std::time::Duration;

use tieline::{
    Position,
    registry::{
        BeatReply, Cursor, HookReply, JournalReply, OpenReply, Page, Put, PutReply, RegistryFuture,
        RosterKind, RosterName, RosterPage, RosterReply, Rosters, TendReply, Term,
    },
};

use super::{MeasuredRegistry, Operation};

impl MeasuredRegistry {
    fn inner_rosters(&self) -> &dyn Rosters {
        let rosters = self.inner.rosters();
        rosters.expect("whoever asks was given them by the registry")
    }

    fn measure_roster<'a, T: Send + 'a>(
        &'a self,
        request: RegistryFuture<'a, T>,
    ) -> RegistryFuture<'a, T> {
        self.measure(Operation::Roster, request)
    }
}

impl Rosters for MeasuredRegistry {
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply> {
        self.measure_roster(self.inner_rosters().open(term))
    }

    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply> {
        self.measure_roster(self.inner_rosters().beat(term))
    }

    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply> {
        self.measure_roster(self.inner_rosters().put(term, put))
    }

    fn tend(&self, lease: Duration) -> RegistryFuture<'_, TendReply> {
        self.measure_roster(self.inner_rosters().tend(lease))
    }

    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()> {
        self.measure_roster(self.inner_rosters().end(term, after))
    }

    fn roster<'a>(
        &'a self,
        roster: &'a RosterName,
        most: usize,
    ) -> RegistryFuture<'a, RosterReply> {
        self.measure_roster(self.inner_rosters().roster(roster, most))
    }

    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage> {
        self.measure_roster(self.inner_rosters().page(roster, from))
    }

    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>> {
        self.measure_roster(self.inner_rosters().rosters(kind, from))
    }

    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply> {
        self.measure_roster(self.inner_rosters().read(after))
    }

    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply> {
        self.measure_roster(self.inner_rosters().hook(term, reached))
    }
}
