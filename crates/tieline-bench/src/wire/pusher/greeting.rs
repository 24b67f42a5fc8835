//! How a connection opens: the server names its `socket_id`, the client subscribes to its channels with signatures
//! over that name, and the server confirms each subscription.
//!
//! Invariant: the connection is open when all subscriptions are confirmed, so that an event of a channel reaches
//! every connection that is open.

use serde::Deserialize;
use serde_json::{Value, json};

use super::secret::AppSecret;
use crate::{frame, wire::step::Step};

/// The opening of one connection.
#[derive(Debug)]
pub(crate) struct Greeting {
    key: String,
    secret: Option<AppSecret>,
    /// Who the client is in presence channels.
    user: String,
    /// The channels that are not confirmed.
    channels: Vec<String>,
    connected: bool,
}

#[derive(Deserialize)]
struct Frame {
    event: String,
    channel: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Greeting {
    /// An opening that subscribes to these channels of the app with this key.
    pub(crate) fn new(
        key: &str,
        secret: Option<AppSecret>,
        user: String,
        channels: Vec<String>,
    ) -> Self {
        Self {
            key: key.to_owned(),
            secret,
            user,
            channels,
            connected: false,
        }
    }

    /// Whether the connection is open.
    pub(crate) fn is_complete(&self) -> bool {
        self.connected && self.channels.is_empty()
    }

    /// Handles a message of the server; an error is why the connection cannot open.
    pub(crate) fn on_message(&mut self, message: &[u8]) -> Result<Step, String> {
        let frame: Frame = serde_json::from_slice(message)
            .map_err(|e| format!("a frame of the opening is malformed: {e}"))?;
        match frame.event.as_str() {
            "pusher:connection_established" if !self.connected => {
                self.connected = true;
                self.subscribe(&frame)
            }
            "pusher:error" | "pusher:subscription_error" => {
                Err(format!("a subscription failed: {}", frame.data))
            }
            _ if !self.connected => {
                let event = frame.event;
                Err(format!("the opening begins with the event {event:?}"))
            }
            "pusher_internal:subscription_succeeded" => {
                let channel = frame.channel.unwrap_or_default();
                let Some(index) = self.channels.iter().position(|own| *own == channel) else {
                    return Err(format!("{channel:?} is confirmed, and was not asked for"));
                };
                self.channels.swap_remove(index);
                Ok(Step::Wait)
            }
            // Members that come, and events of those who are open already.
            _ => Ok(Step::Wait),
        }
    }

    fn subscribe(&self, frame: &Frame) -> Result<Step, String> {
        let data = frame.data.as_str().unwrap_or_default();
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        let Some(socket) = data["socket_id"].as_str() else {
            return Err("the server named no socket_id".to_owned());
        };
        let mut frames = Vec::new();
        for channel in &self.channels {
            let data = self.subscription(socket, channel)?;
            let text = json!({ "event": "pusher:subscribe", "data": data }).to_string();
            frame::header(&mut frames, frame::TEXT, text.len(), true);
            frames.extend_from_slice(text.as_bytes());
        }
        Ok(Step::Send(frames))
    }

    fn subscription(&self, socket: &str, channel: &str) -> Result<Value, String> {
        let member = channel
            .starts_with("presence-")
            .then(|| json!({ "user_id": self.user }).to_string());
        if member.is_none() && !channel.starts_with("private-") {
            return Ok(json!({ "channel": channel }));
        }
        let secret = self.secret.as_ref().ok_or_else(|| {
            format!("{channel:?} needs a signature: --token-key is the file with the app's secret")
        })?;
        let mut signed = format!("{socket}:{channel}");
        if let Some(member) = &member {
            signed.extend([":", member]);
        }
        let signature = secret.sign(&[signed.as_bytes()]);
        let auth = format!("{}:{}", self.key, String::from_utf8_lossy(&signature));
        let mut data = json!({ "channel": channel, "auth": auth });
        if let Some(member) = member {
            data["channel_data"] = member.into();
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTABLISHED: &str =
        r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1234.1234\"}"}"#;

    fn greeting(channels: &[&str], secret: Option<AppSecret>) -> Greeting {
        let channels = channels.iter().map(ToString::to_string).collect();
        Greeting::new("278d425bdf160c739803", secret, "client-7".into(), channels)
    }

    fn secret() -> AppSecret {
        AppSecret::new(b"7ad3773142a6692b25b8")
    }

    fn confirmed(channel: &str) -> String {
        format!(
            r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
        )
    }

    fn refused(messages: &[&str]) -> String {
        let mut greeting = greeting(&["private-foobar"], Some(secret()));
        let found = messages
            .iter()
            .find_map(|message| greeting.on_message(message.as_bytes()).err());
        found.expect("it is refused")
    }

    #[test]
    fn it_is_complete_when_all_signed_subscriptions_are_confirmed() {
        let mut greeting = greeting(&["private-foobar", "presence-a"], Some(secret()));
        let Ok(Step::Send(frames)) = greeting.on_message(ESTABLISHED.as_bytes()) else {
            panic!("it subscribes");
        };
        let frames = String::from_utf8_lossy(&frames);
        for expected in [
            "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
            r#""channel_data":"{\"user_id\":\"client-7\"}""#,
        ] {
            assert!(frames.contains(expected), "{frames}");
        }
        for message in [
            confirmed("presence-a"),
            r#"{"event":"pusher_internal:member_added","channel":"presence-a","data":"{}"}"#.into(),
            confirmed("private-foobar"),
        ] {
            assert!(!greeting.is_complete());
            assert_eq!(greeting.on_message(message.as_bytes()), Ok(Step::Wait));
        }
        assert!(greeting.is_complete());
    }

    #[test]
    fn public_channels_need_no_secret() {
        let mut public = greeting(&["news"], None);
        assert!(matches!(
            public.on_message(ESTABLISHED.as_bytes()),
            Ok(Step::Send(_))
        ));
        let mut private = greeting(&["private-a"], None);
        let why = private.on_message(ESTABLISHED.as_bytes()).unwrap_err();
        assert!(why.contains("--token-key"), "{why}");
    }

    #[test]
    fn what_a_server_must_not_say_is_refused() {
        assert!(refused(&["hello"]).contains("malformed"));
        assert!(refused(&[&confirmed("private-foobar")]).contains("begins with"));
        assert!(refused(&[ESTABLISHED, &confirmed("other")]).contains("not asked for"));
        let error = r#"{"event":"pusher:error","data":{"code":4001,"message":"no such app"}}"#;
        assert!(refused(&[error]).contains("no such app"));
        let nameless = r#"{"event":"pusher:connection_established","data":"{}"}"#;
        assert!(refused(&[nameless]).contains("socket_id"));
    }
}
