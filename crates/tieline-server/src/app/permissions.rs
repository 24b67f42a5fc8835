//! What one client may do: its roles, and what was granted to it or revoked from it since.
//!
//! Must not know who grants. Invariants: what was said last of a group counts, over any role; the number of
//! groups is bounded, because it is memory that a backend spends on one client.

use std::sync::Arc;

use super::role::{Permission, Roles};

/// Most groups with a grant or a revocation, of both permissions together.
pub(crate) const MAX_OVERRIDES: usize = 1000;

/// The permissions of a client. Without grants it costs a reference to the shared roles and a pointer.
#[derive(Debug)]
pub(crate) struct Permissions {
    roles: Arc<Roles>,
    /// Sorted by permission and group.
    #[allow(
        clippy::box_collection,
        reason = "few clients have any, and a pointer is a third of a list"
    )]
    overrides: Option<Box<Vec<Override>>>,
}

#[derive(Debug)]
struct Override {
    permission: Permission,
    group: Box<str>,
    is_granted: bool,
}

/// The client has too many grants and revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has grants and revocations for {MAX_OVERRIDES} groups, and takes no more")]
pub(crate) struct TooManyOverrides;

impl Permissions {
    pub(crate) fn new(roles: Arc<Roles>) -> Self {
        Self {
            roles,
            overrides: None,
        }
    }

    /// Whether the client may do this.
    pub(crate) fn permit(&self, permission: Permission, group: &str) -> bool {
        let overrides = self.overrides.as_deref().map_or(&[][..], Vec::as_slice);
        match find(overrides, permission, group) {
            Ok(at) => overrides[at].is_granted,
            Err(_) => self.roles.permit(permission, group),
        }
    }

    /// Permits it for this group, whatever the roles say.
    pub(crate) fn grant(
        &mut self,
        permission: Permission,
        group: &str,
    ) -> Result<(), TooManyOverrides> {
        self.set(permission, group, true)
    }

    /// Forbids it for this group, whatever the roles say. The client stays in the group.
    pub(crate) fn revoke(
        &mut self,
        permission: Permission,
        group: &str,
    ) -> Result<(), TooManyOverrides> {
        self.set(permission, group, false)
    }

    fn set(
        &mut self,
        permission: Permission,
        group: &str,
        is_granted: bool,
    ) -> Result<(), TooManyOverrides> {
        let overrides = self.overrides.get_or_insert_default();
        match find(overrides, permission, group) {
            Ok(at) => overrides[at].is_granted = is_granted,
            Err(_) if overrides.len() >= MAX_OVERRIDES => return Err(TooManyOverrides),
            Err(at) => {
                let group = group.into();
                overrides.insert(
                    at,
                    Override {
                        permission,
                        group,
                        is_granted,
                    },
                );
            }
        }
        Ok(())
    }
}

fn find(overrides: &[Override], permission: Permission, group: &str) -> Result<usize, usize> {
    overrides.binary_search_by(|own| (own.permission, &*own.group).cmp(&(permission, group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Permission = Permission::SendToGroup;
    const JOIN: Permission = Permission::JoinLeaveGroup;

    fn permissions(role: &str) -> Permissions {
        Permissions::new(Arc::new(Roles::parse([role])))
    }

    #[test]
    fn what_was_said_last_of_a_group_goes_over_the_roles() {
        let mut client = permissions("webpubsub.sendToGroup");
        client.revoke(SEND, "a").unwrap();
        client.grant(JOIN, "a").unwrap();
        assert!(!client.permit(SEND, "a") && client.permit(SEND, "b"));
        assert!(client.permit(JOIN, "a") && !client.permit(JOIN, "b"));
        client.grant(SEND, "a").unwrap();
        client.revoke(JOIN, "a").unwrap();
        assert!(client.permit(SEND, "a") && !client.permit(JOIN, "a"));
    }

    #[test]
    fn a_grant_is_for_the_literal_group() {
        let mut client = permissions("");
        client.grant(SEND, "a.*").unwrap();
        assert!(client.permit(SEND, "a.*") && !client.permit(SEND, "a.b"));
    }

    #[test]
    fn their_number_is_bounded_and_known_groups_can_still_change() {
        let mut client = permissions("");
        (0..MAX_OVERRIDES).for_each(|n| client.grant(SEND, &n.to_string()).unwrap());
        assert_eq!(client.grant(SEND, "one more"), Err(TooManyOverrides));
        assert_eq!(client.revoke(JOIN, "0"), Err(TooManyOverrides));
        client.revoke(SEND, "0").unwrap();
        assert!(!client.permit(SEND, "0") && client.permit(SEND, "1"));
    }
}
