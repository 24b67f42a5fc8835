//! Where the events of clients go.

use std::{path::PathBuf, time::Duration};

use crate::config::{secret::Secret, section::section, types::choices, url_template::UrlTemplate};

/// The list of tables in that of all hubs.
pub(crate) const DEFAULT_LIST: &str = "hub_defaults.event_handlers";

/// The list in the table of a hub.
pub(crate) const LIST: &str = "event_handlers";

section! {
    /// A server that gets events.
    pub(crate) struct EventHandlerTable in "hub_defaults.event_handlers" {
        url: Option<UrlTemplate> = None,
            "URL of the event handler, such as \"http://127.0.0.1:3000/eventhandler/{event}\".",
            "{hub} and {event} in the path or the query are replaced by their names. Of several handlers, the \
             first that wants an event gets it.",
            without: "required", live: true;
        system_events: Vec<SystemEvent> = vec![SystemEvent::Connect, SystemEvent::Connected, SystemEvent::Disconnected],
            "System events to send: \"connect\", \"connected\" and \"disconnected\".",
            "A client waits for the answer to connect before its upgrade has one.",
            live: true;
        user_events: Option<String> = Some("**".into()),
            "Events of clients to send: patterns between commas.",
            "* and ? stand for any characters but dots, ** for any characters. Events that no handler wants fail; \
             with \"\", that is all of them.",
            live: true;
        group_events: Vec<GroupEventName> = Vec::new(),
            "Changes of groups to send: \"joined\" and \"left\".",
            "A request for each join or leave of a group that group_filters has.",
            without: "none", live: true;
        group_filters: Option<String> = Some("**".into()),
            "Groups whose changes are sent: patterns between commas, case-sensitive.",
            "Without effect unless group_events names some.",
            live: true;
        connect_timeout: Duration = Duration::from_secs(10),
            "How long a client that connects waits for the answer.",
            "Then it gets 503. Must be less than `times.decision_timeout`.",
            live: true;
        event_timeout: Duration = Duration::from_secs(100),
            "How long any other event may take, retries included; an hour at most.",
            "A handler that is away for less misses no connected and no disconnected.",
            live: true;
        concurrency: usize = 64,
            "Maximum number of requests at a time, 65536 at most.",
            "Further ones wait.",
            live: true;
        bearer: Option<Secret> = None,
            "Token to send in the header Authorization.",
            "For handlers that want to know who asks.",
            without: "none", live: true;
        ca: Option<PathBuf> = None,
            "File with the authority that signed the handler's certificate (PEM).",
            "Certificates of the system's authorities are not accepted then.",
            without: "the system's", live: true;
    }
}

choices! {
    /// What happens to a connection.
    pub(crate) enum SystemEvent {
        Connect = "connect",
        Connected = "connected",
        Disconnected = "disconnected",
    }
}

choices! {
    /// What happens to a group.
    pub(crate) enum GroupEventName {
        Joined = "joined",
        Left = "left",
    }
}
