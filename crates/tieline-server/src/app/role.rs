//! What a client may do with groups.
//!
//! Owns the roles of tokens and the permissions that follow from them. Must not know tokens or connections.
//! Invariants: whatever is not permitted by a role is forbidden, and a role that cannot be read permits
//! nothing; a check takes time in proportion to the pattern and the name, whatever both are.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::pattern::Pattern;

/// What a client may do to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Permission {
    JoinLeaveGroup,
    SendToGroup,
}

impl Permission {
    /// The permission of that name, in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [Self::JoinLeaveGroup, Self::SendToGroup];
        all.into_iter()
            .find(|permission| permission.name().eq_ignore_ascii_case(name))
    }

    /// The name, as in roles.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JoinLeaveGroup => "joinLeaveGroup",
            Self::SendToGroup => "sendToGroup",
        }
    }
}

/// The permissions of a list of roles.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    join_leave: Targets,
    send: Targets,
}

/// The groups that a permission is for.
#[derive(Debug, Default)]
struct Targets {
    any: bool,
    groups: Vec<Box<str>>,
    patterns: Vec<Pattern>,
}

impl Roles {
    /// Reads roles. One that is unknown, or has an invalid pattern, permits nothing.
    pub(crate) fn parse(roles: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut parsed = Self::default();
        for role in roles {
            let role = role.as_ref();
            if let Some(rest) = role.strip_prefix("webpubsub.joinLeaveGroup") {
                parsed.join_leave.add(rest);
            } else if let Some(rest) = role.strip_prefix("webpubsub.sendToGroup") {
                parsed.send.add(rest);
            }
        }
        parsed
    }

    /// Whether a client with these roles may do this.
    pub(crate) fn permit(&self, permission: Permission, group: &str) -> bool {
        self.targets(permission).contain(group)
    }

    /// Whether one of these roles permits this for the very group, by its name.
    pub(crate) fn name(&self, permission: Permission, group: &str) -> bool {
        self.targets(permission).name(group)
    }

    fn targets(&self, permission: Permission) -> &Targets {
        match permission {
            Permission::JoinLeaveGroup => &self.join_leave,
            Permission::SendToGroup => &self.send,
        }
    }

    /// The roles by which they permit something, as they are written.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let of = |permission: Permission, targets: &Targets| {
            let name = format!("webpubsub.{}", permission.name());
            let any = targets.any.then(|| name.clone()).into_iter();
            let groups = targets.groups.iter().map(|group| format!("{name}.{group}"));
            let patterns = &targets.patterns;
            let patterns = patterns.iter().map(|pattern| format!("{name}s.{pattern}"));
            any.chain(groups).chain(patterns).collect::<Vec<_>>()
        };
        let join_leave = of(Permission::JoinLeaveGroup, &self.join_leave);
        let send = of(Permission::SendToGroup, &self.send);
        join_leave.into_iter().chain(send)
    }
}

impl Targets {
    /// Adds what follows the permission in a role: nothing, `.group`, or `s.pattern`.
    fn add(&mut self, rest: &str) {
        if rest.is_empty() {
            self.any = true;
        } else if let Some(group) = rest.strip_prefix('.') {
            self.groups.push(group.into());
        } else if let Some(pattern) = rest.strip_prefix("s.").and_then(Pattern::parse) {
            self.patterns.push(pattern);
        }
    }

    fn contain(&self, group: &str) -> bool {
        let mut patterns = self.patterns.iter();
        self.any || self.name(group) || patterns.any(|pattern| pattern.matches(group))
    }

    fn name(&self, group: &str) -> bool {
        self.groups.iter().any(|name| **name == *group)
    }
}

/// The roles of all clients. Those who have the same list share one copy: many clients have few lists.
#[derive(Debug, Default)]
pub(crate) struct RoleLists(Mutex<HashMap<Vec<String>, Weak<Roles>>>);

impl RoleLists {
    /// The permissions of a list of roles.
    pub(crate) fn share(&self, roles: Vec<String>) -> Arc<Roles> {
        let mut lists = self.0.lock();
        if let Some(shared) = lists.get(&roles).and_then(Weak::upgrade) {
            return shared;
        }
        if lists.len() == lists.capacity() {
            // Before the table grows, so that it has at most twice as many lists as clients have.
            lists.retain(|_, shared| shared.strong_count() > 0);
        }
        let parsed = Arc::new(Roles::parse(&roles));
        lists.insert(roles, Arc::downgrade(&parsed));
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_permit_what_they_say() {
        use Permission::{JoinLeaveGroup, SendToGroup};
        for (role, permission, group, permitted) in [
            ("webpubsub.joinLeaveGroup", JoinLeaveGroup, "g", true),
            ("webpubsub.joinLeaveGroup", SendToGroup, "g", false),
            ("webpubsub.sendToGroup", SendToGroup, "any.thing", true),
            ("webpubsub.sendToGroup", JoinLeaveGroup, "g", false),
            ("webpubsub.sendToGroup.g", SendToGroup, "g", true),
            ("webpubsub.sendToGroup.g", SendToGroup, "G", false),
            ("webpubsub.sendToGroup.a.b", SendToGroup, "a.b", true),
            // A literal is no pattern.
            ("webpubsub.sendToGroup.a*", SendToGroup, "ab", false),
            ("webpubsub.sendToGroup.a*", SendToGroup, "a*", true),
            ("webpubsub.sendToGroups.a*", SendToGroup, "ab", true),
            (
                "webpubsub.joinLeaveGroups.a.**",
                JoinLeaveGroup,
                "a.b.c",
                true,
            ),
            (
                "webpubsub.joinLeaveGroups.a.*",
                JoinLeaveGroup,
                "a.b.c",
                false,
            ),
            // Unknown.
            ("webpubsub.sendToGroups", SendToGroup, "g", false),
            ("webpubsub.sendToGroups*", SendToGroup, "g", false),
            ("webpubsub.sendToGroupX", SendToGroup, "X", false),
            ("webpubsub.sendtogroup", SendToGroup, "g", false),
            ("webpubsub.sendToGroup.", SendToGroup, "g", false),
            ("sendToGroup", SendToGroup, "g", false),
            ("", SendToGroup, "", false),
        ] {
            let roles = Roles::parse([role]);
            assert_eq!(roles.permit(permission, group), permitted, "{role} {group}");
        }
    }

    #[test]
    fn roles_are_written_as_they_were_read() {
        let all = [
            "webpubsub.joinLeaveGroup",
            "webpubsub.joinLeaveGroups.a.**.?",
            "webpubsub.sendToGroup.a*",
            r"webpubsub.sendToGroups.\*b*",
        ];
        let unknown = ["webpubsub.sendToGroupX"];
        let roles = Roles::parse(all.iter().chain(&unknown));
        assert_eq!(roles.names().collect::<Vec<_>>(), all);
    }

    #[test]
    fn any_of_several_roles_is_enough_and_none_permits_nothing() {
        let roles = Roles::parse(["x", "webpubsub.sendToGroup.a", "webpubsub.sendToGroup.b"]);
        assert!(roles.permit(Permission::SendToGroup, "a"));
        assert!(roles.permit(Permission::SendToGroup, "b"));
        assert!(!roles.permit(Permission::SendToGroup, "c"));
        assert!(!Roles::default().permit(Permission::SendToGroup, "a"));
    }

    #[test]
    fn clients_with_the_same_roles_share_them_while_they_last() {
        let lists = RoleLists::default();
        let roles = |n: usize| vec![format!("webpubsub.sendToGroup.{n}")];
        let first = lists.share(roles(0));
        assert!(Arc::ptr_eq(&first, &lists.share(roles(0))));
        assert!(!Arc::ptr_eq(&first, &lists.share(roles(1))));
        (0..10_000).for_each(|n| drop(lists.share(roles(n))));
        assert!(
            lists.0.lock().len() < 10,
            "lists that nobody has are forgotten"
        );
        assert!(Arc::ptr_eq(&first, &lists.share(roles(0))));
    }
}
