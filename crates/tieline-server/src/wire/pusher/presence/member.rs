//! Who somebody is, as the application has signed it.
//!
//! Must not know what was signed besides. Invariant: an id is a text, whatever it came as; information is JSON as it
//! came.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest id, in characters.
const MAX_ID: usize = 128;

/// Longest information, in bytes.
const MAX_INFO: usize = 1024;

/// A user with information about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wire::pusher) struct Member {
    pub(in crate::wire::pusher) id: Arc<str>,
    /// JSON; empty without any.
    pub(super) info: Arc<str>,
}

/// Nobody is described so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::wire::pusher) enum InvalidMember {
    #[error("channel_data is no JSON object with user_id, a text or a number")]
    ChannelData,
    #[error("user_data is no JSON object with id, a text")]
    UserData,
    #[error("the id of a user has 1 to {MAX_ID} characters, and does not begin with a NUL")]
    Id,
    #[error("user_info has more than {MAX_INFO} bytes")]
    Info,
}

/// What an application signs for a member of a channel.
#[derive(Deserialize)]
struct ChannelData<'a> {
    #[serde(borrow)]
    user_id: &'a RawValue,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
}

impl Member {
    /// Reads the data of a subscription.
    pub(super) fn of_channel(data: &str) -> Result<Self, InvalidMember> {
        let data: ChannelData<'_> =
            serde_json::from_str(data).map_err(|_| InvalidMember::ChannelData)?;
        let id = id(data.user_id).ok_or(InvalidMember::ChannelData)?;
        Self::new(&id, data.user_info)
    }

    /// Whether somebody can have this id.
    pub(super) fn is_id(id: &str) -> bool {
        (1..=MAX_ID).contains(&id.chars().count()) && !id.starts_with('\0')
    }

    pub(in crate::wire::pusher) fn new(
        id: &str,
        info: Option<&RawValue>,
    ) -> Result<Self, InvalidMember> {
        if !Self::is_id(id) {
            return Err(InvalidMember::Id);
        }
        let info = info.map_or("", RawValue::get);
        if info.len() > MAX_INFO {
            return Err(InvalidMember::Info);
        }
        let info = match info {
            // Without any, it takes no room.
            "" | "null" => Arc::default(),
            info => info.into(),
        };
        let id = id.into();
        Ok(Self { id, info })
    }
}

impl Member {
    /// The information as JSON, if there is some.
    pub(super) fn json(&self) -> Option<&RawValue> {
        serde_json::from_str(&self.info).ok()
    }
}

/// A text, or the digits of a number.
fn id(json: &RawValue) -> Option<String> {
    let text = json.get();
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Some(text.to_owned());
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_a_number_and_information_is_kept_as_it_came() {
        for (data, id, info) in [
            (r#"{"user_id":"u1"}"#, "u1", ""),
            (r#"{"user_id": 17 , "user_info":null}"#, "17", ""),
            (
                r#"{"user_info":{"a" : 1},"user_id":-3}"#,
                "-3",
                r#"{"a" : 1}"#,
            ),
            (r#"{"user_id":"\u00fc","user_info":"x"}"#, "ü", r#""x""#),
        ] {
            let member = Member::of_channel(data).unwrap();
            assert_eq!((&*member.id, &*member.info), (id, info), "{data}");
        }
    }

    #[test]
    fn what_describes_nobody_is_refused() {
        let long = format!(r#"{{"user_id":"{}"}}"#, "x".repeat(MAX_ID + 1));
        let much = format!(
            r#"{{"user_id":"1","user_info":"{}"}}"#,
            "x".repeat(MAX_INFO)
        );
        for (data, error) in [
            ("", InvalidMember::ChannelData),
            ("[]", InvalidMember::ChannelData),
            ("null", InvalidMember::ChannelData),
            ("{}", InvalidMember::ChannelData),
            (r#"{"user_id":null}"#, InvalidMember::ChannelData),
            (r#"{"user_id":["a"]}"#, InvalidMember::ChannelData),
            (r#"{"user_id":""}"#, InvalidMember::Id),
            (r#"{"user_id":"\u0000"}"#, InvalidMember::Id),
            (&long, InvalidMember::Id),
            (&much, InvalidMember::Info),
        ] {
            assert_eq!(Member::of_channel(data), Err(error), "{data}");
        }
    }
}
