//! Who may connect, and as whom.

use axum::{
    Router,
    extract::{Path, Query, State},
    http::header::HOST,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tieline::{Accept, ClientId, Node, Refusal, StatusCode, Upgrade, UpgradeRequest};

use super::{
    Events, WebPubSub,
    acks::Acks,
    client::{Client, Publish},
    outgoing,
    user::{Kind, named},
};

const JSON: &str = "json.webpubsub.azure.v1";

/// The name of the one hub that this process serves; names are compared in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(String);

impl std::str::FromStr for Namespace {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut chars = name.chars();
        let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
        if starts && goes_on && name.len() <= 128 {
            return Ok(Self(name.to_ascii_lowercase()));
        }
        Err("a hub name is a letter and up to 127 letters, digits or one of _`,.[]".into())
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may name themselves by `?user=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnonymousAccess {
    Anyone,
    /// Those who reach this server under a loopback name. A page of another site that a browser was
    /// made to take for this machine comes under that site's name, and so does what a proxy forwards.
    Loopback,
}

/// What the routes need.
struct RouteState<E: Events> {
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: AnonymousAccess,
}

impl<E: Events> Clone for RouteState<E> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            hub: self.hub.clone(),
            access: self.access,
        }
    }
}

/// The routes of the client side: `/client/hubs/{hub}` and `/client/?hub={hub}`.
pub(crate) fn routes<E: Events>(
    node: Node<WebPubSub<E>>,
    hub: Namespace,
    access: AnonymousAccess,
) -> Router {
    Router::new()
        .route("/client/hubs/{hub}", get(by_path))
        .route("/client/", get(by_query))
        .route("/client", get(by_query))
        .with_state(RouteState { node, hub, access })
}

async fn by_path<E: Events>(
    State(served): State<RouteState<E>>,
    Path(hub): Path<String>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    connect(&served, &hub, upgrade).await
}

async fn by_query<E: Events>(
    State(served): State<RouteState<E>>,
    Query(ByQuery { hub }): Query<ByQuery>,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    connect(&served, &hub, upgrade).await
}

#[derive(Deserialize)]
struct ByQuery {
    #[serde(default)]
    hub: String,
}

/// A wrong hub is told before anything else, to a request by hand as well.
async fn connect<E: Events>(
    served: &RouteState<E>,
    hub: &str,
    upgrade: Result<Upgrade, Refusal>,
) -> Response {
    match served.check(hub).and(upgrade) {
        Ok(upgrade) => match served.admits(upgrade.request()).and_then(decide) {
            Ok(accept) => upgrade.accept(&served.node, accept).await.into_response(),
            Err(refusal) => refusal.into_response(),
        },
        Err(refusal) => refusal.into_response(),
    }
}

impl<E: Events> RouteState<E> {
    fn check(&self, hub: &str) -> Result<(), Refusal> {
        if hub.eq_ignore_ascii_case(&self.hub.0) {
            return Ok(());
        }
        let own = &self.hub.0;
        let body = format!("there is no hub {hub:?} here; this server's hub is {own:?}\n");
        Err(Refusal::new(StatusCode::NOT_FOUND, body))
    }

    fn admits<'a>(&self, request: &'a UpgradeRequest) -> Result<&'a UpgradeRequest, Refusal> {
        if self.access == AnonymousAccess::Anyone
            || is_loopback(request.header(HOST).unwrap_or_default())
        {
            return Ok(request);
        }
        let body = "clients name themselves here, so only those of this machine are let in, under \
                    localhost or a loopback address; the operator can say --anonymous\n";
        Err(Refusal::new(StatusCode::FORBIDDEN, body))
    }
}

/// Whether a `Host` names this machine to itself, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The user that the client says it is.
fn claimed_user(request: &UpgradeRequest) -> Option<String> {
    request.query("user").filter(|user| !user.is_empty())
}

fn decide(request: &UpgradeRequest) -> Result<Accept<Client>, Refusal> {
    let id = ClientId::random();
    let user = claimed_user(request);
    let mut offered = request.subprotocols().peekable();
    let (accept, kind) = if offered.peek().is_none() {
        let client = Client::Simple(publish(request)?);
        (Accept::new(client), Kind::Simple)
    } else if offered.any(|name| name == JSON) {
        let accept = Accept::new(Client::Json(Acks::default()))
            .subprotocol(JSON)
            .first_message(outgoing::connected(&id, user.as_deref()))
            .final_message(outgoing::disconnected);
        (accept, Kind::Json)
    } else {
        let body = format!("none of the offered subprotocols is spoken here; offer {JSON}\n");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, body));
    };
    let accept = accept.id(id);
    Ok(match user {
        Some(user) => accept.user(named(kind, &user)),
        None => accept,
    })
}

/// `webpubsub_mode` of a simple client's URL.
fn publish(request: &UpgradeRequest) -> Result<Option<Box<Publish>>, Refusal> {
    let bad = |what: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{what}\n")));
    match request.query("webpubsub_mode").as_deref() {
        None | Some("" | "sendEvent") => Ok(None),
        Some("sendToGroup") => match request.query("group").filter(|group| !group.is_empty()) {
            Some(group) => {
                let no_echo = request
                    .query("noEcho")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"));
                Ok(Some(Box::new(Publish { group, no_echo })))
            }
            None => bad("webpubsub_mode=sendToGroup needs a group=NAME beside it"),
        },
        Some(mode) => bad(&format!(
            "webpubsub_mode={mode} is unknown; it is sendEvent or sendToGroup"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_are_checked_and_lower_cased() {
        assert_eq!("Chat".parse(), Ok(Namespace("chat".into())));
        for name in ["", "1a", "a b", "a/b", &"a".repeat(129)] {
            assert!(name.parse::<Namespace>().is_err(), "{name}");
        }
    }

    #[test]
    fn loopback_goes_by_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
