//! What a backend publishes, as the bodies of its requests say it.
//!
//! Owns what is checked of an event before any is published. Must not know nodes. Invariants: lists are read up to
//! their limit and no further; a channel occurs once in an event.

use std::{borrow::Cow, collections::HashSet, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{error::ApiError, info::Info, signature::Query};
use crate::{
    app::channels::MAX_EVENT_NAME,
    wire::pusher::{
        app::AppRules,
        channel::{Channel, ChannelKind},
    },
};

/// Most channels of an event.
const MAX_CHANNELS: usize = 100;

/// Most events of a batch.
const MAX_BATCH: usize = 10;

/// Longest text about a body that cannot be read, in characters.
const MAX_WHY: usize = 200;

/// Begin the names of events that only the server sends.
const RESERVED: [&str; 2] = ["pusher:", "pusher_internal:"];

/// The body of a request with one event.
#[derive(Deserialize)]
pub(super) struct TriggerBody<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow, default)]
    channels: Option<AtMost<Name<'a>, MAX_CHANNELS>>,
    #[serde(borrow, default)]
    channel: Option<Name<'a>>,
    #[serde(borrow, default)]
    socket_id: Option<Name<'a>>,
    #[serde(borrow, default)]
    info: Option<Name<'a>>,
}

/// The body of a request with several.
#[derive(Deserialize)]
pub(super) struct BatchBody<'a> {
    #[serde(borrow)]
    batch: AtMost<Object<BatchEvent<'a>>, MAX_BATCH>,
}

#[derive(Deserialize)]
struct BatchEvent<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow, default)]
    socket_id: Option<Name<'a>>,
    #[serde(borrow, default)]
    info: Option<Name<'a>>,
}

/// A text that is not copied where it need not be, also in a list or an option.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// An event that may be published.
#[derive(Debug)]
pub(super) struct Trigger<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) data: Cow<'a, str>,
    /// Valid names, at least one, each once.
    pub(super) channels: Vec<Cow<'a, str>>,
    /// The connection that does not get it.
    pub(super) socket_id: Option<Cow<'a, str>>,
    pub(super) info: Option<Info>,
}

impl<'a> Trigger<'a> {
    /// The event in a body.
    pub(super) fn of_body(body: &'a [u8], rules: &AppRules) -> Result<Self, ApiError> {
        let body: TriggerBody<'_> = parse(body)?;
        let channels = match (body.channels, body.channel) {
            (Some(AtMost(names)), _) => names.into_iter().map(|Name(name)| name).collect(),
            (None, Some(Name(name))) => vec![name],
            (None, None) => Vec::new(),
        };
        Self {
            name: body.name,
            data: body.data,
            channels,
            socket_id: body.socket_id.map(|Name(id)| id),
            info: body.info.map(|Name(info)| Info::parse(&info)),
        }
        .checked(rules)
    }

    /// The events in the body of a batch.
    pub(super) fn of_batch(body: &'a [u8], rules: &AppRules) -> Result<Vec<Self>, ApiError> {
        let BatchBody { batch } = parse(body)?;
        let AtMost(events) = batch;
        if events.is_empty() {
            return Err(ApiError::bad_request("batch has no events"));
        }
        let events = events.into_iter().map(|Object(event)| {
            Self {
                name: event.name,
                data: event.data,
                channels: vec![event.channel],
                socket_id: event.socket_id.map(|Name(id)| id),
                info: event.info.map(|Name(info)| Info::parse(&info)),
            }
            .checked(rules)
        });
        events.collect()
    }

    /// The event of an old library: its name stands in the query, and its data is the body.
    pub(super) fn of_old_request(
        channel: &'a str,
        query: &'a Query<'_>,
        body: &'a [u8],
    ) -> Result<Self, ApiError> {
        let data = std::str::from_utf8(body);
        let data = data.map_err(|_| ApiError::bad_request("the body is not UTF-8"))?;
        Ok(Self {
            name: query.get("name").unwrap_or_default().into(),
            data: data.into(),
            channels: vec![channel.into()],
            socket_id: query.get("socket_id").map(Cow::Borrowed),
            info: query.get("info").map(Info::parse),
        })
    }

    /// Checks it. What is too long is told apart from what is wrong otherwise.
    pub(super) fn checked(mut self, rules: &AppRules) -> Result<Self, ApiError> {
        if self.name.is_empty() || self.name.chars().count() > MAX_EVENT_NAME {
            let message = format!("the name of an event has 1 to {MAX_EVENT_NAME} characters");
            return Err(ApiError::bad_request(message));
        }
        if RESERVED.iter().any(|begin| self.name.starts_with(begin)) {
            let message =
                "events whose names begin with pusher: or pusher_internal: are the server's";
            return Err(ApiError::bad_request(message));
        }
        let mut is_encrypted = false;
        for name in &self.channels {
            let channel = channel(name)?;
            is_encrypted |= channel.kind() == ChannelKind::Encrypted;
        }
        if self.channels.len() > 1 {
            let mut seen = HashSet::new();
            let is_new = self.channels.iter().map(|name| seen.insert(&**name));
            let mut is_new = is_new.collect::<Vec<_>>().into_iter();
            self.channels.retain(|_| is_new.next().unwrap_or_default());
        }
        match self.channels.len() {
            0 => {
                return Err(ApiError::bad_request(
                    "channels must name 1 to 100 channels",
                ));
            }
            2.. if is_encrypted => {
                let message = "an event for an encrypted channel is for that channel alone, because it is encrypted with \
                               the key of the channel";
                return Err(ApiError::bad_request(message));
            }
            _ => {}
        }
        if self
            .socket_id
            .as_deref()
            .is_some_and(|id| !is_socket_id(id))
        {
            let message = "socket_id must be that of a connection: digits, a point, digits";
            return Err(ApiError::bad_request(message));
        }
        if self.data.len() > rules.max_event {
            return Err(ApiError::too_large(self.data.len(), rules.max_event));
        }
        Ok(self)
    }
}

/// A channel by a name that may be wrong.
pub(super) fn channel(name: &str) -> Result<Channel<'_>, ApiError> {
    Channel::parse(name).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn is_socket_id(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.split_once('.');
    text.len() <= tieline::MAX_NAME && parts.is_some_and(|(a, b)| is_number(a) && is_number(b))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let read = serde_json::from_slice(body).map(|Object(body)| body);
    read.map_err(|error: serde_json::Error| {
        // It may quote the body.
        let why: String = error.to_string().chars().take(MAX_WHY).collect();
        ApiError::bad_request(format!("the body cannot be read: {why}"))
    })
}

/// An object. Without it, a list would be read as the fields in order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// A list of at most so many.
struct AtMost<T, const MAX: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for AtMost<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    match list.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(items),
                    }
                }
                if list.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom(format_args!("a list has more than {MAX}")));
                }
                Ok(items)
            }
        }
        deserializer
            .deserialize_seq(Items::<T, MAX>(PhantomData))
            .map(Self)
    }
}

#[cfg(test)]
mod tests;
