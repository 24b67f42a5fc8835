//! How long things may take.

use std::time::Duration;

use tieline::Config;

use crate::config::section::section;

section! {
    /// How long clients, upgrades, closes and a drain may take.
    pub(crate) struct Times in "times" {
        handshake_timeout: Duration = library().handshake_timeout,
            "The time from the accept of a connection to a complete request, TLS included.",
            "A file descriptor and some memory for as long; then the connection is closed.",
            flag: "handshake-timeout";
        decision_timeout: Duration = library().decision_timeout,
            "The time after which an upgrade is refused that could not be decided.",
            "The client gets 503.",
            flag: "decision-timeout";
        http_idle_timeout: Duration = library().http_idle_timeout,
            "How long an HTTP connection is kept for another request.",
            "Must be longer than proxies in front of the server keep theirs, or a request that one has just sent fails.",
            flag: "http-idle-timeout";
        message_timeout: Duration = library().message_timeout,
            "How long a message may take to arrive.",
            "Then the connection is closed with 1008.",
            flag: "message-timeout";
        ping_interval: Duration = library().ping_interval,
            "The silence after which a client is pinged.",
            "A frame of two bytes and its pong. Proxies drop connections that are idle for longer than they allow, \
             often 30 to 60 s.",
            flag: "ping-interval";
        ping_timeout: Duration = library().ping_timeout,
            "How long a client has to answer a ping.",
            "Then it counts as gone, and the connection is closed with 1011.",
            flag: "ping-timeout";
        close_timeout: Duration = library().close_timeout,
            "How long a close waits for the client.",
            "A socket that outlives its connection by up to this time.",
            flag: "close-timeout";
        drain_delay: Duration = Duration::ZERO,
            "The time between SIGTERM and the drain.",
            "Meanwhile clients are accepted, but GET /readyz returns 503, so that load balancers stop sending them.",
            flag: "drain-delay";
        drain_window: Duration = library().drain_window,
            "The time over which a drain spreads the closing of connections.",
            "The longer, the fewer clients reconnect at once.",
            flag: "drain-window";
        drain_timeout: Duration = library().drain_timeout,
            "The time after which a drain stops waiting for clients.",
            "Connections that are still open end with the process. At least `times.drain_window` and \
             `times.close_timeout` together.",
            flag: "drain-timeout";
    }
}

fn library() -> Config {
    Config::default()
}
