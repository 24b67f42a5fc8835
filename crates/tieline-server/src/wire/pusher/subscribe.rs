//! Subscriptions: who may have one, and what the client is told.
//!
//! Owns the check of signatures and the order of events around a subscription. Must not know the syntax of frames.
//! Invariants: once a client reads that it is subscribed, what any node publishes reaches it; before, it reads no event
//! of the channel.

use std::sync::Arc;

use tieline::{Connection, JoinError};

use super::{
    app::App,
    cache,
    channel::{Channel, ChannelKind},
    client::{Client, Subscription},
    incoming::Subscribe,
    occupant::Occupant,
    outgoing::{self, EMPTY},
    presence::{EnterError, Member, Membership, SignedIn},
    signed,
};
use crate::{
    app::{
        cuts,
        limits::counts::{Action, Limited},
    },
    metrics::METRICS,
};

/// Why a client is not subscribed.
struct Refused {
    message: String,
    /// What its application is told beside: the kind of the error, and a status. `None` if that would be of a
    /// subscription that exists, or of a channel that cannot.
    told: Option<(&'static str, u16)>,
}

/// Subscribes a client, or tells it why not: the word for it, and the text.
pub(super) async fn subscribe(
    connection: &Connection,
    client: &mut Client,
    asked: &Subscribe<'_>,
) -> Result<(), (&'static str, String)> {
    let Err(refused) = try_subscribe(connection, client, asked).await else {
        return Ok(());
    };
    METRICS.pusher().subscription_refused(refused.reason());
    let Refused { message, told } = refused;
    connection.emit(outgoing::error(None, &message));
    if let Some((kind, status)) = told {
        let channel = &asked.channel;
        connection.emit(outgoing::subscription_error(
            channel, kind, &message, status,
        ));
    }
    Err((told.map_or("BadRequest", |(kind, _)| kind), message))
}

/// Ends a subscription; false if there is none.
pub(super) fn unsubscribe(connection: &Connection, client: &mut Client, channel: &str) -> bool {
    let Some(subscription) = client.subscriptions.remove(channel) else {
        return false;
    };
    connection.leave(channel);
    subscription.leave();
    true
}

async fn try_subscribe(
    connection: &Connection,
    client: &mut Client,
    asked: &Subscribe<'_>,
) -> Result<(), Refused> {
    let channel = Channel::parse(&asked.channel);
    let channel = channel.map_err(|error| Refused::unseen(error.to_string()))?;
    let name = channel.name();
    if client.subscriptions.get(name).is_some() {
        return Err(Refused::unseen(format!(
            "Existing subscription to channel {name}"
        )));
    }
    let Some(app) = client.place.app() else {
        return Err(Refused::unauthorized(
            "the app does not exist any more".into(),
        ));
    };
    if channel.needs_signature() {
        check_signature(&app, connection.id().as_str(), name, asked)?;
    }
    // Before others are told of a member that cannot come.
    check_limit(client).map_err(|error| too_many(client, connection, &error))?;
    let rooms = &client.place.pusher.rooms;
    let mut member = None;
    match channel.kind() {
        ChannelKind::Public | ChannelKind::Private | ChannelKind::Encrypted => {}
        ChannelKind::Presence => {
            let (data, user) = (asked.channel_data.as_deref(), client.user.as_deref());
            let (hub, limits) = ((rooms, &client.hub), app.rules.members);
            let entering = Membership::enter(hub, limits, connection, name, (data, user));
            member = Some(entering.await?);
        }
        ChannelKind::ToUser(user) => {
            if client.user.as_deref().map(SignedIn::id) != Some(user) {
                return Err(Refused::unauthorized(format!(
                    "only a connection on which {user} has signed in subscribes to {name}"
                )));
            }
        }
    }
    let joined = join(connection, client, (&app, channel), member).await;
    joined.map_err(|error| too_many(client, connection, &error))
}

/// Whether the client may subscribe to another channel.
fn check_limit(client: &Client) -> Result<(), JoinError> {
    let rules = client.hub.rules();
    let most = rules.and_then(|rules| rules.limits.groups);
    match most.filter(|most| client.subscriptions.len() >= *most) {
        Some(most) => Err(JoinError::TooMany(most)),
        None => Ok(()),
    }
}

fn too_many(client: &Client, connection: &Connection, error: &JoinError) -> Refused {
    let JoinError::TooMany(most) = error else {
        return Refused::limit(error.to_string());
    };
    cuts::count(&client.hub, connection, Limited::Groups, Action::Refused);
    Refused::limit(format!(
        "the client is already subscribed to {most} channels, the limit; unsubscribe from one first"
    ))
}

/// Joins the group, and says so in between what is sent to the group and all that was sent before.
async fn join(
    connection: &Connection,
    client: &mut Client,
    (app, channel): (&Arc<App>, Channel<'_>),
    member: Option<(Membership, Member)>,
) -> Result<(), JoinError> {
    let name = channel.name();
    // A message in pieces holds back whatever else is sent to the client. So events that come between the join and the
    // answer, which has to wait until other nodes know of the join, are behind the answer.
    let closed = |_| JoinError::Closed;
    let mut answer = connection.stream_text().await.map_err(closed)?;
    let data = if let Some((membership, member)) = &member {
        membership.join(connection, member)?
    } else {
        connection.join(name)?;
        EMPTY.to_owned()
    };
    if !client.hub.cluster().synced().await {
        tracing::debug!(channel = name, "subscribed before every node knows of it");
    }
    let kept = if channel.is_cached() {
        kept(client, app, name).await
    } else {
        None
    };
    let text = outgoing::subscription_succeeded(name, &data);
    answer.write(text).await.map_err(closed)?;
    if let Some(text) = kept {
        answer.next_message().map_err(closed)?;
        answer.write(text).await.map_err(closed)?;
    }
    answer.finish().map_err(closed)?;
    let subscription = if let Some((membership, _)) = member {
        Subscription::of_member(membership)
    } else {
        let counting = &client.place.pusher.counting;
        let occupant = Occupant::begin(counting, &client.hub, app, channel);
        Subscription::of(name, occupant)
    };
    client.subscriptions.add(subscription);
    Ok(())
}

/// What a subscriber of a cache channel is told first: read once it is in the group, so that it misses no event between
/// the two. `None` if the registry does not answer.
async fn kept(client: &Client, app: &App, channel: &str) -> Option<String> {
    let patience = &client.place.pusher.patience;
    let last = cache::last_within(client.hub.cluster(), channel, patience).await;
    let Some((event, _)) = last? else {
        client.place.pusher.webhooks.cache_miss(app, channel);
        return Some(outgoing::cache_miss(channel));
    };
    let text = outgoing::cached_event(channel, &event.name, &event.data);
    Some(text)
}

/// The application signs `socket_id:channel`, and behind it the data of the subscription, if there is some.
fn check_signature(
    app: &App,
    socket_id: &str,
    channel: &str,
    asked: &Subscribe<'_>,
) -> Result<(), Refused> {
    let mut signed = format!("{socket_id}:{channel}");
    if let Some(data) = &asked.channel_data {
        signed.push(':');
        signed.push_str(data);
    }
    let checked = signed::check(app, asked.auth.as_deref(), &signed);
    checked.map_err(|error| Refused::unauthorized(error.to_string()))
}

impl Refused {
    /// What metrics call it.
    fn reason(&self) -> &'static str {
        match self.told {
            None => "invalid",
            Some((_, 401)) => "unauthorized",
            Some((_, 403)) => "limit",
            Some(_) => "unavailable",
        }
    }

    fn unauthorized(message: String) -> Self {
        let told = Some(("AuthError", 401));
        Self { message, told }
    }

    fn limit(message: String) -> Self {
        let told = Some(("LimitReached", 403));
        Self { message, told }
    }

    fn unseen(message: String) -> Self {
        let told = None;
        Self { message, told }
    }
}

impl From<EnterError> for Refused {
    fn from(error: EnterError) -> Self {
        let message = error.to_string();
        match error {
            EnterError::Full => Self::limit(message),
            EnterError::Member(_) | EnterError::Nobody => Self::unauthorized(message),
            EnterError::Unsupported | EnterError::Presence(_) => Self {
                message,
                told: Some(("Unavailable", 503)),
            },
        }
    }
}
