//! Others who sign tokens of clients.

use std::{path::PathBuf, time::Duration};

use crate::config::{key_set_location::KeySetLocation, section::section, types::choices};

section! {
    /// An issuer of tokens, with keys that it publishes.
    pub(crate) struct IssuerTable in "issuers" {
        issuer: Option<String> = None,
            "The issuer, as in the claim `iss` of its tokens.",
            "Tokens that it signs are valid, as those that an access key signs.",
            without: "required", live: true;
        jwks: Option<KeySetLocation> = None,
            "Public keys of the issuer, as a JSON Web Key Set: a file, or a URL such as \"https://id.example/jwks.json\".",
            "They are read again when a token names a key that was not there, every 30 seconds at most. Until they \
             have been fetched from a URL, the tokens of the issuer are refused; if that fails later, the last ones stay.",
            without: "required", live: true;
        refresh: Duration = Duration::from_mins(10),
            "How often keys are fetched again from a URL.",
            "A key that the issuer has withdrawn is accepted until then.",
            live: true;
        ca: Option<PathBuf> = None,
            "File with the authority that signed the certificate of that URL (PEM).",
            "Certificates of the system's authorities are not accepted then.",
            without: "the system's", live: true;
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
