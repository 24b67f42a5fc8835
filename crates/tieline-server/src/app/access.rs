//! Who may connect, and with which permissions.
//!
//! Owns the decision about a request with a token and about one without. Must not know where in a request
//! the token stands, nor the response to a client that may not connect; both are up to the wire, and the
//! address to listen on is checked by `cli`. Invariant: a token that is refused is never ignored.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use super::{
    clock,
    role::{RoleLists, Roles},
    token::{claims::Seconds, error::TokenError, verify::Verifier},
};
use crate::config::sections::hub::Anonymous;

impl Anonymous {
    /// Whether a request with this `Host` header may connect. A page of another site whose name was rebound to
    /// this machine sends that site's name, and so does a proxy that forwards requests from elsewhere.
    fn allows(self, host: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Loopback => is_loopback(host),
            Self::Never => false,
        }
    }
}

/// Decides who may connect to a hub.
#[derive(Debug)]
pub(crate) struct Access {
    anonymous: Anonymous,
    /// What anonymous clients may do.
    anonymous_roles: Arc<Roles>,
    /// Without one, there are no tokens.
    verifier: Option<Arc<Verifier>>,
    role_lists: RoleLists,
}

/// A client that may connect.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The user of the token.
    pub(crate) user: Option<String>,
    /// The groups that the client is in from the start.
    pub(crate) groups: Vec<String>,
    pub(crate) roles: Arc<Roles>,
    /// Otherwise the client is anonymous, and may choose its user.
    pub(crate) by_token: bool,
}

/// Why a client may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("a token is required, as access_token in the query or as Authorization: Bearer")]
    NoToken,
    #[error(
        "anonymous clients may connect only through localhost or a loopback address; to allow others, give \
         them tokens, or start the server with --anonymous"
    )]
    NotLoopback,
    #[error("this server has no access key and no issuer, so it accepts no tokens")]
    NoKey,
    #[error("there are several tokens; send one")]
    SeveralTokens,
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl AccessError {
    /// A word for logs and metrics, which stays the same when the text changes.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::NotLoopback => "not_loopback",
            Self::NoKey => "no_key",
            Self::SeveralTokens => "several_tokens",
            Self::Token(error) => error.reason(),
        }
    }
}

impl Access {
    pub(crate) fn new(
        anonymous: Anonymous,
        anonymous_roles: Roles,
        verifier: Option<Arc<Verifier>>,
    ) -> Self {
        Self {
            anonymous,
            anonymous_roles: Arc::new(anonymous_roles),
            verifier,
            role_lists: RoleLists::default(),
        }
    }

    /// Admits a client with a token for this path. Waits only for the keys of an issuer, which are read again
    /// if the token names one that is not there, or if there are none.
    pub(crate) async fn by_token(&self, token: &str, path: &str) -> Result<Admitted, AccessError> {
        let verifier = self.verifier.as_ref().ok_or(AccessError::NoKey)?;
        let mut checked = verifier.verify(token, path, now());
        if matches!(checked, Err(TokenError::UnknownKey | TokenError::NoKeys))
            && let Some(issuer) = verifier.issuer(token)
        {
            issuer.reread().await;
            checked = verifier.verify(token, path, now());
        }
        let identity = checked?;
        Ok(Admitted {
            user: identity.user,
            groups: identity.groups,
            roles: self.role_lists.share(identity.roles),
            by_token: true,
        })
    }

    /// Whether a token is valid for a backend's request to this path.
    pub(crate) fn backend(&self, token: &str, path: &str) -> Result<(), AccessError> {
        let verifier = self.verifier.as_ref().ok_or(AccessError::NoKey)?;
        verifier.verify(token, path, now())?;
        Ok(())
    }

    /// The URL that a valid token is for, with this path and without its query: the server's, as whoever has made
    /// the token sees it.
    pub(crate) fn url(&self, token: &str, path: &str) -> Option<String> {
        self.verifier.as_ref()?.url(token, path)
    }

    /// The permissions of roles that replace those of a token.
    pub(crate) fn share(&self, roles: Vec<String>) -> Arc<Roles> {
        self.role_lists.share(roles)
    }

    /// Admits a client without a token, whose request has this `Host` header.
    pub(crate) fn anonymous(&self, host: &str) -> Result<Admitted, AccessError> {
        if self.anonymous.allows(host) {
            return Ok(Admitted {
                user: None,
                groups: Vec::new(),
                roles: Arc::clone(&self.anonymous_roles),
                by_token: false,
            });
        }
        Err(match self.verifier {
            Some(_) => AccessError::NoToken,
            None => AccessError::NotLoopback,
        })
    }
}

fn now() -> Seconds {
    let since = clock::now().duration_since(SystemTime::UNIX_EPOCH);
    // With a clock before 1970, every token has expired.
    since.map_or(Seconds::INFINITY, |since| since.as_secs_f64())
}

/// Whether a `Host`, with or without a port, is a loopback name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_access_needs_a_loopback_host() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(Anonymous::Loopback.allows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!Anonymous::Loopback.allows(host), "{host}");
            assert!(Anonymous::Anyone.allows(host), "{host}");
            assert!(!Anonymous::Never.allows(host), "{host}");
        }
    }
}
