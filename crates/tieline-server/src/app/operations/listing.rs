//! The groups of a hub, a page at a time.
//!
//! Owns what a page of a node has, and how those of all nodes are put together. Must not know who asks. Invariants: a
//! page fits in one message between nodes; what is put together has no gap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tieline::Hub;

/// Most groups of a page.
const MAX_GROUPS: usize = 5000;

/// Most bytes of the names in a page.
const MAX_BYTES: usize = 256 * 1024;

/// Groups by name, with the number of their members.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupPage {
    pub(crate) groups: BTreeMap<String, u64>,
    /// Whether others follow the last one.
    pub(crate) more: bool,
}

impl GroupPage {
    /// Those of this node that begin with `prefix`, after the name `after`.
    pub(super) fn of(hub: &Hub, prefix: &str, after: &str) -> Self {
        let mut names = hub.groups();
        names.retain(|name| name.starts_with(prefix) && **name > *after);
        names.sort_unstable();
        let mut bytes = 0;
        let fits = |name: &&std::sync::Arc<str>| {
            bytes += name.len();
            bytes <= MAX_BYTES
        };
        let page: Vec<_> = names.iter().take(MAX_GROUPS).take_while(fits).collect();
        let more = page.len() < names.len();
        let groups = page.into_iter();
        let groups = groups.map(|name| (name.to_string(), hub.group_len(name) as u64));
        Self {
            groups: groups.collect(),
            more,
        }
    }

    /// The pages of several nodes as one, up to where the first of them ends that has more.
    pub(super) fn merge(pages: impl IntoIterator<Item = Self>) -> Self {
        let mut merged = Self::default();
        let mut end: Option<String> = None;
        for page in pages {
            let last = page.groups.last_key_value().map(|(name, _)| name);
            if page.more
                && let Some(last) = last
                && end.as_ref().is_none_or(|end| last < end)
            {
                end = Some(last.clone());
            }
            for (name, members) in page.groups {
                *merged.groups.entry(name).or_default() += members;
            }
        }
        if let Some(end) = end {
            merged.more = true;
            merged.groups.retain(|name, _| *name <= end);
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(groups: &[(&str, u64)], more: bool) -> GroupPage {
        let groups = groups.iter().map(|(name, n)| ((*name).to_owned(), *n));
        GroupPage {
            groups: groups.collect(),
            more,
        }
    }

    #[test]
    fn pages_have_no_gap_where_one_of_them_ends_early() {
        let short = || page(&[("a", 1), ("c", 2)], true);
        let long = || page(&[("a", 1), ("b", 1), ("c", 1), ("d", 5)], false);
        let merged = GroupPage::merge([short(), long()]);
        assert_eq!(merged, page(&[("a", 2), ("b", 1), ("c", 3)], true));
        let whole = GroupPage::merge([long(), page(&[("e", 1)], false)]);
        assert_eq!(whole.groups.len(), 5);
        assert!(!whole.more);
        let longer = page(&[("b", 1), ("d", 1)], true);
        let merged = GroupPage::merge([short(), longer]);
        assert_eq!(merged, page(&[("a", 1), ("b", 1), ("c", 2)], true));
    }
}
