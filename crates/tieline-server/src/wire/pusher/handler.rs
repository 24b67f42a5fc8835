//! Carries out what clients send.
//!
//! Owns which action a frame leads to. Must not know the syntax of frames, which is that of `incoming` and `outgoing`.
//! Invariants: the frames of a client are carried out one after the other; nothing that it sends closes its connection.

use serde_json::value::RawValue;
use tieline::{CloseReason, Connection, ExcessVerdict, Handler, Message};

use super::{
    channel::{Channel, ChannelKind},
    client::Client,
    event,
    incoming::{ClientEvent, ClientFrame},
    outgoing::{self, EMPTY},
    sign_in::sign_in,
    subscribe::{subscribe, unsubscribe},
    webhooks,
};
use crate::{
    app::{
        channels::MAX_EVENT_NAME,
        connection_log, cuts,
        events::GroupChange,
        follow::{Follows, What},
    },
    metrics::{EventOutcome, METRICS},
};

/// What metrics and the log call the wire.
pub(super) const WIRE: &str = "pusher";

/// Refused because the client sends too many events.
const TOO_MANY: u16 = 4301;

/// The handler of Pusher clients.
pub(super) struct PusherHandler {
    follows: Follows,
}

impl PusherHandler {
    pub(super) fn new(follows: Follows) -> Self {
        Self { follows }
    }
}

/// Why an event is not relayed.
struct NotRelayed {
    code: Option<u16>,
    message: String,
}

impl Handler for PusherHandler {
    /// Boxed: the task of a connection holds it.
    type State = Box<Client>;

    async fn on_connect(&self, connection: &Connection, client: &mut Self::State) {
        let kind = client.protocol.name();
        METRICS.client_entered(client.hub.name().as_str(), WIRE, kind);
        connection_log::accepted(connection, WIRE, kind);
        self.follows.connected(connection);
    }

    async fn on_message(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        message: Message,
    ) {
        let Message::Text(text) = message else {
            let why = "binary message; this protocol has only text";
            self.refuse(connection, None, why);
            return;
        };
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Ping) => drop(connection.emit(outgoing::pong())),
            Ok(ClientFrame::Pong) => {}
            Ok(ClientFrame::Subscribe(asked)) => {
                let subscribed = subscribe(connection, client, &asked).await;
                self.follows.note(connection, || match &subscribed {
                    Ok(()) => What::changed(GroupChange::Joined, &asked.channel),
                    Err((error, message)) => What::refused(error, message),
                });
            }
            Ok(ClientFrame::Unsubscribe(channel)) => {
                self.unsubscribe(connection, client, &channel);
            }
            Ok(ClientFrame::SignIn(asked)) => {
                if sign_in(connection, client, &asked).await {
                    // Whoever follows the user learns of the connection now.
                    self.follows.connected(connection);
                }
            }
            Ok(ClientFrame::Event(event)) => {
                let relayed = relay(connection, client, &event, &self.follows);
                METRICS.pusher().event(outcome(&relayed));
                if let Err(NotRelayed { code, message }) = relayed {
                    self.refuse(connection, code, &message);
                }
            }
            Err(malformed) => self.refuse(connection, None, &malformed.to_string()),
        }
    }

    async fn on_disconnect(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        reason: CloseReason,
    ) {
        let kind = client.protocol.name();
        METRICS.client_left(client.hub.name().as_str(), WIRE, kind);
        connection_log::ended(connection, WIRE, &reason);
        cuts::closed(&client.hub, connection, &reason);
    }

    /// Refuses a message that is too much: the client learns of it where it waits for an answer. The end of a
    /// subscription is carried out, because the client takes it for done, and it only frees.
    async fn on_excess(
        &self,
        connection: &Connection,
        client: &mut Self::State,
        message: &Message,
    ) -> ExcessVerdict {
        let frame = match message {
            Message::Text(text) => ClientFrame::parse(text).ok(),
            Message::Binary(_) => None,
        };
        connection.emit(match frame {
            Some(ClientFrame::Ping) => outgoing::pong(),
            Some(ClientFrame::Event(_)) => {
                METRICS.pusher().event(EventOutcome::TooMany);
                outgoing::error(Some(TOO_MANY), TOO_MUCH)
            }
            Some(ClientFrame::Unsubscribe(channel)) => {
                self.unsubscribe(connection, client, &channel);
                return ExcessVerdict::Drop;
            }
            Some(ClientFrame::Subscribe(asked)) => {
                connection.emit(outgoing::error(None, TOO_MUCH));
                outgoing::subscription_error(&asked.channel, "LimitReached", TOO_MUCH, 429)
            }
            _ => outgoing::error(None, TOO_MUCH),
        });
        let refused = || What::refused("LimitReached", TOO_MUCH);
        self.follows.note(connection, refused);
        ExcessVerdict::Drop
    }
}

impl PusherHandler {
    /// Tells a client that what it has sent is not done, and those who follow it.
    fn refuse(&self, connection: &Connection, code: Option<u16>, why: &str) {
        connection.emit(outgoing::error(code, why));
        let error = match code {
            Some(TOO_MANY) => "LimitReached",
            _ => "BadRequest",
        };
        self.follows.note(connection, || What::refused(error, why));
    }

    fn unsubscribe(&self, connection: &Connection, client: &mut Client, channel: &str) {
        if unsubscribe(connection, client, channel) {
            let left = || What::changed(GroupChange::Left, channel);
            self.follows.note(connection, left);
        }
    }
}

const TOO_MUCH: &str = "too much was sent; try again later";

/// What metrics call it.
fn outcome(relayed: &Result<(), NotRelayed>) -> EventOutcome {
    match relayed {
        Ok(()) => EventOutcome::Relayed,
        Err(NotRelayed { code: None, .. }) => EventOutcome::Refused,
        Err(_) => EventOutcome::TooMany,
    }
}

/// Sends an event of a client to all other subscribers of a channel.
fn relay(
    connection: &Connection,
    client: &Client,
    event: &ClientEvent<'_>,
    follows: &Follows,
) -> Result<(), NotRelayed> {
    let app = client.place.app();
    let Some(app) = app.filter(|app| app.rules.client_events) else {
        return not_relayed("client events are not enabled for this app");
    };
    let rules = app.rules;
    let kind = Channel::parse(&event.channel).map(Channel::kind);
    if !matches!(kind, Ok(ChannelKind::Private | ChannelKind::Presence)) {
        return not_relayed("clients send events to private and presence channels only");
    }
    let Some(subscription) = client.subscriptions.get(&event.channel) else {
        return not_relayed("clients send events only to channels that they are subscribed to");
    };
    if event.name.len() > MAX_EVENT_NAME && event.name.chars().count() > MAX_EVENT_NAME {
        return not_relayed(format!(
            "the name of an event has at most {MAX_EVENT_NAME} characters"
        ));
    }
    // Some SDKs throw an exception without data.
    let empty = || serde_json::from_str::<&RawValue>(EMPTY).expect("it is JSON");
    let data = event.data.unwrap_or_else(empty);
    if data.get().len() > rules.max_event {
        let most = rules.max_event;
        return not_relayed(format!("the data of an event has at most {most} bytes"));
    }
    let member = subscription.member();
    let Some(note) = event::of_client(&event.name, data, member) else {
        return not_relayed("the data is nested too deeply, or has half a surrogate pair");
    };
    if !client.may_send_event(rules.max_client_event_rate) {
        let most = rules.max_client_event_rate;
        return Err(NotRelayed {
            code: Some(TOO_MANY),
            message: format!("a client may send {most} events per second"),
        });
    }
    let others = client.hub.cluster().except([connection.id()]);
    follows.sent(connection, others.emit_group(&event.channel, note));
    let posted = webhooks::ClientEvent {
        channel: &event.channel,
        name: &event.name,
        data,
        socket_id: connection.id(),
        user: member,
    };
    client.place.pusher.webhooks.client_event(&app, posted);
    Ok(())
}

impl NotRelayed {
    fn of(why: impl Into<String>) -> Self {
        Self {
            code: None,
            message: why.into(),
        }
    }
}

fn not_relayed<T>(why: impl Into<String>) -> Result<T, NotRelayed> {
    Err(NotRelayed::of(why))
}
