//! Where the events of clients go.

use std::{path::PathBuf, time::Duration};

use crate::config::{
    secret::Secret, secret_headers::SecretHeaders, section::section, types::choices,
    url_template::UrlTemplate,
};

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
            flag: "event-handler", without: "required", live: true;
        system_events: Vec<SystemEvent> = vec![SystemEvent::Connect, SystemEvent::Connected, SystemEvent::Disconnected],
            "System events to send: \"connect\", \"connected\" and \"disconnected\".",
            "A client waits for the answer to connect before its upgrade has one.",
            flag: "event-handler-system-events", metavar: "EVENTS", live: true;
        user_events: Option<String> = Some("**".into()),
            "Events of clients to send: patterns between commas.",
            "* and ? stand for any characters but dots, ** for any characters. Events that no handler wants fail; \
             with \"\", that is all of them.",
            flag: "event-handler-user-events", metavar: "PATTERNS", live: true;
        group_filters: Option<String> = None,
            "Groups whose joins and leaves are sent: patterns between commas, case-sensitive.",
            "A request for each of those that group_events names.",
            flag: "event-handler-groups", metavar: "PATTERNS", without: "none", live: true;
        group_events: Vec<GroupEventName> = vec![GroupEventName::Joined, GroupEventName::Left],
            "What is sent of these groups: \"joined\" and \"left\".",
            "Without effect unless group_filters names groups.",
            flag: "event-handler-group-events", metavar: "EVENTS", live: true;
        connect_timeout: Duration = Duration::from_secs(10),
            "How long a client that connects waits for the answer.",
            "Then it gets 503. Must be less than `times.decision_timeout`.",
            flag: "event-handler-connect-timeout", live: true;
        event_timeout: Duration = Duration::from_secs(100),
            "How long any other event may take, retries included; an hour at most.",
            "A handler that is away for less misses no connected and no disconnected.",
            flag: "event-handler-timeout", live: true;
        concurrency: usize = 64,
            "Maximum number of requests at a time, 65536 at most.",
            "Further ones wait.",
            flag: "event-handler-concurrency", live: true;
        bearer: Option<Secret> = None,
            "Token to send to the handler as Authorization: Bearer.",
            "For handlers that want to know who asks.",
            file_flag: "event-handler-bearer-file", variable: "TIELINE_EVENT_HANDLER_BEARER",
            without: "none", live: true;
        headers: SecretHeaders = SecretHeaders::default(),
            "Further headers of each request, such as { \"x-functions-key\" = { file = \"…\" } }.",
            "The values are secrets, each in a file or, as { env = \"…\" }, in a variable. A flag or variable names \
             files: x-functions-key=/run/secrets/key.",
            flag: "event-handler-header-file", metavar: "NAME=FILE", without: "none", live: true;
        ca: Option<PathBuf> = None,
            "File with the authority that signed the handler's certificate (PEM).",
            "Certificates of the system's authorities are not accepted then.",
            flag: "event-handler-ca", without: "the system's", live: true;
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
