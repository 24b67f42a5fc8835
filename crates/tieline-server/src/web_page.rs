//! Pages for browsers, compiled into the binary.
//!
//! Owns their routes and response headers. Must not know what the pages do. Invariant: a page loads its own files only,
//! and runs no inline code, whatever text gets into it.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
    routing::get,
};

/// A file that a page loads.
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

/// The files in `assets/`, next to the file that names them, each with its content type.
macro_rules! assets {
    ($($name:literal: $content_type:literal),+ $(,)?) => {
        &[$($crate::web_page::Asset {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("assets/", $name)),
        }),+]
    };
}
pub(crate) use assets;

/// Only the page's own files, without inline code. `'self'` includes WebSockets to the same host.
const CSP: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`, and its files.
pub(crate) fn routes(index: String, assets: &'static [Asset]) -> Router {
    let page = move || async move { (headers("text/html"), Html(index)).into_response() };
    let router = Router::new().route("/", get(page));
    assets.iter().fold(router, |router, asset| {
        let file = move || async move { (headers(asset.content_type), asset.text) };
        router.route(&format!("/{}", asset.name), get(file))
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
