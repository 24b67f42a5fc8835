//! The chat of `tieline demo`: what its events mean.
//!
//! Messages to all and to rooms are messages to groups, which the wire knows by itself. Events are a
//! message to one person (`direct`), the list of who is online (`online`), and the frames of simple
//! clients (`message`), which go to the lobby.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tieline::{CloseReason, Connection, Hub};
use tokio::sync::Notify;

use crate::webpubsub::{Event, EventError, Events, Payload, send_to_group};

/// The group that the page's visitors are in.
const LOBBY: &str = "lobby";

/// Users that a list names at most; the total is always true.
const MOST_USERS: usize = 200;

/// The list of who is online goes out this often at most.
const PRESENCE_PAUSE: Duration = Duration::from_millis(100);

/// The chat's event handler.
pub(crate) struct Chat {
    changed: Arc<Notify>,
}

impl Chat {
    /// A chat on a hub. Its task tells everyone who is online whenever that changes, until it is
    /// dropped with the runtime.
    pub(crate) fn start(hub: Hub) -> Self {
        let changed = Arc::new(Notify::new());
        tokio::spawn(tell_who_is_online(hub, Arc::clone(&changed)));
        Self { changed }
    }
}

/// Data of a `direct` event.
#[derive(Deserialize)]
struct ToOne {
    to: String,
    text: String,
}

/// What the chat sends by itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum FromChat<'a> {
    Direct {
        from: &'a str,
        to: &'a str,
        text: &'a str,
    },
    Online {
        users: Vec<&'a str>,
        total: usize,
    },
}

impl Events for Chat {
    async fn connected(&self, _: &Connection) {
        self.changed.notify_one();
    }

    async fn event(
        &self,
        client: &Connection,
        event: Event<'_>,
    ) -> Result<Option<Payload>, EventError> {
        match event.name {
            "online" => Ok(Some(who_is_online(client.hub()))),
            "direct" => direct(client, &event.payload).map(|()| None),
            "message" => {
                send_to_group(client, LOBBY, false, &event.payload);
                Ok(None)
            }
            name => {
                let message = format!(
                    "the demo knows no event {name:?}; it knows direct, online and message"
                );
                Err(EventError {
                    name: "NotFound",
                    message,
                })
            }
        }
    }

    async fn disconnected(&self, _: &Connection, _: &CloseReason) {
        self.changed.notify_one();
    }
}

/// Sends to all connections of a person, and to all of the sender's.
fn direct(client: &Connection, payload: &Payload) -> Result<(), EventError> {
    let refused = |name, message: String| Err(EventError { name, message });
    let Some(ToOne { to, text }) = payload.as_json() else {
        return refused(
            "BadRequest",
            r#"the data must be {"to":"…","text":"…"}"#.into(),
        );
    };
    let Some(from) = client.user() else {
        return refused(
            "Forbidden",
            "say who you are: connect with ?user=NAME".into(),
        );
    };
    let hub = client.hub();
    let mut receivers = hub.user(&to);
    if receivers.is_empty() {
        return refused("Offline", format!("{to} is not online"));
    }
    if to != from {
        receivers.extend(hub.user(from));
    }
    let message = Payload::json(&FromChat::Direct {
        from,
        to: &to,
        text: &text,
    });
    for receiver in receivers {
        receiver.emit(message.for_client(&receiver));
    }
    Ok(())
}

fn who_is_online(hub: &Hub) -> Payload {
    let users = hub.users();
    let total = users.len();
    let listed = users.iter().take(MOST_USERS).map(|user| &**user);
    Payload::json(&FromChat::Online {
        users: listed.collect(),
        total,
    })
}

async fn tell_who_is_online(hub: Hub, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        let frame = who_is_online(&hub).as_server_message();
        // Simple clients talk to people, not to programs: presence is nothing to them.
        for visitor in hub
            .connections()
            .iter()
            .filter(|c| c.subprotocol().is_some())
        {
            visitor.emit(frame.clone());
        }
        tokio::time::sleep(PRESENCE_PAUSE).await;
    }
}
