//! Who may connect, and with which permissions.
//!
//! Owns the decision about a request with a token, with a certificate, with both and with neither. Must not know where in a request
//! the token stands, nor the response to a client that may not connect; both are up to the wire, and the
//! address to listen on is checked by `cli`. Invariant: neither a token nor a certificate
//! that is refused is ever ignored.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::SystemTime,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

use super::{
    certificate::CertificateUsers,
    clock,
    role::{RoleLists, Roles},
    token::{claims::Seconds, error::TokenError, verify::Verifier},
};
use crate::config::sections::hub::Anonymous;

impl Anonymous {
    /// Whether a request with this `Host` header may connect, and whether it is [local](is_local). A page of another
    /// site whose name was rebound to this machine is local, and sends that site's name.
    fn allows(self, host: &str, is_local: bool) -> bool {
        match self {
            Self::Anyone => true,
            Self::Loopback => is_local && is_loopback(host),
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
    /// Without, certificates name no users.
    certificates: Option<CertificateUsers>,
}

/// A client that may connect.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The user of the token or the certificate.
    pub(crate) user: Option<String>,
    /// The groups that the client is in from the start.
    pub(crate) groups: Vec<String>,
    pub(crate) roles: Arc<Roles>,
    pub(crate) by: Proof,
}

/// What a client was admitted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Token,
    /// A browser shows it by itself, whichever page makes it connect.
    Certificate,
    /// Nothing: the client is anonymous, and may choose its user.
    Nothing,
}

/// Why a client may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("a token is required, as access_token in the query or as Authorization: Bearer")]
    NoToken,
    #[error(
        "anonymous clients may connect only through localhost or a loopback address, and not through a proxy; to \
         allow others, give them tokens, or start the server with --anonymous"
    )]
    NotLoopback,
    #[error("this server has no access key and no issuer, so it accepts no tokens")]
    NoKey,
    #[error("there are several tokens; send one")]
    SeveralTokens,
    #[error(
        "the client certificate does not have exactly one name of the kind that the server takes for the user"
    )]
    NoUserInCertificate,
    #[error("the token is for another user than the client certificate")]
    OtherUser,
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
            Self::NoUserInCertificate => "certificate",
            Self::OtherUser => "other_user",
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
            certificates: None,
        }
    }

    /// Lets certificates name the users of clients.
    pub(crate) fn with_certificates(mut self, certificates: Option<CertificateUsers>) -> Self {
        self.certificates = certificates;
        self
    }

    /// The user that a client's certificate (DER) names; `None` if certificates name no users.
    pub(crate) fn certified(&self, certificate: &[u8]) -> Result<Option<String>, AccessError> {
        let Some(users) = &self.certificates else {
            return Ok(None);
        };
        let user = users.user(certificate);
        user.map(Some).ok_or(AccessError::NoUserInCertificate)
    }

    /// Admits a client whose certificate names this user.
    pub(crate) fn by_certificate(&self, user: String) -> Admitted {
        let users = self.certificates.as_ref();
        Admitted {
            user: Some(user),
            groups: Vec::new(),
            roles: users
                .map(|users| Arc::clone(&users.roles))
                .unwrap_or_default(),
            by: Proof::Certificate,
        }
    }

    /// Admits a client with a token for this path; `certified` is the user that its certificate names, who must
    /// not be another one than that of the token. Waits only for the keys of an issuer, which are read again
    /// if the token names one that is not there, or if there are none.
    pub(crate) async fn by_token(
        &self,
        token: &str,
        path: &str,
        certified: Option<String>,
    ) -> Result<Admitted, AccessError> {
        let verifier = self.verifier.as_ref().ok_or(AccessError::NoKey)?;
        let mut checked = verifier.verify(token, path, now());
        if matches!(checked, Err(TokenError::UnknownKey | TokenError::NoKeys))
            && let Some(issuer) = verifier.issuer(token)
        {
            issuer.reread().await;
            checked = verifier.verify(token, path, now());
        }
        let identity = checked?;
        if identity.user.is_some() && certified.is_some() && identity.user != certified {
            return Err(AccessError::OtherUser);
        }
        Ok(Admitted {
            user: identity.user.or(certified),
            groups: identity.groups,
            roles: self.role_lists.share(identity.roles),
            by: Proof::Token,
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

    /// Admits a client without a token, whose request has this `Host` header, and [is local](is_local) or not.
    pub(crate) fn anonymous(&self, host: &str, is_local: bool) -> Result<Admitted, AccessError> {
        if self.anonymous.allows(host, is_local) {
            return Ok(Admitted {
                user: None,
                groups: Vec::new(),
                roles: Arc::clone(&self.anonymous_roles),
                by: Proof::Nothing,
            });
        }
        Err(match self.verifier {
            Some(_) => AccessError::NoToken,
            None => AccessError::NotLoopback,
        })
    }
}

/// Whether a request was sent on this machine, to the server itself. One that a proxy has passed on is not, wherever
/// it says that it came from: which proxies are believed is about the addresses of others.
pub(crate) fn is_local(client: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let passed_on = [FORWARDED, HeaderName::from_static("x-forwarded-for")];
    client.is_some_and(|client| client.ip().to_canonical().is_loopback())
        && !passed_on.iter().any(|name| headers.contains_key(name))
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
            assert!(Anonymous::Loopback.allows(host, true), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
        ] {
            assert!(!Anonymous::Loopback.allows(host, true), "{host}");
            assert!(Anonymous::Anyone.allows(host, true), "{host}");
            assert!(!Anonymous::Never.allows(host, true), "{host}");
        }
        assert!(!Anonymous::Loopback.allows("localhost", false));
        assert!(Anonymous::Anyone.allows("localhost", false));
    }

    #[test]
    fn what_a_proxy_passed_on_is_not_local() {
        let local = |address: &str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(name) = header {
                headers.insert(name, "127.0.0.1".parse().unwrap());
            }
            is_local(Some(SocketAddr::new(address.parse().unwrap(), 1)), &headers)
        };
        assert!(local("127.0.0.1", None));
        assert!(local("::ffff:127.0.0.1", None));
        assert!(local("::1", Some("x-other")));
        assert!(!local("192.0.2.1", None));
        assert!(!local("127.0.0.1", Some("x-forwarded-for")));
        assert!(!local("127.0.0.1", Some("forwarded")));
        assert!(!is_local(None, &HeaderMap::new()));
    }
}
