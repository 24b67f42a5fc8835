//! The part of a plan that one process runs.
//!
//! Owns how connections, rate and concurrent handshakes are divided. Must not know how parts are run.
//! Invariants: every connection is in exactly one part, and no pair or room is
//! split.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::plan::{Pacing, Plan, Scenario};

/// Connections that may broadcast in `Mixed`, and send nothing else: the first, or the second once the
/// first has ended.
pub(crate) const BROADCASTERS: usize = 2;

/// One process's part of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// The plan, with this process's part of the rate and of the concurrent handshakes.
    pub(crate) plan: Plan,
    /// Number of the first connection.
    pub(crate) first: usize,
    /// Number of connections.
    pub(crate) connections: usize,
    /// The address to connect from to servers on this machine: one address has too few ports for all
    /// processes.
    pub(crate) source: Option<Ipv4Addr>,
}

impl Partition {
    /// The whole plan.
    pub(crate) fn whole(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            first: 0,
            connections: plan.connections,
            source: None,
        }
    }

    /// Number of sockets: the connections, then their receivers.
    pub(crate) fn sockets(&self) -> usize {
        self.connections * sockets_each(&self.plan)
    }

    /// Part `index` of `of`.
    pub(crate) fn part(plan: &Plan, index: usize, of: usize) -> Self {
        let units = plan.connections.div_ceil(unit(plan));
        let cut = |i: usize| (units * i / of * unit(plan)).min(plan.connections);
        let (first, end) = (cut(index), cut(index + 1));
        let mut plan = plan.clone();
        plan.dialing = (plan.dialing / of).max(1);
        plan.pace = pace(&plan, first, end);
        Self {
            first,
            connections: end - first,
            plan,
            source: u8::try_from(index + 1)
                .ok()
                .map(|last| Ipv4Addr::new(127, 0, 0, last)),
        }
    }
}

/// The sockets of a connection: its own, and that of its receiver.
pub(crate) fn sockets_each(plan: &Plan) -> usize {
    1 + usize::from(plan.receiver_url().is_some())
}

/// How many connections stay in one process, because they send to each other: a pair, or a room.
pub(crate) fn unit(plan: &Plan) -> usize {
    match plan.scenario {
        Scenario::Rooms => plan.room.max(1),
        _ => 2,
    }
}

/// The rate of a part, by its share of the senders. A broadcast has one sender, which gets the whole rate.
#[allow(
    clippy::cast_precision_loss,
    reason = "there are fewer connections than 2^52"
)]
fn pace(plan: &Plan, first: usize, end: usize) -> Pacing {
    let others = |end: usize| match plan.scenario {
        Scenario::Mixed => end.saturating_sub(BROADCASTERS),
        _ => end,
    };
    let (own, all) = (others(end) - others(first), others(plan.connections));
    match plan.pace {
        Pacing::PerSecond(rate) if plan.scenario != Scenario::Broadcast => {
            Pacing::PerSecond(rate * own as f64 / all as f64)
        }
        pace => pace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tests::plan;

    #[test]
    fn parts_make_the_whole_and_split_no_pair() {
        for (connections, of) in [(2, 1), (10, 3), (1000, 7), (8, 4)] {
            let mut plan = plan();
            (plan.connections, plan.pace) = (connections, Pacing::PerSecond(100.0));
            let mut next = 0;
            let mut rate = 0.0;
            for index in 0..of {
                let part = Partition::part(&plan, index, of);
                assert_eq!(
                    (part.first, part.first % 2, part.connections % 2),
                    (next, 0, 0)
                );
                next += part.connections;
                if let Pacing::PerSecond(own) = part.plan.pace {
                    rate += own;
                }
            }
            assert_eq!(next, connections);
            assert!((rate - 100.0_f64).abs() < 1e-9);
        }
    }

    #[test]
    fn no_room_is_split() {
        let mut plan = plan();
        (plan.scenario, plan.connections, plan.room) = (Scenario::Rooms, 95, 10);
        let parts: Vec<_> = (0..3).map(|i| Partition::part(&plan, i, 3)).collect();
        let sizes = parts.iter().map(|part| (part.first, part.connections));
        assert_eq!(sizes.collect::<Vec<_>>(), [(0, 30), (30, 30), (60, 35)]);
    }
}
