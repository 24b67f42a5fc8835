//! The members of a group, a page at a time.
//!
//! Owns what a page holds and how the next one is found. Must not know where connections are. Invariant: the link
//! to the next page is the URL by which the backend has asked, as its token says, because the server does not know
//! its own behind a proxy.

use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{error::Error, outcome, query::Query};
use crate::{
    app::{
        hubs::HubHandle,
        operations::node::{self, Member, NodeOperation},
    },
    wire::outcome::MissedLog,
};

const MAX_PAGE: usize = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    value: &'a [Member],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// Lists the members after the one that the query continues from. `url` is the one that was asked, without its
/// query.
pub(super) async fn members(
    hub: &HubHandle,
    group: String,
    query: &Query,
    url: &str,
    log: &MissedLog,
) -> Result<Response, Error> {
    let page_size = query.number("maxpagesize", MAX_PAGE)?;
    let top = query.number("top", usize::MAX)?;
    let after = query.single("continuationToken")?.map(decode).transpose()?;
    let limit = page_size.unwrap_or(MAX_PAGE).min(top.unwrap_or(MAX_PAGE));
    let operation = NodeOperation::Members {
        group,
        after: after.unwrap_or_default(),
        limit,
    };
    let parts = node::ask_all(hub, &operation).await;
    let rest = top.map(|top| top - parts.members.len());
    let last = parts
        .members
        .last()
        .filter(|_| parts.more && rest != Some(0));
    let next_link = last.map(|last| {
        let mut next = form_urlencoded::Serializer::new(String::new());
        if let Ok(Some(version)) = query.single("api-version") {
            next.append_pair("api-version", version);
        }
        for (name, number) in [("maxpagesize", page_size), ("top", rest)] {
            if let Some(number) = number {
                next.append_pair(name, &number.to_string());
            }
        }
        next.append_pair("continuationToken", &URL_SAFE_NO_PAD.encode(&last.id));
        format!("{url}?{}", next.finish())
    });
    let page = serde_json::to_vec(&Page {
        value: &parts.members,
        next_link,
    });
    let page = page.expect("text serializes");
    let mut response = Response::new(Body::from(page));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    outcome::add_parts(&mut response, &parts, log);
    Ok(response)
}

/// The id after which the page begins.
fn decode(token: &str) -> Result<String, Error> {
    let id = URL_SAFE_NO_PAD.decode(token).ok();
    let id = id.and_then(|id| String::from_utf8(id).ok());
    id.ok_or_else(|| {
        let message = "not a token of a page; use the nextLink as it is";
        Error::bad_request("continuationToken", message)
    })
}
