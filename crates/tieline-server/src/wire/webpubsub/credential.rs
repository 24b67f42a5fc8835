//! Where a client's token stands: in the query as `access_token`, or in the header `Authorization`. And which of
//! token and certificate a client is admitted by.
//!
//! Owns that, and the response to a client that may not connect. Must not know what a token says. Invariants:
//! of several tokens none is chosen, because a proxy in front may have checked another; no response repeats a
//! token.

use axum::http::{
    HeaderValue,
    header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
};
use tieline::{Refusal, StatusCode, UpgradeRequest};

use super::refused::Refused;
use crate::{
    app::{
        access::{Access, AccessError, Admitted, is_local},
        token::error::TokenError,
    },
    metrics::METRICS,
};

/// The client of a request, admitted by its token for this path; without one by its certificate; without either as
/// an anonymous client.
pub(super) async fn admit(
    access: &Access,
    request: &UpgradeRequest,
    path: &str,
) -> Result<Admitted, Refused> {
    let admitted = async {
        let certificate = request.client_certificate();
        let certified = certificate.map(|certificate| access.certified(certificate.der()));
        let certified = certified.transpose()?.flatten();
        match (token(request)?, certified) {
            (Some(token), certified) => access.by_token(&token, path, certified).await,
            (None, Some(user)) => Ok(access.by_certificate(user)),
            (None, None) => {
                let is_local = is_local(request.remote_addr(), request.headers());
                access.anonymous(request.header(HOST).unwrap_or_default(), is_local)
            }
        }
    };
    admitted.await.map_err(|error| {
        METRICS.client_refused(error.reason());
        Refused::new(refusal(error), error.reason())
    })
}

/// The token of a request, whatever it is worth.
pub(super) fn token(request: &UpgradeRequest) -> Result<Option<String>, AccessError> {
    let query = request.uri().query().unwrap_or_default();
    let in_query = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "access_token")
        .map(|(_, token)| token.into_owned());
    let headers = request.headers().get_all(AUTHORIZATION).iter();
    let in_header = headers.filter_map(bearer);
    let mut tokens = in_query.chain(in_header);
    let token = tokens.next();
    match tokens.next() {
        None => Ok(token),
        Some(_) => Err(AccessError::SeveralTokens),
    }
}

/// The token of `Bearer token`, even if it cannot be one. What has another scheme is none of a client's.
fn bearer(header: &HeaderValue) -> Option<String> {
    let header = String::from_utf8_lossy(header.as_bytes());
    let (scheme, token) = match header.split_once([' ', '\t']) {
        Some((scheme, token)) => (scheme, token.trim()),
        None => (&*header, ""),
    };
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.to_owned())
}

/// What the client learns: enough to get a better token.
fn refusal(error: AccessError) -> Refusal {
    let body = format!("{error}\n");
    if let AccessError::NotLoopback | AccessError::NoUserInCertificate = error {
        // A token would not help: there are none, or the certificate goes with each.
        return Refusal::new(StatusCode::FORBIDDEN, body);
    }
    if error == AccessError::Token(TokenError::NoKeys) {
        // The token may be as good as any; the server is not ready for it.
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, body);
    }
    let scheme = HeaderValue::from_static("Bearer");
    Refusal::new(StatusCode::UNAUTHORIZED, body).header(WWW_AUTHENTICATE, scheme)
}
