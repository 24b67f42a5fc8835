//! Tokens, which say who a client is and what it may do.
//!
//! Owns how tokens are signed and verified: JSON Web Tokens (RFC 7519), by an access key with HS256, in the
//! form of the Web PubSub SDKs, or by an issuer with an algorithm that the operator has allowed. Must not know where in a request a token stands, or what a role permits.
//! Invariants: nothing in a token counts before its signature has been verified, with an algorithm that the
//! kind of key pins; a token is good for one path only, so one of a client does not open the REST API; no
//! error or debug form shows a token.

pub(crate) mod audience;
pub(crate) mod claims;
pub(crate) mod error;
pub(crate) mod sign;
pub(crate) mod verify;
