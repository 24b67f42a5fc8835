//! The groups of all nodes, by size.
//!
//! Owns how the parts of the nodes are put together. Invariant: a node sends its largest groups only, so that an answer
//! is bounded; which others there are, it says by `more`.

use std::{cmp::Reverse, collections::HashMap};

use serde::{Deserialize, Serialize};

use super::census::Census;
use crate::app::hubs::HubHandle;

/// Most groups that a node sends.
const MAX_SENT: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupReport {
    pub(crate) hub: String,
    pub(crate) group: String,
    pub(crate) members: u64,
}

/// The largest groups, of a node or of all.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<GroupReport>,
    /// Whether there are others.
    pub(crate) more: bool,
}

impl Groups {
    /// Those of this node in these hubs.
    pub(super) async fn of(hubs: &[HubHandle]) -> Self {
        let mut groups = Self::default();
        for hub in hubs {
            let census = Census::of(hub).await;
            let reports = census
                .groups
                .into_iter()
                .map(|(group, members)| GroupReport {
                    hub: hub.name().to_string(),
                    group: group.to_string(),
                    members,
                });
            groups.groups.extend(reports);
            groups.cut(MAX_SENT);
        }
        groups
    }

    /// The groups of all nodes, at most `limit`.
    pub(crate) fn merge(parts: impl IntoIterator<Item = Self>, limit: usize) -> Self {
        let (mut members, mut more) = (HashMap::new(), false);
        for part in parts {
            more |= part.more;
            for report in part.groups {
                *members.entry((report.hub, report.group)).or_default() += report.members;
            }
        }
        let groups = members.into_iter();
        let groups = groups.map(|((hub, group), members)| GroupReport {
            hub,
            group,
            members,
        });
        let mut merged = Self {
            groups: groups.collect(),
            more,
        };
        merged.cut(limit);
        merged
    }

    /// Leaves the largest, from the largest on.
    fn cut(&mut self, limit: usize) {
        self.groups.sort_unstable_by(|one, other| {
            let key = |report: &GroupReport| Reverse(report.members);
            let names = || (&one.hub, &one.group).cmp(&(&other.hub, &other.group));
            key(one).cmp(&key(other)).then_with(names)
        });
        self.more |= self.groups.len() > limit;
        self.groups.truncate(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(group: &str, members: u64) -> GroupReport {
        GroupReport {
            hub: "chat".into(),
            group: group.into(),
            members,
        }
    }

    #[test]
    fn members_on_several_nodes_count_together_and_the_largest_come_first() {
        let part = |groups: &[(&str, u64)]| Groups {
            groups: groups.iter().map(|(name, n)| report(name, *n)).collect(),
            more: false,
        };
        let parts = || [part(&[("a", 3), ("b", 2)]), part(&[("b", 2), ("c", 3)])];
        let merged = Groups::merge(parts(), 3);
        let expected = [report("b", 4), report("a", 3), report("c", 3)];
        assert_eq!(merged.groups, expected);
        assert!(!merged.more);
        let merged = Groups::merge(parts(), 1);
        assert_eq!(merged.groups, expected[..1]);
        assert!(merged.more);
    }
}
