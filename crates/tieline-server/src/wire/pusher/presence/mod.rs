//! Who is there: the members of presence channels, who is signed in, and who watches whom.
//!
//! Owns what clients are told of it. Must not know how a roster is kept, which is the library's part. Invariants: what
//! a client is told of a presence channel is its members and then each that comes and goes, once and never itself; a
//! connection is a member for exactly as long as it is subscribed.

mod member;
mod membership;
mod room;
mod rooms;
mod signed_in;
mod watched;
pub(super) mod watchlist;

pub(super) use self::{
    member::{InvalidMember, Member},
    membership::{EnterError, Membership},
    rooms::Rooms,
    signed_in::SignedIn,
    watched::WatchedUsers,
};
