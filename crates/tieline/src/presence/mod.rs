//! Who is in which group, over the whole cluster.
//!
//! Owns what a node enters in the rosters of the registry, what it follows of them, and the cluster's one dispatcher.
//! Must not know connections, hubs or HTTP: the application says who comes and goes. Invariants: the registry alone
//! decides who is a member and in which order that changes, and no node tells another; what is told of a group at a
//! version is the roster at that version; every queue has a bound, and a subscriber that falls behind gets everything
//! anew.
//!
//! What is entered and what is followed are the pure state machines of `tieline_registry`, which the conformance
//! suite drives too. From top to bottom, each module knows only modules below it:
//!
//! | module | owns |
//! |---|---|
//! | `api` | the public [`Presence`]; it decides nothing |
//! | `limits` | what a handle limits |
//! | `start` | the tasks of a handle |
//! | `writer`, `reader`, `dispatching` | the tasks: what is entered, what is followed, what is dispatched |
//! | `subscribers` | who is told |
//! | `shared` | what the tasks share: the table of what is entered, the registry, the clock |
//! | `following`, `dispatcher`, `config` | what users see of it |

mod api;
mod config;
mod dispatcher;
mod dispatching;
mod follow;
mod following;
mod limits;
mod reader;
mod shared;
mod start;
mod stats;
mod subscribers;
mod writer;

pub use tieline_registry::{Member, Position, TransitionKind, roster_view::Transition};

pub use self::{
    api::Presence,
    config::{EnterOutcome, Exit, PresenceConfig, PresenceError, RosterPart},
    dispatcher::{DispatchError, Dispatcher, Dispatching, PresenceEvent},
    following::{Change, Follower, Following, FollowingUser},
};
