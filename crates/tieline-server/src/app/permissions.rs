//! What was granted to one client or revoked from it, over its roles.
//!
//! Must not know who grants, nor the roles. Invariants: what was said last of a group counts; the number of groups is
//! bounded, because it is memory that a backend spends on one client.

use super::role::Permission;

/// Most groups with a grant or a revocation, of both permissions together.
pub(crate) const MAX_OVERRIDES: usize = 1000;

/// Sorted by permission and group.
#[derive(Debug, Default)]
pub(crate) struct Overrides(Vec<Override>);

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

impl Overrides {
    /// What was said of the group, if anything was.
    pub(crate) fn permit(&self, permission: Permission, group: &str) -> Option<bool> {
        let at = self.find(permission, group).ok()?;
        Some(self.0[at].is_granted)
    }

    /// Permits it for this group, or forbids it; the client stays in the group.
    pub(crate) fn set(
        &mut self,
        permission: Permission,
        group: &str,
        is_granted: bool,
    ) -> Result<(), TooManyOverrides> {
        match self.find(permission, group) {
            Ok(at) => self.0[at].is_granted = is_granted,
            Err(_) if self.0.len() >= MAX_OVERRIDES => return Err(TooManyOverrides),
            Err(at) => {
                let group = group.into();
                self.0.insert(
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

    fn find(&self, permission: Permission, group: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|own| (own.permission, &*own.group).cmp(&(permission, group)))
    }
}
