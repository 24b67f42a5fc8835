//! The chat page, compiled into the binary.
//!
//! Owns the files in `assets/`. Must not know what the page does.

use std::net::SocketAddr;

use axum::Router;

use crate::web_page::{self, Asset, assets};

const INDEX: &str = include_str!("assets/index.html");

const ASSETS: &[Asset] = assets! {
    "style.css": "text/css",
    "layout.css": "text/css",
    "messages.css": "text/css",
    "chat.js": "text/javascript",
    "session.js": "text/javascript",
    "client.js": "text/javascript",
    "conversation.js": "text/javascript",
    "sidebar.js": "text/javascript",
    "status.js": "text/javascript",
    "identity.js": "text/javascript",
    "dom.js": "text/javascript",
    "nodes.js": "text/javascript",
    "icon.svg": "image/svg+xml",
};

/// The page at `/`, and its files. The page learns its own address, and the addresses of all
/// pages from `<meta>` elements.
pub(crate) fn routes(own: SocketAddr, pages: &[SocketAddr]) -> Router {
    let pages: Vec<_> = pages.iter().map(ToString::to_string).collect();
    let index = INDEX
        .replace(
            r#"name="tieline-node" content="""#,
            &format!(r#"name="tieline-node" content="{own}""#),
        )
        .replace(
            r#"name="tieline-nodes" content="""#,
            &format!(r#"name="tieline-nodes" content="{}""#, pages.join(" ")),
        );
    web_page::routes(index, ASSETS)
}
