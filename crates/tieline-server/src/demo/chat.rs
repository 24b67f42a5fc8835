//! The chat of `tieline demo`: what its events mean.
//!
//! Messages to all and to rooms are messages to groups, which the wire knows by itself. Events are a
//! message to one person (`direct`), the list of who is online (`online`), and the frames of simple
//! clients (`message`), which go to the lobby. Persons are on any node of the cluster.

use serde::{Deserialize, Serialize};
use tieline::{CloseReason, Cluster, Connection, Summary};

use super::nodes::Nodes;
use super::roster::OnlineStatus;
use crate::app::user::user_of;
use crate::wire::webpubsub::{Event, EventError, Events, Payload, send_to_group, send_to_user};

/// The group that the page's visitors are in.
const LOBBY: &str = "lobby";

/// The chat's event handler.
pub(crate) struct Chat {
    cluster: Cluster,
    presence: OnlineStatus,
}

impl Chat {
    /// The chat of a node. Tells its visitors who is online on any node, until it is dropped.
    pub(crate) fn start(cluster: Cluster, nodes: Nodes) -> Self {
        Self {
            presence: OnlineStatus::start(cluster.clone(), nodes),
            cluster,
        }
    }
}

/// Data of a `direct` event.
#[derive(Deserialize)]
struct ToOne {
    to: String,
    text: String,
    /// Where the sender says that it is: the page does, for its readers.
    node: Option<String>,
}

/// What goes to both sides of a `direct` event.
#[derive(Serialize)]
struct Direct<'a> {
    kind: &'static str,
    from: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
}

impl Events for Chat {
    async fn connected(&self, _: &Connection) {
        self.presence.changed();
    }

    async fn event(
        &self,
        client: &Connection,
        event: Event<'_>,
    ) -> Result<Option<Payload>, EventError> {
        match event.name {
            "online" => Ok(Some(self.presence.latest())),
            "direct" => self.direct(client, &event.payload).await.map(|()| None),
            "message" => {
                send_to_group(&self.cluster, client, LOBBY, false, &event.payload);
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
        self.presence.changed();
    }
}

impl Chat {
    /// Sends to all connections of a person and, when it got there, to all of the sender's.
    async fn direct(&self, client: &Connection, payload: &Payload) -> Result<(), EventError> {
        let refused = |name, message: String| Err(EventError { name, message });
        let Some(ToOne { to, text, node }) = payload.as_json() else {
            return refused(
                "BadRequest",
                r#"the data must be {"to":"…","text":"…"}"#.into(),
            );
        };
        let Some(from) = user_of(client) else {
            return refused(
                "Forbidden",
                "say who you are: connect with ?user=NAME".into(),
            );
        };
        let message = Payload::json(&Direct {
            kind: "direct",
            from,
            to: &to,
            text: &text,
            node: node.as_deref(),
        });
        let sent = send_to_user(&self.cluster, &to, &message).await;
        if sent.iter().all(|part| part.reached.delivered == 0) {
            return if sent.iter().all(Summary::is_complete) {
                refused("Offline", format!("{to} is not online"))
            } else {
                refused("Unreachable", format!("a node that may have {to} is away"))
            };
        }
        if to != from {
            send_to_user(&self.cluster, from, &message).await;
        }
        Ok(())
    }
}
