//! Clients of Web PubSub as members of presence channels, in hubs whose groups are also channels of an app.
//!
//! Owns that such a client is a member for exactly as long as it is in the group, whoever puts it there, and only if it
//! has a user. Must not know who changes groups: they say that one has changed, in any order, and what is so then
//! counts. Invariants: each client counts once in a channel, and goes from it once; that is decided under the lock of
//! the client's data, so that what is entered is in the order of what the client was in; it goes only when nobody waits
//! for its verdict any more.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use tieline::{Connection, EnterOutcome, PresenceError};
use tokio::task::JoinSet;

use super::{
    client_data::SharedClientData,
    events::OperationError,
    hubs::{HubHandle, Hubs},
    memberships::{Membership, PRESENCE},
};

/// Clients that are looked at between two chances for other tasks.
const SLICE: usize = 128;

type Verdict = BoxFuture<'static, Result<EnterOutcome, PresenceError>>;

/// A client that becomes a member, once the registry has answered. If this is dropped, nobody hears the verdict, and
/// the client stays a member until it leaves.
pub(crate) struct Entering {
    /// Before the membership, which may end with this: fields are dropped in their order.
    verdict: Verdict,
    membership: Arc<Membership>,
    data: Arc<SharedClientData>,
}

/// No further client can be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel has as many members as it may")]
pub(crate) struct Full;

impl From<Full> for OperationError {
    fn from(full: Full) -> Self {
        let message = full.to_string();
        let name = "Forbidden";
        Self { name, message }
    }
}

/// Makes a client a member of a group that it is in, or none of one that it is not in. `hub` is that of the client;
/// `None` if it does not exist any more.
pub(crate) fn update(
    hub: Option<&HubHandle>,
    connection: &Connection,
    group: &str,
) -> Option<Entering> {
    if !group.starts_with(PRESENCE) {
        return None;
    }
    let user = connection.user()?;
    // Clients of the app, which have other data, say themselves who they are.
    let data = connection.data::<SharedClientData>()?;
    let mut client = data.lock();
    let is_in = || connection.groups().iter().any(|own| **own == *group);
    let hub = hub.filter(|hub| hub.has_channels() && !client.is_over() && is_in());
    let is_member_now = client.memberships().is_some_and(|own| own.has(group));
    match (hub, is_member_now) {
        (Some(hub), false) => {
            let mut verdict = ask(hub, group, user)?;
            // It is entered at the first poll, under the lock.
            let answered = (&mut verdict).now_or_never();
            let is_pending = answered.is_none();
            if answered.is_some_and(|outcome| !is_member(outcome, group)) {
                return None;
            }
            let membership = Arc::new(Membership::new(hub.clone(), group, user));
            client.memberships_mut().add(Arc::clone(&membership));
            drop(client);
            is_pending.then_some(Entering {
                verdict,
                membership,
                data,
            })
        }
        (None, true) => {
            client.memberships_mut().leave(group);
            None
        }
        _ => None,
    }
}

/// Whether a client with a user sends to a presence channel that it is no member of. Clients of the app read who has
/// sent a message there, and look that member up.
pub(crate) fn is_outsider(hub: &HubHandle, connection: &Connection, group: &str) -> bool {
    let is_member = || {
        let data = connection.data::<SharedClientData>()?;
        let client = data.lock();
        Some(client.memberships()?.has(group))
    };
    group.starts_with(PRESENCE)
        && hub.has_channels()
        && connection.user().is_some()
        && !is_member().unwrap_or_default()
}

/// Asks the registry to enter a user; `None` if nobody can know who is there. There is nothing to say of the user: what
/// clients of the app have said stays.
fn ask(hub: &HubHandle, group: &str, user: &str) -> Option<Verdict> {
    let presence = hub.member_limits()?.of(hub.presence()?);
    let (group, user) = (group.to_owned(), Arc::<str>::from(user));
    Some(Box::pin(
        async move { presence.enter(&group, user, "").await },
    ))
}

fn is_member(outcome: Result<EnterOutcome, PresenceError>, group: &str) -> bool {
    match outcome {
        Ok(EnterOutcome::Full) => {
            tracing::debug!(group, "a client is no member: the channel is full");
            false
        }
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(group, %error, "a client is no member");
            false
        }
    }
}

impl Entering {
    /// Waits for the registry, but not for long. If it takes no further member, the client is none.
    pub(crate) async fn settled(mut self) -> Result<(), Full> {
        let outcome = (&mut self.verdict).await;
        let is_full = matches!(outcome, Ok(EnterOutcome::Full));
        if !is_member(outcome, self.membership.group()) {
            let mut client = self.data.lock();
            client.memberships_mut().refuse(&self.membership);
        }
        if is_full { Err(Full) } else { Ok(()) }
    }
}

/// A client has connected, and may be in groups.
pub(crate) fn connected(hub: &HubHandle, connection: &Connection) {
    if connection.user().is_some() && hub.has_channels() {
        for group in connection.groups() {
            settle(update(Some(hub), connection, &group));
        }
    }
}

/// A client has ended, and is in no group any more.
pub(crate) fn ended(data: &SharedClientData) {
    let gone = data.lock().end();
    drop(gone);
}

/// Lets the registry answer while the caller goes on.
pub(crate) fn settle(entering: Option<Entering>) {
    if let Some(entering) = entering {
        tokio::spawn(entering.settled());
    }
}

/// Follows reloads: the clients of a hub that an app shares from then on become members, and those of one that no app
/// shares any more are none. Never ends.
pub(crate) async fn follow_rules(hubs: Hubs) {
    let mut shared = hubs.with_channels();
    loop {
        hubs.rules_replaced().await;
        let now = hubs.with_channels();
        let changed: BTreeSet<_> = shared.symmetric_difference(&now).cloned().collect();
        for hub in hubs.open_hubs() {
            if changed.contains(hub.name()) {
                look_again(&hub).await;
            }
        }
        shared = now;
    }
}

/// A slice of the clients after the other, so that the registry is not asked for all of them at once.
async fn look_again(hub: &HubHandle) {
    let connections = hub.cluster().hub().connections();
    for slice in connections.chunks(SLICE) {
        let mut entering = JoinSet::new();
        for connection in slice {
            for group in connection.groups() {
                let update = update(Some(hub), connection, &group);
                update.map(|one| entering.spawn(one.settled()));
            }
        }
        entering.join_all().await;
    }
}

#[cfg(test)]
mod tests;
