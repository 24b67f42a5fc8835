//! How an emit finds its client: cached route, registry, link.
//!
//! Owns the routing rule, a step at a time.

use std::sync::Arc;

use tieline_registry::{Owner, Stamp};

use super::{
    node::ProcessState,
    state::{ID, Simulation},
};
use crate::expect::expect_reply;

/// An emit on its way.
#[derive(Debug, Default)]
pub(crate) struct Emit {
    /// Where it goes next, with the stamp that the registry named; none for a cached route.
    next: Option<(Arc<str>, Option<Stamp>)>,
    /// Who said last that the client is not there.
    tried: Option<(Arc<str>, Option<Stamp>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmitOutcome {
    Delivered,
    Offline,
    Unreachable,
}

impl Emit {
    /// An emit by a route that some earlier one found.
    pub(crate) fn by_route(to: Arc<str>) -> Self {
        Self {
            next: Some((to, None)),
            tried: None,
        }
    }
}

impl Simulation<'_> {
    /// Emits to the client, with no route known.
    pub(crate) async fn emit(&self) -> EmitOutcome {
        self.run_emit(Emit::default()).await
    }

    pub(crate) async fn run_emit(&self, mut emit: Emit) -> EmitOutcome {
        // Asked and sent, eight times.
        for _ in 0..16 {
            if let Some(emitted) = self.emit_step(&mut emit).await {
                return emitted;
            }
        }
        panic!("I5: an emit goes in circles");
    }

    /// Asks the registry, or sends to where it goes next.
    pub(crate) async fn emit_step(&self, emit: &mut Emit) -> Option<EmitOutcome> {
        if let Some((to, stamp)) = emit.next.take() {
            return self.send_to(emit, to, stamp);
        }
        let Some(entry) = expect_reply(self.registry.locate(ID, true).await) else {
            return Some(EmitOutcome::Offline);
        };
        match entry.owner {
            // A foreign node answers for itself.
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
            Some(node) if self.nodes[node].live.contains_key(ID) => Some(EmitOutcome::Delivered),
            _ => {
                emit.tried = Some((to, stamp));
                None
            }
        }
    }

    fn reachable(&self, address: &str) -> bool {
        self.node_at(address)
            .is_some_and(|node| self.nodes[node].process_state != ProcessState::Down)
    }
}
