//! The connections of this node, and how to reach them.
//!
//! Owns the index of connections, each connection's outbox and socket, the order of unicasts and
//! broadcasts, and the keepalive. Must not know handlers, HTTP, registries or other nodes. Invariants: an
//! id names at most one connection; a broadcast reaches exactly those who were there when it was sent; what
//! one task sends to one client arrives in the order of the calls.
//!
//! From the top: `api` holds the public methods of [`Hub`], `guard` registers connections, `handle` is the
//! application's view of one, `core` finds shards and connections. A shard has an index (`index`) and a
//! queue with its worker (`broadcast`); `shard_map` tells in which shards a scope has members. Below are
//! the connections: `send` queues frames, `room` waits until there is room for them, `cork` delays their
//! flush to the end of a poll, `tick` to the end of a worker's tick, `task_side` is what the connection's
//! task does, `send_side` writes to the socket, `state` is the lifecycle of a connection.

#[cfg(feature = "cluster")]
mod admission;
mod api;
mod batch;
mod block_queue;
mod broadcast;
mod budget;
#[cfg(feature = "cluster")]
mod claimants;
#[cfg(feature = "cluster")]
mod client_op;
mod close_wait;
mod closing;
mod content;
mod context;
mod core;
mod cork;
mod counters;
mod dialect;
mod except;
mod extras;
mod filter;
mod flusher;
mod frame_batch;
mod groups;
mod guard;
mod handle;
mod handlers;
mod index;
mod inner;
mod keepalive;
mod language;
mod line;
mod members;
mod memory;
mod message_writer;
mod multicast;
mod names;
mod namespace;
mod note;
mod numbered;
mod numbering;
mod observation;
mod observer;
mod observers;
mod outbox;
mod outgoing;
mod parts;
mod pieces;
mod population;
mod remote_addr;
mod reports;
mod requests;
mod room;
mod scope;
mod send;
mod send_side;
mod set_user;
mod shard;
mod shard_map;
mod shared_name;
mod shedding;
mod start;
mod state;
mod stats;
mod task_side;
#[cfg(test)]
mod tests;
mod tick;
mod times;
mod tracked;

#[cfg(feature = "tls")]
pub(crate) use self::send_side::send_now;
#[cfg(all(test, feature = "cluster"))]
pub(crate) use self::tests::connect_as;
#[cfg(feature = "cluster")]
pub(crate) use self::{
    admission::{Claimant, Superseded},
    client_op::{AskOp, ClientOp, OpOutcome},
    content::Cast,
    core::Presence,
    namespace::check as check_key,
    observer::{HubObserver, ScopeKey},
    scope::{ExcludedIds, OwnedScope, Scope},
};
pub use self::{
    content::Content,
    core::Hub,
    cork::Cork,
    dialect::{Dialect, DialectId, Dialects},
    except::Except,
    handle::{Connection, JoinError},
    language::{FilterLanguage, Predicate},
    message_writer::MessageWriter,
    note::{Note, NoteKind, NoteOrigin},
    numbering::Numbering,
    observation::Observation,
    observers::{Direction, Observed},
    room::SendError,
    set_user::UserError,
    stats::{Ends, HubStats, Times, Traffic},
};
pub(crate) use self::{
    core::Asked,
    cork::Corked,
    guard::{ConnectionGuard, RegisterError},
    handlers::{HandlerSlot, RequestHandler, RequestPermit, RequestTasks, RunningRequest},
    inner::{ConnectionInfo, ConnectionInner, ConnectionOptions},
    namespace::Namespace,
    outbox::OwnBounds,
    task_side::TaskStream,
};
#[cfg(feature = "bench")]
pub(crate) use self::{
    outbox::{Outbox, OutboxRules, Written},
    reports::Reports,
};
