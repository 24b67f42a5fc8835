//! The chat page, compiled into the binary.
//!
//! Owns the files in `assets/` and their response headers. Must not know what the page does.

use std::net::SocketAddr;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
    routing::get,
};

const INDEX: &str = include_str!("assets/index.html");

/// Name, content type and text of each file that the page loads.
macro_rules! assets {
    ($($name:literal: $content_type:literal),+ $(,)?) => {
        [$(($name, $content_type, include_str!(concat!("assets/", $name)))),+]
    };
}

const ASSETS: [(&str, &str, &str); 13] = assets! {
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

/// Only the page's own files, without inline code. `'self'` includes WebSockets to the same host.
const CSP: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
    let page = move || async move { (headers("text/html"), Html(index)).into_response() };
    let router = Router::new().route("/", get(page));
    ASSETS
        .iter()
        .fold(router, |router, (name, content_type, text)| {
            router.route(
                &format!("/{name}"),
                get(move || async move { (headers(content_type), *text) }),
            )
        })
}

fn headers(content_type: &str) -> [(HeaderName, HeaderValue); 4] {
    let value = |text: &str| HeaderValue::from_str(text).expect("the page's headers are ASCII");
    [
        (
            header::CONTENT_TYPE,
            value(&format!("{content_type}; charset=utf-8")),
        ),
        (header::CONTENT_SECURITY_POLICY, value(CSP)),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        // The modules import each other: a page must not mix two versions.
        (header::CACHE_CONTROL, value("no-cache")),
    ]
}
