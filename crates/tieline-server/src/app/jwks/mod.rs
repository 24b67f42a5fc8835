//! Issuers: others who sign tokens of clients, with keys that they publish as a JSON Web Key Set (RFC 7517).
//!
//! Owns the keys of issuers (`keys`), where they come from (`source`), and when they are read again (`issuer`).
//! Must not know tokens. Invariants: what is read is what the operator has named, never what a token names; a key
//! is used with one algorithm only, which the operator has allowed for the issuer; a key that signs and verifies
//! with the same secret is never used; keys that cannot be read leave those that were read before.

pub(crate) mod issuer;
mod keys;
pub(crate) mod source;
