//! What a backend asks about channels.
//!
//! Owns what is known of one, and which there are. Must not know signatures. Invariants: the channels of users are not
//! listed; what nodes that do not answer have is missing, and a header says so.

use std::collections::BTreeMap;

use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tieline::PresenceError;

use super::{
    answer::json_response,
    caller::Caller,
    counts::Subscribers,
    error::ApiError,
    info::{self, Info},
    signature::Query,
    trigger::channel,
};
use crate::{
    app::operations::node::{self, NodeOperation},
    wire::{
        outcome::refused_and_missed,
        pusher::{
            cache,
            channel::{Channel, ChannelKind},
        },
    },
};

/// How many channels are asked about at a time.
const AT_ONCE: usize = 64;

/// What is known of a channel: what was asked for.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    occupied: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<u64>,
    /// The last event of a cache channel; null if none is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Value>,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
}

/// The channels that have subscribers.
pub(super) async fn list(caller: &Caller, query: &Query<'_>) -> Result<Response, ApiError> {
    let prefix = query.get("filter_by_prefix").unwrap_or_default();
    let info = Info::parse(query.get("info").unwrap_or_default());
    if info.user_count && !prefix.starts_with("presence-") {
        let message =
            "user_count is known of presence channels only: add filter_by_prefix=presence-";
        return Err(ApiError::bad_request(message));
    }
    let (names, missed) = caller.occupied(prefix).await;
    let wanted = Info {
        subscription_count: false,
        ..info
    };
    let wanted = names.keys().map(|name| (name.clone(), wanted));
    let mut about = caller.describe(wanted.collect()).await?;
    let channels = names.iter().zip(&mut about).map(|((name, count), about)| {
        about.subscription_count = info.subscription_count.then_some(*count);
        (&**name, &*about)
    });
    let channels: BTreeMap<_, _> = channels.collect();
    let mut response = json_response(json!({ "channels": channels }).to_string());
    refused_and_missed(response.headers_mut(), 0, missed);
    Ok(response)
}

/// What is known of one channel.
pub(super) async fn one(
    caller: &Caller,
    name: &str,
    query: &Query<'_>,
) -> Result<Response, ApiError> {
    let channel = channel(name)?;
    let words = query.get("info").unwrap_or_default();
    let (info, cache) = (Info::parse(words), info::asks(words, "cache"));
    if info.user_count && channel.kind() != ChannelKind::Presence {
        let message = "user_count is known of presence channels only";
        return Err(ApiError::bad_request(message));
    }
    if cache && !channel.is_cached() {
        let message = "cache is known of cache channels only";
        return Err(ApiError::bad_request(message));
    }
    let subscribers = caller.subscribers(name).await;
    let Subscribers { count, missed } = subscribers;
    let about = About {
        occupied: Some(count > 0),
        subscription_count: info.subscription_count.then_some(count),
        user_count: if info.user_count {
            Some(caller.members(name).await?)
        } else {
            None
        },
        cache: if cache {
            Some(caller.kept(name).await?)
        } else {
            None
        },
    };
    let mut response = json_response(json!(about).to_string());
    refused_and_missed(response.headers_mut(), 0, missed);
    Ok(response)
}

/// The members of a presence channel.
pub(super) async fn users(caller: &Caller, name: &str) -> Result<Response, ApiError> {
    if channel(name)?.kind() != ChannelKind::Presence {
        let message = "only presence channels know their users";
        return Err(ApiError::bad_request(message));
    }
    let roster = match caller.hub.handle().presence() {
        Some(presence) => presence.roster(name).await.map_err(unknown)?,
        // Then nobody can become a member either.
        None => Vec::new(),
    };
    let users = roster.iter().map(|member| User { id: &member.user });
    let users: Vec<_> = users.collect();
    Ok(json_response(json!({ "users": users }).to_string()))
}

impl Caller {
    /// What applies to channels, in their order.
    async fn describe(&self, channels: Vec<(String, Info)>) -> Result<Vec<About>, ApiError> {
        let channels = channels.into_iter();
        let about = channels.map(|(name, info)| async move { self.about(&name, info).await });
        stream::iter(about).buffered(AT_ONCE).try_collect().await
    }

    /// The same, once an event has been sent there: what is not known is left out, because an error would say that
    /// nothing was done.
    pub(super) async fn describe_known(&self, channels: Vec<(String, Info)>) -> Vec<About> {
        let channels = channels.into_iter();
        let about = channels.map(|(name, info)| async move {
            let known = Info {
                user_count: false,
                ..info
            };
            match self.about(&name, info).await {
                Ok(about) => about,
                Err(_) => self.about(&name, known).await.unwrap_or_default(),
            }
        });
        stream::iter(about).buffered(AT_ONCE).collect().await
    }

    async fn about(&self, channel: &str, info: Info) -> Result<About, ApiError> {
        let mut about = About::default();
        if info.subscription_count {
            about.subscription_count = Some(self.subscribers(channel).await.count);
        }
        if info.user_count {
            about.user_count = Some(self.members(channel).await?);
        }
        Ok(about)
    }

    async fn subscribers(&self, channel: &str) -> Subscribers {
        let hub = self.hub.handle();
        self.api.counts.subscribers(hub, channel).await
    }

    /// How many members a presence channel has.
    async fn members(&self, channel: &str) -> Result<u64, ApiError> {
        match self.hub.handle().presence() {
            Some(presence) => presence.counts(channel).await.map_err(unknown),
            None => Ok(0),
        }
    }

    /// The last event of a cache channel.
    async fn kept(&self, channel: &str) -> Result<Value, ApiError> {
        let last = cache::last(self.hub.handle().cluster(), channel).await;
        let last = last.map_err(|error| {
            ApiError::unavailable(format!(
                "the last event is not known at the moment: {error}"
            ))
        })?;
        Ok(last.map_or(
            Value::Null,
            // In its last second it is still there, which 0 would deny.
            |(event, ttl)| json!({"data": event.data, "ttl": ttl.as_millis().div_ceil(1000)}),
        ))
    }

    /// The channels that begin with a prefix, with the number of their subscribers, and how many nodes did not answer.
    async fn occupied(&self, prefix: &str) -> (BTreeMap<String, u64>, u64) {
        let (mut all, mut missed) = (BTreeMap::new(), 0);
        let mut after = String::new();
        loop {
            let groups = NodeOperation::Groups {
                prefix: prefix.to_owned(),
                after,
            };
            let parts = node::ask_all(self.hub.handle(), &groups).await;
            for (node, why) in &parts.missed {
                self.api.missed.missed(node, why);
            }
            missed = missed.max(parts.missed.len() as u64);
            let page = parts.groups;
            let last = page.groups.last_key_value();
            let next = last.filter(|_| page.more).map(|(name, _)| name.clone());
            let channels = page.groups.into_iter().filter(|(name, _)| is_listed(name));
            all.extend(channels);
            match next {
                Some(next) => after = next,
                None => return (all, missed),
            }
        }
    }
}

fn is_listed(name: &str) -> bool {
    let channel = Channel::parse(name);
    channel.is_ok_and(|channel| !matches!(channel.kind(), ChannelKind::ToUser(_)))
}

fn unknown(error: PresenceError) -> ApiError {
    match error {
        PresenceError::Name(error) => ApiError::bad_request(error.to_string()),
        error => ApiError::unavailable(format!("the members are not known at the moment: {error}")),
    }
}
