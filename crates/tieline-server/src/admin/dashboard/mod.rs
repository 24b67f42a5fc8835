//! The dashboard, compiled into the binary.
//!
//! Owns the files in `assets/`. Must not know what the page does, nor what the API answers. Invariant: nothing in the
//! files is secret, because whoever has no token yet loads them to enter it.

use axum::Router;

use crate::web_page::{self, Asset, assets};

const INDEX: &str = include_str!("assets/index.html");

const ASSETS: &[Asset] = assets! {
    "style.css": "text/css",
    "views.css": "text/css",
    "follow.css": "text/css",
    "dashboard.js": "text/javascript",
    "api.js": "text/javascript",
    "connection.js": "text/javascript",
    "connections.js": "text/javascript",
    "dom.js": "text/javascript",
    "follow.js": "text/javascript",
    "format.js": "text/javascript",
    "lists.js": "text/javascript",
    "live.js": "text/javascript",
    "nodes.js": "text/javascript",
    "poll.js": "text/javascript",
    "table.js": "text/javascript",
    "token.js": "text/javascript",
    "icon.svg": "image/svg+xml",
};

/// The page at `/`, and its files.
pub(super) fn routes() -> Router {
    web_page::routes(INDEX.to_owned(), ASSETS)
}
