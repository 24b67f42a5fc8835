//! The Rust examples of README.md and docs, as doctests: `cargo test -p tieline-doc-examples`.
//!
//! A program that serves is marked `no_run`, so that it is compiled only.

#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/axum.md")]
    struct Axum;

    #[doc = include_str!("../../../docs/cluster.md")]
    struct Cluster;

    #[doc = include_str!("../../../docs/coming-from-go-websocket.md")]
    struct ComingFromGoWebsocket;

    #[doc = include_str!("../../../docs/from-axum-ws.md")]
    struct FromAxumWs;

    #[doc = include_str!("../../../docs/from-socket-io.md")]
    struct FromSocketIo;

    #[doc = include_str!("../../../docs/from-socketioxide.md")]
    struct FromSocketioxide;

    #[doc = include_str!("../../../docs/from-tokio-tungstenite.md")]
    struct FromTokioTungstenite;

    #[doc = include_str!("../../../docs/getting-started.md")]
    struct GettingStarted;

    #[doc = include_str!("../../../docs/handler.md")]
    struct Handler;

    #[doc = include_str!("../../../docs/limits.md")]
    struct Limits;

    #[doc = include_str!("../../../docs/peers.md")]
    struct Peers;

    #[doc = include_str!("../../../docs/presence.md")]
    struct Presence;

    #[doc = include_str!("../../../docs/registries.md")]
    struct Registries;

    #[doc = include_str!("../../../docs/sending.md")]
    struct Sending;

    #[doc = include_str!("../../../docs/socket.md")]
    struct Socket;

    #[doc = include_str!("../../../docs/testing.md")]
    struct Testing;

    #[doc = include_str!("../../../docs/tls.md")]
    struct Tls;
}
