//! How an emit finds its client: by a cached route, the registry, a peer.
//!
//! Owns the routing rule, one step at a time, so that clients can move between two steps. Must not
//! know claims.

use std::sync::Arc;

use tieline_registry::{Located, Owner, Stamp};

use super::{
    node::ProcessState,
    state::{ID, Simulation},
};
use crate::expect::expect_reply;

/// An emit that is being routed.
#[derive(Debug, Default)]
pub(crate) struct Emit {
    /// The node to try next, with the stamp of its entry; no stamp for a cached route.
    next: Option<(Arc<str>, Option<Stamp>)>,
    /// The node that last answered that it does not have the client. The same answer of the
    /// registry again means offline; a newer stamp means that the client has come back.
    tried: Option<(Arc<str>, Option<Stamp>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmitOutcome {
    Delivered,
    Offline,
    Unreachable,
    /// The client may be connected to a node that has not refilled.
    Unknown,
}

impl Emit {
    /// An emit with a cached route, which may be outdated.
    pub(crate) fn by_route(to: Arc<str>) -> Self {
        Self {
            next: Some((to, None)),
            tried: None,
        }
    }
}

impl Simulation<'_> {
    /// Emits to the client without a cached route.
    pub(crate) async fn emit(&self) -> EmitOutcome {
        self.run_emit(Emit::default()).await
    }

    pub(crate) async fn run_emit(&self, mut emit: Emit) -> EmitOutcome {
        // Eight lookups and eight attempts: more moves than any scenario has.
        for _ in 0..16 {
            if let Some(emitted) = self.emit_step(&mut emit).await {
                return emitted;
            }
        }
        panic!(
            "I5: an emit found neither its client nor an end; look at what `locate` returns in turn"
        );
    }

    /// Asks the registry, or tries the next node. Returns the outcome when there is one.
    pub(crate) async fn emit_step(&self, emit: &mut Emit) -> Option<EmitOutcome> {
        if let Some((to, stamp)) = emit.next.take() {
            return self.send_to(emit, to, stamp);
        }
        let entry = match expect_reply(self.registry.locate(ID, true).await) {
            Located::At(entry) => entry,
            Located::Nowhere => return Some(EmitOutcome::Offline),
            Located::Unknown => return Some(EmitOutcome::Unknown),
        };
        match entry.owner {
            // A legacy node is not simulated; it would deliver.
            Owner::Foreign => Some(EmitOutcome::Delivered),
            Owner::Node { stamp, leased } => {
                let next = Some((entry.address.clone(), Some(stamp)));
                if emit.tried == next || !leased && !self.reachable(&entry.address) {
                    return Some(EmitOutcome::Offline);
                }
                emit.next = next;
                None
            }
        }
    }

    fn send_to(&self, emit: &mut Emit, to: Arc<str>, stamp: Option<Stamp>) -> Option<EmitOutcome> {
        let up = self.node_at(&to).filter(|_| self.reachable(&to));
        match up {
            None if stamp.is_some() => Some(EmitOutcome::Unreachable),
            Some(node) if self.nodes[node].connections.contains_key(ID) => {
                if self.nodes[node].connections[ID].granted {
                    return Some(EmitOutcome::Delivered);
                }
                // Until its claim is decided, the connection may be refused: the emit waits.
                emit.next = Some((to, stamp));
                None
            }
            _ => {
                emit.tried = Some((to, stamp));
                None
            }
        }
    }

    fn reachable(&self, address: &str) -> bool {
        self.node_at(address)
            .is_some_and(|node| self.nodes[node].process_state != ProcessState::Dead)
    }
}
