//! The event handler of the chat.
//!
//! Messages to everyone and to rooms are messages to groups, which need no event. The events are a
//! message to one user (`direct`), a request for who is online (`online`), and the frames of simple
//! clients (`message`), which go to the lobby. Simple clients are in the lobby from the start.

use serde::{Deserialize, Serialize};
use tieline::{CloseReason, Cluster, Connection};

use super::{
    nodes::Nodes,
    roster::{Roster, is_simple},
};
use crate::app::{
    events::{
        Admission, ConnectError, ConnectRequest, EventClient, EventKind, Events, GroupEvent,
        OperationError, Reply, UserEvent,
    },
    hubs::HubHandle,
    payload::Payload,
    send::{about_sender, send_to_group, send_to_user},
};

/// The group of everyone on the page.
const LOBBY: &str = "lobby";

/// The hub of the chat.
pub(crate) const HUB: &str = "chat";

/// The chat of one node.
pub(crate) struct Chat {
    cluster: Cluster,
    roster: Roster,
}

impl Chat {
    /// Starts the chat of a node. Until it is dropped, it keeps the node's clients informed about who is online on all
    /// nodes.
    pub(crate) fn start(hub: HubHandle, nodes: Nodes) -> Self {
        Self {
            cluster: hub.cluster().clone(),
            roster: Roster::start(hub, nodes),
        }
    }
}

/// Data of a `direct` event.
#[derive(Deserialize)]
struct DirectRequest {
    to: String,
    text: String,
    /// The sender's node according to the sender; the page shows it to the recipient.
    node: Option<String>,
}

/// What both users of a `direct` event receive.
#[derive(Serialize)]
#[serde(tag = "kind", rename = "direct")]
struct DirectMessage<'a> {
    from: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
}

impl Events for Chat {
    type Memory = ();

    fn handles(&self, hub: &str, event: EventKind<'_>) -> bool {
        use EventKind::{Connected, Disconnected, User};
        hub == HUB && matches!(event, Connected | Disconnected | User(_))
    }

    async fn connect(&self, request: ConnectRequest<'_>) -> Result<Admission<()>, ConnectError> {
        Ok(Admission::unchanged(&request))
    }

    async fn connected(&self, client: EventClient<'_, ()>) {
        let client = client.connection;
        // It cannot ask for it.
        if is_simple(client)
            && let Err(error) = client.join(LOBBY)
        {
            tracing::debug!(%error, "a simple client is not in the lobby");
        }
        self.roster.connected(client).await;
    }

    async fn user_event(
        &self,
        client: EventClient<'_, ()>,
        event: UserEvent,
    ) -> Result<Option<Reply>, OperationError> {
        let client = client.connection;
        match &*event.name {
            "online" => Ok(Some(self.roster.latest().into())),
            "direct" => self.direct(client, &event.payload).await.map(|()| None),
            "message" => {
                let about = about_sender(client, false, None);
                send_to_group(&self.cluster, client, LOBBY, false, &event.payload, about);
                Ok(None)
            }
            name => Err(failure(
                "NotFound",
                format!("unknown event {name:?}; use direct, online or message"),
            )),
        }
    }

    async fn group_event(&self, _: EventClient<'_, ()>, _: GroupEvent) {}

    async fn disconnected(&self, client: EventClient<'_, ()>, _: CloseReason) {
        self.roster.disconnected(client.connection);
    }
}

impl Chat {
    /// Sends to all connections of a user and, if any received it, to all of the sender's.
    async fn direct(&self, client: &Connection, payload: &Payload) -> Result<(), OperationError> {
        let Some(DirectRequest { to, text, node }) = payload.deserialize() else {
            let message = r#"the data must be {"to":"NAME","text":"TEXT"}"#;
            return Err(failure("BadRequest", message.into()));
        };
        let Some(from) = client.user() else {
            let message = "anonymous clients cannot send to a user; connect with ?user=NAME";
            return Err(failure("Forbidden", message.into()));
        };
        let message = Payload::json(&DirectMessage {
            from,
            to: &to,
            text: &text,
            node: node.as_deref(),
        });
        let sent = send_to_user(&self.cluster, &to, &message).await;
        if sent.reached.delivered == 0 {
            return Err(if sent.is_complete() {
                failure("Offline", format!("{to} is not online"))
            } else {
                let message = format!("{to} may be on a node that did not answer; try again");
                failure("Unreachable", message)
            });
        }
        if to != from {
            send_to_user(&self.cluster, from, &message).await;
        }
        Ok(())
    }
}

fn failure(name: &'static str, message: String) -> OperationError {
    OperationError { name, message }
}
