//! Others who sign tokens of clients.

use std::path::PathBuf;

use crate::config::{section::section, types::choices};

section! {
    /// An issuer of tokens, with keys that it publishes.
    pub(crate) struct IssuerTable in "issuers" {
        issuer: Option<String> = None,
            "The issuer, as in the claim `iss` of its tokens.",
            "Tokens that it signs are valid, as those that an access key signs.",
            without: "required", live: true;
        jwks: Option<PathBuf> = None,
            "File with the public keys of the issuer, as a JSON Web Key Set.",
            "It is read again when a token names a key that it did not have, every 30 seconds at most.",
            without: "required", live: true;
        algorithms: Vec<IssuerAlgorithm> = Vec::new(),
            "Algorithms that the issuer signs with: \"RS256\", \"ES256\" or \"EdDSA\".",
            "A token with another one is refused.",
            without: "required", live: true;
        audience: Option<String> = None,
            "Audience in the tokens of the issuer.",
            "With it, a token of the issuer opens every hub.",
            without: "the URL of the hub", live: true;
    }
}

choices! {
    /// An algorithm that an issuer may sign with.
    pub(crate) enum IssuerAlgorithm {
        Rs256 = "RS256",
        Es256 = "ES256",
        EdDsa = "EdDSA",
    }
}
