//! The settings of event handlers, as the configuration has them.
//!
//! Must not know where they come from.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderValue};

use super::pattern::Patterns;
use crate::config::{per_hub::PerHub, url_template::UrlTemplate};

/// Where the events of clients go.
#[derive(Debug)]
pub(crate) struct UpstreamSettings {
    /// The host by which handlers know this server.
    pub(crate) host: HeaderValue,
    /// Sign the connection ids; none without keys.
    pub(crate) keys: Vec<hmac::Key>,
    /// In this order: the first that wants an event gets it. `None` for hubs that have the list of all hubs.
    pub(crate) handlers: PerHub<Option<Vec<Arc<HandlerSettings>>>>,
    /// Most groups that the answer of a connect event may name.
    pub(crate) max_groups: usize,
}

/// One event handler.
pub(crate) struct HandlerSettings {
    pub(crate) url: UrlTemplate,
    pub(crate) system_events: SystemEvents,
    pub(crate) user_events: Patterns,
    pub(crate) group_events: GroupEvents,
    /// How long a client that connects waits for the answer.
    pub(crate) connect_timeout: Duration,
    /// How long any other event may take, retries included.
    pub(crate) event_timeout: Duration,
    /// Most requests under way.
    pub(crate) concurrency: usize,
    /// By which the handler knows who asks.
    pub(crate) headers: HeaderMap,
    /// The authorities that may sign its certificate, as PEM text; those of the system if `None`.
    pub(crate) ca: Option<Vec<u8>>,
}

/// Which system events a handler wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemEvents {
    pub(crate) connect: bool,
    pub(crate) connected: bool,
    pub(crate) disconnected: bool,
}

/// Which changes of groups a handler wants: of those whose name has one of the patterns.
#[derive(Debug)]
pub(crate) struct GroupEvents {
    pub(crate) joined: bool,
    pub(crate) left: bool,
    pub(crate) groups: Patterns,
}

impl fmt::Debug for HandlerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `headers` are secrets.
        f.debug_struct("HandlerSettings")
            .field("url", &self.url.to_string())
            .finish_non_exhaustive()
    }
}
