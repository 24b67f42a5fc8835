//! Frames that clients send.
//!
//! Owns their syntax. Must not know what they lead to. Invariants: what has the wrong type is refused or taken for
//! absent, never guessed at; text that is signed is kept as it came, byte for byte.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::OF_CLIENT;

/// A valid frame.
#[derive(Debug)]
pub(super) enum ClientFrame<'a> {
    Ping,
    Pong,
    Subscribe(Subscribe<'a>),
    /// From this channel.
    Unsubscribe(Cow<'a, str>),
    SignIn(SignIn<'a>),
    Event(ClientEvent<'a>),
}

/// A client asks to subscribe to a channel.
#[derive(Debug)]
pub(super) struct Subscribe<'a> {
    pub(super) channel: Cow<'a, str>,
    pub(super) auth: Option<Cow<'a, str>>,
    /// JSON, as it was signed.
    pub(super) channel_data: Option<Cow<'a, str>>,
}

/// A client says which user it is.
#[derive(Debug)]
pub(super) struct SignIn<'a> {
    pub(super) auth: Option<Cow<'a, str>>,
    /// JSON, as it was signed.
    pub(super) user_data: Cow<'a, str>,
}

/// An event for the other subscribers of a channel.
#[derive(Debug)]
pub(super) struct ClientEvent<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) channel: Cow<'a, str>,
    /// `None` without any, and for null.
    pub(super) data: Option<&'a RawValue>,
}

/// Why a message is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the message is no JSON object with the text `event`")]
    NoEvent,
    #[error(
        "unknown event; clients send pusher:subscribe, pusher:unsubscribe, pusher:signin, pusher:ping, pusher:pong, and \
         events that begin with {OF_CLIENT}"
    )]
    UnknownEvent,
    #[error("`data` must be an object")]
    NoData,
    #[error("`channel` must be text")]
    NoChannel,
    #[error("`user_data` must be text: JSON as it was signed")]
    UserData,
    #[error("`channel_data` must be text: JSON as it was signed")]
    ChannelData,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SubscriptionData<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    channel_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SignInData<'a> {
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    user_data: Option<&'a RawValue>,
}

impl<'a> ClientFrame<'a> {
    /// Parses a text message.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let frame: Envelope<'a> = object(text).ok_or(Malformed::NoEvent)?;
        let event = frame.event.and_then(string).ok_or(Malformed::NoEvent)?;
        let of_subscription = || {
            let data = frame.data.and_then(|data| object(data.get()));
            data.ok_or(Malformed::NoData)
        };
        Ok(match &*event {
            "pusher:ping" => Self::Ping,
            "pusher:pong" => Self::Pong,
            "pusher:subscribe" => Self::Subscribe(Subscribe::read(&of_subscription()?)?),
            "pusher:unsubscribe" => Self::Unsubscribe(channel(of_subscription()?.channel)?),
            "pusher:signin" => Self::SignIn(SignIn::read(frame.data)?),
            name if name.starts_with(OF_CLIENT) => Self::Event(ClientEvent {
                channel: channel(frame.channel)?,
                data: frame.data,
                name: event,
            }),
            _ => return Err(Malformed::UnknownEvent),
        })
    }
}

impl<'a> SignIn<'a> {
    fn read(data: Option<&'a RawValue>) -> Result<Self, Malformed> {
        let data = data.and_then(|data| object::<SignInData<'a>>(data.get()));
        let data = data.ok_or(Malformed::NoData)?;
        Ok(Self {
            auth: data.auth.and_then(string),
            user_data: data.user_data.and_then(string).ok_or(Malformed::UserData)?,
        })
    }
}

impl<'a> Subscribe<'a> {
    fn read(data: &SubscriptionData<'a>) -> Result<Self, Malformed> {
        let channel_data = data.channel_data.map(string);
        Ok(Self {
            channel: channel(data.channel)?,
            // Nonsense signs nothing, and public channels need no signature.
            auth: data.auth.and_then(string),
            channel_data: match channel_data {
                Some(None) => return Err(Malformed::ChannelData),
                other => other.flatten(),
            },
        })
    }
}

fn channel(json: Option<&RawValue>) -> Result<Cow<'_, str>, Malformed> {
    json.and_then(string).ok_or(Malformed::NoChannel)
}

/// An object; what else could be read as its fields in order, such as a list, is none.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let is_object = json.trim_ascii_start().starts_with('{');
    is_object.then(|| serde_json::from_str(json).ok())?
}

/// The text of a JSON string; `None` for other values.
fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = json.get();
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') {
        return serde_json::from_str(quoted).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_need_no_data() {
        for text in [
            r#"{"event":"pusher:ping","data":{}}"#,
            r#"{"event": "pusher:ping"}"#,
            r#"{"event":"pusher:ping","data":""}"#,
            r#"{"event":"pusher:\u0070ing","data":null,"channel":7}"#,
        ] {
            assert!(matches!(ClientFrame::parse(text), Ok(ClientFrame::Ping)));
        }
    }

    #[test]
    fn what_is_signed_is_kept_as_it_came() {
        let text = r#"{"event":"pusher:subscribe","data":{"auth":"k:1","channel_data":"{\"user_id\" : 1}","channel":"a"}}"#;
        let Ok(ClientFrame::Subscribe(asked)) = ClientFrame::parse(text) else {
            panic!("not read");
        };
        assert_eq!(asked.channel_data.as_deref(), Some("{\"user_id\" : 1}"));
        assert_eq!(asked.auth.as_deref(), Some("k:1"));
        for auth in ["7", "null", "{}", r#""\ud800""#] {
            let text =
                format!(r#"{{"event":"pusher:subscribe","data":{{"auth":{auth},"channel":"a"}}}}"#);
            let Ok(ClientFrame::Subscribe(asked)) = ClientFrame::parse(&text) else {
                panic!("not read: {text}");
            };
            assert_eq!(asked.auth, None);
        }
    }

    #[test]
    fn the_data_of_an_event_is_any_json_and_null_is_none() {
        for (data, expected) in [("{\"a\": 1}", Some("{\"a\": 1}")), ("null", None)] {
            let text = format!(r#"{{"event":"client-x","channel":"private-a","data":{data}}}"#);
            let Ok(ClientFrame::Event(event)) = ClientFrame::parse(&text) else {
                panic!("not read: {text}");
            };
            assert_eq!(event.data.map(RawValue::get), expected);
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for (text, error) in [
            ("", Malformed::NoEvent),
            ("x", Malformed::NoEvent),
            ("null", Malformed::NoEvent),
            ("7", Malformed::NoEvent),
            ("[]", Malformed::NoEvent),
            (r#"["pusher:ping"]"#, Malformed::NoEvent),
            ("{}", Malformed::NoEvent),
            (&deep, Malformed::NoEvent),
            (r#"{"event":null}"#, Malformed::NoEvent),
            (r#"{"event":7}"#, Malformed::NoEvent),
            (r#"{"event":"pusher:ping","event":"x"}"#, Malformed::NoEvent),
            (r#"{"event":"x"}"#, Malformed::UnknownEvent),
            (r#"{"event":"pusher:nope"}"#, Malformed::UnknownEvent),
            (r#"{"event":"pusher:subscribe"}"#, Malformed::NoData),
            (
                r#"{"event":"pusher:subscribe","data":null}"#,
                Malformed::NoData,
            ),
            (
                r#"{"event":"pusher:subscribe","data":["a"]}"#,
                Malformed::NoData,
            ),
            (
                r#"{"event":"pusher:subscribe","data":{}}"#,
                Malformed::NoChannel,
            ),
            (
                r#"{"event":"pusher:unsubscribe","data":{"channel":7}}"#,
                Malformed::NoChannel,
            ),
            (
                r#"{"event":"pusher:subscribe","data":{"channel":"a","channel_data":{}}}"#,
                Malformed::ChannelData,
            ),
            (
                r#"{"event":"client-x","channel":null,"data":1}"#,
                Malformed::NoChannel,
            ),
        ] {
            assert_eq!(ClientFrame::parse(text).unwrap_err(), error, "{text}");
        }
    }
}
