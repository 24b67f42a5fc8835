//! Where the events of an app of Pusher Channels go.

use std::{path::PathBuf, time::Duration};

use crate::config::{
    secret_headers::SecretHeaders, section::section, types::choices, webhook_url::WebhookUrl,
};

/// The list in the table of an app.
pub(crate) const WEBHOOKS: &str = "webhooks";

/// The list of tables in those of all apps, as the documentation has it.
pub(crate) const WEBHOOK_LIST: &str = "pusher.app.webhooks";

section! {
    /// A server that gets the events of an app.
    pub(crate) struct WebhookTable in "pusher.app.webhooks" {
        url: Option<WebhookUrl> = None,
            "URL that events are posted to, such as \"https://example.org/pusher/webhooks\".",
            "Each webhook of an app gets the events that it names.",
            without: "required", live: true;
        events: Vec<WebhookEvent> = WebhookEvent::USUAL.to_vec(),
            "What is sent: \"channel_occupied\", \"channel_vacated\", \"member_added\", \"member_removed\", \
             \"client_event\", \"cache_miss\" and \"subscription_count\".",
            "A request for each, unless they are sent in batches.",
            live: true;
        channel_prefix: Option<String> = None,
            "How the names of the channels begin whose events are sent, such as \"presence-\".",
            "Those of other channels are not sent.",
            without: "any channel", live: true;
        channel_suffix: Option<String> = None,
            "How the names of the channels end whose events are sent.",
            "Those of other channels are not sent.",
            without: "any channel", live: true;
        headers: SecretHeaders = SecretHeaders::default(),
            "Further headers of each request, such as { \"x-functions-key\" = { file = \"…\" } }.",
            "The values are secrets, each in a file or, as { env = \"…\" }, in a variable.",
            without: "none", live: true;
        ca: Option<PathBuf> = None,
            "File with the authority that signed the server's certificate (PEM).",
            "Certificates of the system's authorities are not accepted then.",
            without: "the system's", live: true;
        timeout: Duration = Duration::from_secs(10),
            "How long a request may take, a minute at most.",
            "Then it is sent again, for 5 minutes.",
            live: true;
        batch: bool = false,
            "Whether a request may have several events.",
            "They are gathered for 100 ms, up to 100 of them.",
            live: true;
        concurrency: usize = 16,
            "Maximum number of requests at a time on a node, 1024 at most.",
            "Events of one channel are sent one after the other in any case.",
            live: true;
    }
}

choices! {
    /// What happens to a channel.
    pub(crate) enum WebhookEvent {
        ChannelOccupied = "channel_occupied",
        ChannelVacated = "channel_vacated",
        MemberAdded = "member_added",
        MemberRemoved = "member_removed",
        ClientEvent = "client_event",
        CacheMiss = "cache_miss",
        SubscriptionCount = "subscription_count",
    }
}

impl WebhookEvent {
    /// What is sent if nothing else is said: all but what comes with every subscription.
    const USUAL: [Self; 6] = [
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::ClientEvent,
        Self::CacheMiss,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::ClientEvent => "client_event",
            Self::CacheMiss => "cache_miss",
            Self::SubscriptionCount => "subscription_count",
        }
    }
}
