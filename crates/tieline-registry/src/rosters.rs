//! The contract between nodes and the part of a registry that keeps rosters.
//!
//! Owns [`Rosters`]. Must not know connections, links, HTTP or any store.

use std::{fmt, time::Duration};

use crate::{
    reply::RegistryFuture,
    roster::{
        BeatReply, HookReply, JournalReply, OpenReply, Position, Put, PutReply, RosterKind,
        RosterName, RosterPage, RosterReply, TendReply, Term,
    },
    types::{Cursor, Page},
};

/// Who is in which group: the part of a registry that keeps rosters, and the order in which they change.
///
/// A node enters its users under a [`Term`], a name with a lease. An entry is a term, a roster and a user. A user is
/// a member while any term has an entry of it. The operation that makes a user the first of its name in a roster, or
/// removes the last, appends the transition to the *journal* in the same step, so every transition is in it once, in
/// an order that all readers see.
///
/// # What every registry guarantees
///
/// - A put is carried out only while its term has not ended, and only if no put with its number or a higher one was
///   carried out before. So a late or repeated put does no harm.
/// - A term whose lease has run out and that was not renewed since is ended by [`tend`](Self::tend), or by the
///   registry itself, for good: from then on it answers [`Lost`](PutReply::Lost), and its entries go, however many
///   steps that takes.
/// - After the registry stood still for half a lease, or lost its data, it *holds* for a lease: no term is ended, and
///   no last entry is removed, so that every node has the time to enter again what may be missing. A registry
///   that gives every lease its whole length again after such an event need not.
/// - A [`read`](Self::read) from a position either returns every transition since, in order, or is
///   [`Broken`](JournalReply::Broken).
/// - What is known about a member is what [`Enter`](crate::PutOp::Enter) said last. When the term goes that said it, a
///   registry may fall back to what another one says, and then the journal tells the change.
/// - The data does not grow with the number of past members. The journal keeps about 65,536 transitions.
///
/// The crate `tieline-registry-conformance` tests these and the contract of each method.
pub trait Rosters: fmt::Debug + Send + Sync + 'static {
    /// Begins a term.
    fn open<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, OpenReply>;

    /// Renews a term for its whole length. A node does so every third of its lease.
    fn beat<'a>(&'a self, term: &'a Term) -> RegistryFuture<'a, BeatReply>;

    /// Enters and removes users. A node sends one put of a term at a time.
    fn put<'a>(&'a self, term: &'a Term, put: &'a Put) -> RegistryFuture<'a, PutReply>;

    /// Ends the terms whose lease has run out, and removes some of what they left. Any node may call it at any
    /// time; nodes do twice a second, and again at once while something is left. `lease` is that of the caller.
    ///
    /// The default does nothing: right for a registry that removes the entries of a term itself.
    fn tend(&self, lease: Duration) -> RegistryFuture<'_, TendReply> {
        let _ = lease;
        Box::pin(async { Ok(TendReply::Done { left: 0 }) })
    }

    /// Lets a term end after a time, or at once if that is zero: no beat renews it any more.
    fn end<'a>(&'a self, term: &'a Term, after: Duration) -> RegistryFuture<'a, ()>;

    /// The members of a roster if there are at most `most`; else how many.
    fn roster<'a>(&'a self, roster: &'a RosterName, most: usize)
    -> RegistryFuture<'a, RosterReply>;

    /// About a thousand members of a roster.
    fn page<'a>(&'a self, roster: &'a RosterName, from: Cursor) -> RegistryFuture<'a, RosterPage>;

    /// Some of the rosters of a kind that have members. One may be listed twice; one that has members during the
    /// whole walk is listed at least once.
    fn rosters(&self, kind: RosterKind, from: Cursor) -> RegistryFuture<'_, Page<RosterName>>;

    /// What follows a position in the journal, at least up to where it ended when it was asked for.
    fn read<'a>(&'a self, after: &'a Position) -> RegistryFuture<'a, JournalReply>;

    /// Takes the place of the cluster's one dispatcher for a term, if no term that lives has it; with `reached`,
    /// keeps it, and remembers how far the dispatcher has come.
    fn hook<'a>(
        &'a self,
        term: &'a Term,
        reached: Option<&'a Position>,
    ) -> RegistryFuture<'a, HookReply>;
}
