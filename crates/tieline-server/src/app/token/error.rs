//! Why a token is refused.

/// The longest token, in bytes. HTTP servers and proxies seldom take longer headers.
pub(crate) const MAX_LENGTH: usize = 8 * 1024;

/// Why a token is refused. Tells the client what it needs to get a better one, and nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error(
        "the token is not a signed JSON Web Token, or a claim of it has another type than it must have, or stands \
         there twice"
    )]
    Malformed,
    #[error("the token is signed with an algorithm that is not accepted; access keys use HS256")]
    Algorithm,
    #[error("the issuer of the token (iss) is not known")]
    Issuer,
    #[error("the token is signed with a key that its issuer does not have")]
    UnknownKey,
    #[error("the keys of the token's issuer have not been fetched yet; try again later")]
    NoKeys,
    #[error("the token is signed with another key")]
    Signature,
    #[error("the token has no expiration time (exp)")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error(
        "the token is for another URL: the path of its audience (aud) is not that of the request"
    )]
    Audience,
    #[error(
        "the token is for another server: its audience (aud) is not one of the public endpoints"
    )]
    Endpoint,
    #[error("the token is for another service: its audience (aud) is not that of the issuer here")]
    Service,
}

impl TokenError {
    /// A word for logs and metrics, which stays the same when the text changes.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown_key",
            Self::NoKeys => "no_keys",
            Self::Signature => "signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Audience => "audience",
            Self::Endpoint => "endpoint",
            Self::Service => "service",
        }
    }
}
