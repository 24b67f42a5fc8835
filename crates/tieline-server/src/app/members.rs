//! Clients of Web PubSub as members of presence channels, in hubs whose groups are also channels of an app.
//!
//! Owns that such a client is a member for exactly as long as it is in the group, whoever puts it there, and only if it
//! has a user. Must not know who changes groups: they say that one has changed, in any order, and what is so then
//! counts. Invariants: each client counts once in a channel, and goes from it once; that is decided under the lock of
//! the client's data, so that what is entered is in the order of what the client was in.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use tieline::{Connection, EnterOutcome, Exit, PresenceError};

use super::{
    channels::PRESENCE,
    client_data::SharedClientData,
    events::OperationError,
    hubs::{HubHandle, Hubs},
};

/// Clients that are looked at between two chances for other tasks.
const SLICE: usize = 128;

/// The presence channels that a client is a member of. Few have more than one.
#[derive(Default)]
pub(crate) struct Memberships(Vec<Membership>);

struct Membership {
    hub: HubHandle,
    /// Also tells this membership from others in the same group, before and after it.
    group: Arc<str>,
    user: Box<str>,
    /// How it ends; `None` if it has not begun.
    exit: Option<Exit>,
}

type Verdict = BoxFuture<'static, Result<EnterOutcome, PresenceError>>;

/// A client that becomes a member, once the registry has answered.
pub(crate) struct Entering {
    verdict: Verdict,
    data: Arc<SharedClientData>,
    group: Arc<str>,
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

impl Memberships {
    fn place(&self, group: &str) -> Option<usize> {
        self.0.iter().position(|one| *one.group == *group)
    }

    /// Forgets one that has not begun.
    fn refuse(&mut self, group: &Arc<str>) {
        let place = self.0.iter().position(|one| Arc::ptr_eq(&one.group, group));
        if let Some(place) = place {
            self.0.swap_remove(place).exit = None;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(exit) = self.exit
            && let Some(presence) = self.hub.presence()
        {
            // Without an app, the client was made to leave.
            let limits = self.hub.member_limits();
            let presence = limits.map_or_else(|| presence.clone(), |limits| limits.of(presence));
            presence.exit(&self.group, &self.user, exit);
        }
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
    let place = client.memberships().and_then(|own| own.place(group));
    match (hub, place) {
        (Some(hub), None) => {
            let group: Arc<str> = group.into();
            let (exit, verdict) = enter(hub, &group, user)?;
            client.memberships_mut().0.push(Membership {
                hub: hub.clone(),
                group: Arc::clone(&group),
                user: user.into(),
                exit,
            });
            drop(client);
            let verdict = verdict?;
            Some(Entering {
                verdict,
                data,
                group,
            })
        }
        (None, Some(place)) => {
            let mut gone = client.memberships_mut().0.swap_remove(place);
            gone.exit = Some(Exit::Left);
            None
        }
        _ => None,
    }
}

/// Enters a user, and says how it is to end, and what is to be awaited; `None` if it is no member.
fn enter(hub: &HubHandle, group: &Arc<str>, user: &str) -> Option<(Option<Exit>, Option<Verdict>)> {
    let presence = hub.member_limits()?.of(hub.presence()?);
    let (channel, user) = (Arc::clone(group), user.to_owned());
    // It has nothing to say of the user: what clients of the app have said stays.
    let mut verdict: Verdict = Box::pin(async move { presence.enter(&channel, &user, "").await });
    // It is entered at the first poll.
    match (&mut verdict).now_or_never() {
        None => Some((Some(Exit::Disconnected), Some(verdict))),
        Some(outcome) => is_member(outcome, group).then_some((Some(Exit::Disconnected), None)),
    }
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
    pub(crate) async fn settled(self) -> Result<(), Full> {
        let outcome = self.verdict.await;
        let is_full = matches!(outcome, Ok(EnterOutcome::Full));
        if !is_member(outcome, &self.group) {
            let mut client = self.data.lock();
            client.memberships_mut().refuse(&self.group);
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
/// shares any more are none. Ends never.
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

async fn look_again(hub: &HubHandle) {
    for (number, connection) in hub.cluster().hub().connections().iter().enumerate() {
        for group in connection.groups() {
            settle(update(Some(hub), connection, &group));
        }
        if number % SLICE == SLICE - 1 {
            tokio::task::yield_now().await;
        }
    }
}
