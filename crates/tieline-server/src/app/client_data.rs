//! What a node keeps with the connection of a client, for its callbacks and for requests about it.
//!
//! Must not know what a wire keeps there. Invariants: callbacks and requests see the same; what was said last of a
//! group counts, over any role; what few clients have takes one word of the others.

use std::{any::Any, mem, sync::Arc};

use parking_lot::Mutex;
use tieline::Connection;

use super::{
    clock,
    hubs::HubHandle,
    limits::{Quota, slow_downs::SlowDowns},
    memberships::Memberships,
    permissions::{Overrides, TooManyOverrides},
    role::{Permission, Roles},
};

/// What a node keeps with the connection of a client of Pusher Channels, for requests about it. It has no roles:
/// signatures say what it may do.
pub(crate) struct PusherData {
    hub: HubHandle,
    since: u32,
    quota: Option<Arc<Quota>>,
}

/// What a client speaks, and so what a backend may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientKind {
    WebPubSub,
    Pusher,
}

impl PusherData {
    pub(crate) fn new(hub: HubHandle, quota: Option<Arc<Quota>>) -> Self {
        let since = now();
        Self { hub, since, quota }
    }

    pub(crate) fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// When it connected, in seconds since 1970.
    pub(crate) fn since(&self) -> u32 {
        self.since
    }
}

impl ClientKind {
    pub(crate) fn of(connection: &Connection) -> Self {
        match connection.data::<PusherData>() {
            Some(_) => Self::Pusher,
            None => Self::WebPubSub,
        }
    }
}

/// How a client was slowed down; `None` if it never was.
pub(crate) fn slow_downs(connection: &Connection) -> Option<SlowDowns> {
    let quota = match connection.data::<SharedClientData>() {
        Some(data) => data.lock().quota().cloned(),
        None => connection.data::<PusherData>()?.quota.clone(),
    };
    quota?.slow_downs()
}

/// Shared by the callbacks of the connection and by requests about it.
pub(crate) type SharedClientData = Mutex<ClientData>;

/// The data of a connection.
pub(crate) struct ClientData {
    roles: Arc<Roles>,
    /// When it connected, in seconds since 1970: more than a `u32` has would cost every client a word.
    since: u32,
    /// The connection has ended.
    is_over: bool,
    rare: Option<Box<Rare>>,
}

/// What few clients have.
#[derive(Default)]
struct Rare {
    overrides: Overrides,
    memberships: Memberships,
    /// What the wire needs once events of the client are handled.
    session: Option<Session>,
    /// What it uses up, if anything is limited.
    quota: Option<Arc<Quota>>,
}

/// A wire's own type.
pub(crate) type Session = Arc<dyn Any + Send + Sync>;

impl ClientData {
    /// With a session, if there is one before the client is connected, and what it uses up, if anything is limited.
    pub(crate) fn new(
        roles: Arc<Roles>,
        session: Option<Session>,
        quota: Option<Arc<Quota>>,
    ) -> Self {
        let is_rare = session.is_some() || quota.is_some();
        let rare = || {
            Box::new(Rare {
                session,
                quota,
                ..Rare::default()
            })
        };
        Self {
            roles,
            since: now(),
            is_over: false,
            rare: is_rare.then(rare),
        }
    }

    fn quota(&self) -> Option<&Arc<Quota>> {
        self.rare.as_ref()?.quota.as_ref()
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The connection has ended. What it was a member of.
    pub(crate) fn end(&mut self) -> Memberships {
        self.is_over = true;
        let rare = self.rare.as_mut();
        rare.map(|rare| mem::take(&mut rare.memberships))
            .unwrap_or_default()
    }

    /// The presence channels that it is a member of.
    pub(crate) fn memberships(&self) -> Option<&Memberships> {
        Some(&self.rare.as_ref()?.memberships)
    }

    pub(crate) fn memberships_mut(&mut self) -> &mut Memberships {
        &mut self.rare().memberships
    }

    /// When it connected, in seconds since 1970.
    pub(crate) fn since(&self) -> u32 {
        self.since
    }

    /// The roles, without what was granted or revoked since.
    pub(crate) fn roles(&self) -> &Arc<Roles> {
        &self.roles
    }

    /// Whether the client may do this.
    pub(crate) fn permit(&self, permission: Permission, group: &str) -> bool {
        let rare = self.rare.as_ref();
        let own = rare.and_then(|rare| rare.overrides.permit(permission, group));
        own.unwrap_or_else(|| self.roles.permit(permission, group))
    }

    /// Whether a role or a grant permits this for the very group, by its name.
    pub(crate) fn names(&self, permission: Permission, group: &str) -> bool {
        let rare = self.rare.as_ref();
        let own = rare.and_then(|rare| rare.overrides.permit(permission, group));
        own.unwrap_or_else(|| self.roles.name(permission, group))
    }

    /// Permits it for this group, whatever the roles say.
    pub(crate) fn grant(
        &mut self,
        permission: Permission,
        group: &str,
    ) -> Result<(), TooManyOverrides> {
        self.rare().overrides.set(permission, group, true)
    }

    /// Forbids it for this group, whatever the roles say. The client stays in the group.
    pub(crate) fn revoke(
        &mut self,
        permission: Permission,
        group: &str,
    ) -> Result<(), TooManyOverrides> {
        self.rare().overrides.set(permission, group, false)
    }

    /// The session, which is made by whoever needs it first.
    pub(crate) fn session<S: Default + Send + Sync + 'static>(&mut self) -> Arc<S> {
        let make = || -> Session { Arc::new(S::default()) };
        let session = Session::clone(self.rare().session.get_or_insert_with(make)).downcast();
        session.expect("a connection has one wire, whose sessions have one type")
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

/// In seconds since 1970.
fn now() -> u32 {
    u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::permissions::MAX_OVERRIDES;

    const SEND: Permission = Permission::SendToGroup;
    const JOIN: Permission = Permission::JoinLeaveGroup;

    fn client(role: &str) -> ClientData {
        ClientData::new(Arc::new(Roles::parse([role])), None, None)
    }

    #[test]
    fn a_session_is_made_once_and_a_client_without_one_holds_a_pointer() {
        let roles: Arc<Roles> = Arc::default();
        let mut data = ClientData::new(Arc::clone(&roles), None, None);
        let (one, other) = (data.session::<Vec<u8>>(), data.session::<Vec<u8>>());
        assert!(Arc::ptr_eq(&one, &other));
        let mut early = ClientData::new(roles, Some(Arc::clone(&one) as Session), None);
        assert!(Arc::ptr_eq(&one, &early.session()));
        // The lock, the roles, and one pointer; the rest fills a gap.
        assert_eq!(size_of::<SharedClientData>(), 4 * size_of::<usize>());
    }

    #[test]
    fn what_was_said_last_of_a_group_goes_over_the_roles() {
        let mut client = client("webpubsub.sendToGroup");
        client.revoke(SEND, "a").unwrap();
        client.grant(JOIN, "a").unwrap();
        assert!(!client.permit(SEND, "a") && client.permit(SEND, "b"));
        assert!(client.permit(JOIN, "a") && !client.permit(JOIN, "b"));
        client.grant(SEND, "a").unwrap();
        client.revoke(JOIN, "a").unwrap();
        assert!(client.permit(SEND, "a") && !client.permit(JOIN, "a"));
    }

    #[test]
    fn only_a_literal_role_or_a_grant_names_a_group() {
        let roles = ["", "s.*", ".a"].map(|rest| format!("webpubsub.joinLeaveGroup{rest}"));
        let mut client = ClientData::new(Arc::new(Roles::parse(roles)), None, None);
        assert!(client.names(JOIN, "a") && !client.names(JOIN, "b") && !client.names(SEND, "a"));
        assert!(client.permit(JOIN, "b"));
        client.grant(JOIN, "b").unwrap();
        client.revoke(JOIN, "a").unwrap();
        assert!(!client.names(JOIN, "a") && client.names(JOIN, "b"));
    }

    #[test]
    fn a_grant_is_for_the_literal_group() {
        let mut client = client("");
        client.grant(SEND, "a.*").unwrap();
        assert!(client.permit(SEND, "a.*") && !client.permit(SEND, "a.b"));
    }

    #[test]
    fn their_number_is_bounded_and_known_groups_can_still_change() {
        let mut client = client("");
        (0..MAX_OVERRIDES).for_each(|n| client.grant(SEND, &n.to_string()).unwrap());
        assert_eq!(client.grant(SEND, "one more"), Err(TooManyOverrides));
        assert_eq!(client.revoke(JOIN, "0"), Err(TooManyOverrides));
        client.revoke(SEND, "0").unwrap();
        assert!(!client.permit(SEND, "0") && client.permit(SEND, "1"));
    }
}
