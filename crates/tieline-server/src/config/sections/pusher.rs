//! Clients and backends that speak the protocol of Pusher Channels.

use std::time::Duration;

use crate::config::{
    hub_name::HubName,
    secret::Secret,
    section::section,
    types::{Origin, Size},
};

/// The list of apps.
pub(crate) const APPS: &str = "pusher.app";

section! {
    /// What all apps have in common.
    pub(crate) struct PusherSettings in "pusher" {
        activity_timeout: Duration = Duration::from_mins(2),
            "How long a client hears nothing before it asks whether the server is there; whole seconds.",
            "Clients are told when they connect. A shorter time costs each idle client more messages.",
            live: true;
        max_members: u32 = 100,
            "Maximum number of members of a presence channel, on all nodes together.",
            "Further users cannot subscribe. Every member is told of each that comes and goes. Give all nodes the same.",
            live: true;
        member_grace: Duration = Duration::ZERO,
            "How long a member stays in a presence channel after its last connection has ended.",
            "Whoever reconnects within it, also to another node, is not told to have gone and come; those who are \
             really gone are shown for as much longer. Who unsubscribes goes at once. After a crash or a drain, all \
             members stay for the longest grace of any app, and after a drain for 5 s at least.",
            live: true;
    }
}

section! {
    /// An app: its own clients and channels, and a key pair for those who speak for it.
    pub(crate) struct AppTable in "pusher.app" {
        id: Option<String> = None,
            "The id of the app, as in the URLs of its backends. Some libraries accept only digits.",
            "Names the app in logs and metrics.",
            without: "required", live: true;
        key: Option<String> = None,
            "The key of the app, as in the URLs of its clients: lower-case letters and digits.",
            "It is public: every page that connects has it.",
            without: "required", live: true;
        secret: Option<Secret> = None,
            "The secret of the app, which signs who may subscribe to what, and the requests of backends.",
            "At least 16 bytes. Whoever has it may do everything in the app.",
            without: "required", live: true;
        enabled: bool = true,
            "Whether clients may connect, and backends publish.",
            "Clients of a disabled app are refused with 4003, its backends with 403. Those that are connected stay.",
            live: true;
        hub: Option<HubName> = None,
            "A hub whose groups are the channels of the app, such as \"chat\".",
            "Clients of both protocols meet there. Changes apply to those who connect from then on.",
            without: "channels of its own", live: true;
        tls_only: bool = false,
            "Whether clients without TLS are refused.",
            "They are told to connect with TLS (4000).",
            live: true;
        origins: Vec<Origin> = Vec::new(),
            "Origins whose pages may connect, such as \"https://example.org\"; \"*\" allows all.",
            "A page of any other origin is refused with 4009. Programs that send no origin always may.",
            without: "any", live: true;
        client_events: bool = false,
            "Whether clients may send events to private and presence channels.",
            "Otherwise an event of a client is refused.",
            live: true;
        max_client_event_rate: u32 = 10,
            "Maximum number of events per second from a client.",
            "Further ones are refused with 4301; the connection stays.",
            live: true;
        max_event: Size<usize> = Size(10_240),
            "Maximum size of the data of an event.",
            "Larger ones are refused: those of backends with 413.",
            live: true;
        max_connections: Option<usize> = None,
            "Maximum number of clients of the app on a node.",
            "Further clients are refused with 4004, and do not come back by themselves.",
            without: "no maximum", live: true;
        max_request_rate: Option<u32> = None,
            "Maximum number of requests of backends per second for the app on a node.",
            "Further ones get 429 with Retry-After. Replaces `hub_defaults.max_request_rate` or that of its hub, which all other backends of the hub share.",
            without: "that of its hub", live: true;
        subscription_counts: bool = false,
            "Whether subscribers are told how many there are.",
            "A message to each subscriber of a channel whenever that changes, at most one a second.",
            live: true;
        cache_expiry: Duration = Duration::from_mins(30),
            "How long a cache channel keeps its last event.",
            "It is kept in the registry, once for each channel.",
            live: true;
        max_members: Option<u32> = None,
            "Maximum number of members of a presence channel of this app, on all nodes together.",
            "Further users cannot subscribe; those who are members stay.",
            without: "`pusher.max_members`", live: true;
        member_grace: Option<Duration> = None,
            "How long a member of this app stays after its last connection has ended.",
            "After a crash or a drain, all members stay for the longest grace of any app, and after a drain for 5 s at least.",
            without: "`pusher.member_grace`", live: true;
    }
}
