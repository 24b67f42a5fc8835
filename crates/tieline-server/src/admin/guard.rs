//! Who may use the admin port.
//!
//! Owns the decision about each request. Must not know what is asked for. Invariants: a port beyond loopback
//! answers nobody without the token, whatever a reload has done to it; and a page of another site, which a browser
//! on this machine may have open, gets nothing either way.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use tracing::field::display;

use super::token::LiveAdminToken;
use crate::{
    app::{access::is_loopback, sampled::Sampled},
    metrics::METRICS,
};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Decides who may use the admin port. Clones share the token.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    token: LiveAdminToken,
    /// Whether other machines cannot connect.
    is_local: bool,
    wrong_tokens: Arc<Sampled>,
}

/// Why a request is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("a token is required, as Authorization: Bearer (admin.token of the configuration)")]
    NoToken,
    #[error("this is not the token of the admin port")]
    WrongToken,
    /// The name of another site can lead to this machine.
    #[error("without a token, the admin port is reached as localhost or by a loopback address")]
    ForeignHost,
    #[error("pages of other sites may not use the admin port")]
    ForeignOrigin,
}

impl Guard {
    pub(crate) fn new(token: LiveAdminToken, is_local: bool) -> Self {
        Self {
            token,
            is_local,
            wrong_tokens: Arc::default(),
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = text(headers, HOST.as_str()).unwrap_or_default();
        let is_foreign = match headers.get(ORIGIN) {
            Some(origin) => !is_of_host(origin, host),
            // An image or a script of a page, which has no origin.
            None => is_cross_site(headers),
        };
        if is_foreign {
            return Err(Refused::ForeignOrigin);
        }
        match self.token.load() {
            Some(token) => match bearer(headers).or_else(|| of_browser(headers)) {
                None => Err(Refused::NoToken),
                Some(text) if token.is(&text) => Ok(()),
                Some(_) => Err(Refused::WrongToken),
            },
            None if !self.is_local => Err(Refused::NoToken),
            None if !is_loopback(host) => Err(Refused::ForeignHost),
            None => Ok(()),
        }
    }
}

impl Guard {
    /// Counts what is refused. Whoever tries tokens is named.
    fn report(&self, refused: Refused, request: &Request) {
        let reason = refused.reason();
        METRICS.admin_refused(reason);
        let from = tieline::client_addr(request.extensions()).map(display);
        tracing::debug!(from, reason, "refused a request to the admin port");
        if refused == Refused::WrongToken
            && let Some(left_out) = self.wrong_tokens.due()
        {
            tracing::warn!(
                from,
                left_out,
                "a request to the admin port had a wrong token"
            );
        }
    }
}

/// Lets a request pass, or answers it.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            guard.report(refused, &request);
            refused.into_response()
        }
    }
}

impl Refused {
    /// A word for metrics.
    fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = format!("{self}\n");
        match self {
            Self::NoToken | Self::WrongToken => {
                let scheme = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
                (StatusCode::UNAUTHORIZED, scheme, body).into_response()
            }
            Self::ForeignHost | Self::ForeignOrigin => {
                (StatusCode::FORBIDDEN, body).into_response()
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim_matches(' ').to_owned())
}

/// The token of a WebSocket that a page opens: browsers let it choose no header but the subprotocols, so one of those
/// that it offers is `bearer.` and the token in Base64 (URL).
fn of_browser(headers: &HeaderMap) -> Option<String> {
    let mut offered = text(headers, SEC_WEBSOCKET_PROTOCOL.as_str())?.split(',');
    let token = offered.find_map(|name| name.trim().strip_prefix("bearer."))?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

/// Whether an origin is that of pages which this host has served, by either scheme: a proxy may have added TLS.
fn is_of_host(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().ok();
    let authority = origin.and_then(|origin| origin.split_once("://"));
    authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// Whether a browser says that a page of another site has it send the request. Other programs say nothing, and what
/// people type or open themselves is of none.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::token::AdminToken, config::secret::Secret};

    const TOKEN: &str = "0123456789abcdef";

    fn guard(has_token: bool, is_local: bool) -> Guard {
        let token = has_token.then(|| AdminToken::of(&Secret::new(TOKEN)).unwrap());
        Guard::new(LiveAdminToken::new(token), is_local)
    }

    fn check(guard: &Guard, headers: &[(&'static str, &str)]) -> Result<(), Refused> {
        let headers = headers.iter();
        guard.check(
            &headers
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
        )
    }

    #[test]
    fn without_a_token_only_loopback_is_served() {
        let local = guard(false, true);
        assert_eq!(check(&local, &[("host", "127.0.0.1:9464")]), Ok(()));
        assert_eq!(check(&local, &[("host", "[::1]:9464")]), Ok(()));
        let rebound = check(&local, &[("host", "evil.example:9464")]);
        assert_eq!(rebound, Err(Refused::ForeignHost));
        // As after a reload without the token.
        let public = check(&guard(false, false), &[("host", "127.0.0.1:9464")]);
        assert_eq!(public, Err(Refused::NoToken));
    }

    #[test]
    fn with_a_token_every_request_needs_it() {
        for guard in [true, false].map(|is_local| guard(true, is_local)) {
            let with = |header: &str| {
                let host = ("host", "10.0.0.1:9464");
                check(&guard, &[host, ("authorization", header)])
            };
            assert_eq!(with(&format!("Bearer {TOKEN}")), Ok(()));
            assert_eq!(with(&format!("bearer  {TOKEN}")), Ok(()));
            assert_eq!(with("Bearer 0123456789abcdeF"), Err(Refused::WrongToken));
            assert_eq!(with("Bearer "), Err(Refused::WrongToken));
            assert_eq!(with(&format!("Basic {TOKEN}")), Err(Refused::NoToken));
            let without = check(&guard, &[("host", "127.0.0.1:9464")]);
            assert_eq!(without, Err(Refused::NoToken));
        }
    }

    #[test]
    fn a_page_sends_the_token_with_its_websocket() {
        let guard = guard(true, true);
        let with = |offered: &str| check(&guard, &[("sec-websocket-protocol", offered)]);
        let encoded = URL_SAFE_NO_PAD.encode(TOKEN);
        assert_eq!(with(&format!("tieline.live, bearer.{encoded}")), Ok(()));
        let wrong = URL_SAFE_NO_PAD.encode("0123456789abcdeF");
        assert_eq!(with(&format!("bearer.{wrong}")), Err(Refused::WrongToken));
        for none in ["tieline.live", "bearer.%%%", "bearer.__8"] {
            assert_eq!(with(none), Err(Refused::NoToken), "{none}");
        }
    }

    #[test]
    fn pages_of_other_sites_get_nothing() {
        let guard = guard(false, true);
        let from = |origin| check(&guard, &[("host", "localhost:9464"), ("origin", origin)]);
        assert_eq!(from("http://localhost:9464"), Ok(()));
        for origin in ["https://evil.example", "http://localhost:8080", "null"] {
            assert_eq!(from(origin), Err(Refused::ForeignOrigin), "{origin}");
        }
        let host = ("host", "localhost:9464");
        let of = |site| check(&guard, &[host, ("sec-fetch-site", site)]);
        for site in ["same-origin", "none"] {
            assert_eq!(of(site), Ok(()), "{site}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(of(site), Err(Refused::ForeignOrigin), "{site}");
        }
        // The origin is more exact, where there is one.
        let own = ("origin", "http://localhost:9464");
        let websocket = check(&guard, &[host, own, ("sec-fetch-site", "cross-site")]);
        assert_eq!(websocket, Ok(()));
    }
}
