//! The options that are in no table.

use std::net::SocketAddr;

use crate::config::section::section;

section! {
    /// Where the node listens, and for which hubs.
    pub(crate) struct General in "" {
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)),
            "Address to listen on for clients.",
            "With port 0, the server picks a free port and logs it. Beyond loopback it needs `hub_defaults.anonymous`, \
             because there are no tokens yet.",
            flag: "listen";
        only_listed_hubs: bool = false,
            "Serve only hubs that have a table of their own.",
            "A hub without a table does not exist then, so that a mistyped name is noticed.";
    }
}
