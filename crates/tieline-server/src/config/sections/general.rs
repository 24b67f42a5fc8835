//! The options that are in no table.

use std::net::SocketAddr;

use crate::config::{listen::Listeners, section::section};

section! {
    /// Where the node listens, and for which hubs.
    pub(crate) struct General in "" {
        listen: Listeners = Listeners::new(SocketAddr::from(([127, 0, 0, 1], 8080))),
            "Address to listen on for clients, or a list: addresses, \"http://ADDRESS\" or \"https://ADDRESS\" if only \
             some have TLS, \"unix:/PATH\", \"systemd\" or \"systemd:NAME\" for sockets that systemd has opened.",
            "With port 0, the server picks a free port and logs it. Beyond loopback it needs `keys.primary`, \
             `issuers` or `hub_defaults.anonymous`. A Unix socket has the permissions 0660, or those of \
             \"unix:/PATH?mode=0600\".",
            flag: "listen";
        public_endpoints: Vec<String> = Vec::new(),
            "URLs under which clients reach the server, such as \"https://example.org\".",
            "If set, scheme, host and port of the audience of a token must be those of one of them.",
            flag: "public-endpoint", variable: "TIELINE_PUBLIC_ENDPOINTS", metavar: "URL", without: "any", live: true;
        event_handler_origin: Option<String> = None,
            "Host by which event handlers know this server, such as \"ws.example.org\".",
            "It is the WebHook-Request-Origin of requests, which event handlers must allow.",
            flag: "event-handler-origin", metavar: "HOST", without: "the first IP address of `listen`", live: true;
        only_listed_hubs: bool = false,
            "Serve only hubs that have a table of their own.",
            "A hub without a table does not exist then, so that a mistyped name is noticed.",
            live: true;
    }
}
