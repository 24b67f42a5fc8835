//! The chat page, compiled in.

use std::net::SocketAddr;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
    routing::get,
};

use crate::wire::webpubsub::Namespace;

const INDEX: &str = include_str!("assets/index.html");

/// What the page loads, by name.
macro_rules! assets {
    ($($name:literal: $kind:literal),+ $(,)?) => {
        [$(($name, $kind, include_str!(concat!("assets/", $name)))),+]
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

/// Nothing but what the page itself brings; `'self'` covers WebSockets to the same host.
const CSP: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`, and what it loads. It is told where it stands: its own address, and those of the
/// pages of all nodes.
pub(crate) fn routes(hub: &Namespace, own: SocketAddr, all: &[SocketAddr]) -> Router {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    let index = INDEX
        .replace(r#"content="chat""#, &format!(r#"content="{hub}""#))
        .replace(
            r#"name="tieline-node" content="""#,
            &format!(r#"name="tieline-node" content="{own}""#),
        )
        .replace(
            r#"name="tieline-nodes" content="""#,
            &format!(r#"name="tieline-nodes" content="{}""#, all.join(" ")),
        );
    let page = move || async move { (headers("text/html"), Html(index)).into_response() };
    let router = Router::new().route("/", get(page));
    ASSETS.iter().fold(router, |router, (name, kind, text)| {
        router.route(
            &format!("/{name}"),
            get(move || async move { (headers(kind), *text) }),
        )
    })
}

fn headers(kind: &str) -> [(HeaderName, HeaderValue); 4] {
    let value = |text: &str| HeaderValue::from_str(text).expect("the page's headers are ASCII");
    [
        (
            header::CONTENT_TYPE,
            value(&format!("{kind}; charset=utf-8")),
        ),
        (header::CONTENT_SECURITY_POLICY, value(CSP)),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        // Modules of two versions must never meet.
        (header::CACHE_CONTROL, value("no-cache")),
    ]
}
