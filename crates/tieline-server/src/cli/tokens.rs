//! The flags of keys and tokens.
//!
//! Owns where keys are read from: files and the environment, never the command line itself, which other users
//! of the machine can read. Must not know what is signed. Invariant: no error shows a key.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::error::UsageError;
use crate::app::{
    jwks::{Issuer, IssuerAlgorithm, IssuerSettings},
    key::{AccessKey, AccessKeys},
    token::{audience::Endpoint, verify::Verifier},
};

/// The key that signs.
#[derive(Debug, Args)]
pub(super) struct KeyFlags {
    /// File whose first line is the access key, which signs tokens
    ///
    /// Make a key with `tieline key`. It has at least 32 bytes. The environment variable TIELINE_KEY can
    /// have the key itself.
    #[arg(long, value_name = "FILE", env = "TIELINE_KEY_FILE")]
    key_file: Option<PathBuf>,
}

impl KeyFlags {
    pub(super) fn read(&self) -> anyhow::Result<Option<AccessKey>> {
        read_key(self.key_file.as_deref(), "--key-file", "TIELINE_KEY")
    }
}

/// Which tokens are valid.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens")]
pub(super) struct TokenFlags {
    #[command(flatten)]
    primary: KeyFlags,
    /// File whose first line is a second access key, whose tokens are valid too
    ///
    /// For replacing a key: both are valid until the tokens of the old one have expired. The environment
    /// variable TIELINE_SECONDARY_KEY can have the key itself.
    #[arg(long, value_name = "FILE", env = "TIELINE_SECONDARY_KEY_FILE")]
    secondary_key_file: Option<PathBuf>,
    /// URL under which clients reach the server; repeatable [default: any]
    ///
    /// For example https://example.org. If set, scheme, host and port of the audience of a token must be
    /// those of one of the URLs.
    #[arg(
        long = "public-endpoint",
        value_name = "URL",
        env = "TIELINE_PUBLIC_ENDPOINTS",
        value_delimiter = ','
    )]
    public_endpoints: Vec<Endpoint>,
    /// Issuer whose tokens are valid too: the value of their claim iss
    #[arg(
        long,
        value_name = "URL",
        requires = "issuer_keys",
        env = "TIELINE_ISSUER"
    )]
    issuer: Option<String>,
    /// File with the public keys of the issuer, as a JSON Web Key Set
    ///
    /// It is read again when a token names a key that it did not have, every 30 seconds at most.
    #[arg(long, value_name = "FILE", requires_all = ["issuer", "issuer_algorithms"],
        env = "TIELINE_ISSUER_KEYS")]
    issuer_keys: Option<PathBuf>,
    /// Algorithm that the issuer signs with: RS256, ES256 or EdDSA; repeatable
    #[arg(
        long = "issuer-algorithm",
        value_name = "NAME",
        requires = "issuer",
        env = "TIELINE_ISSUER_ALGORITHMS",
        value_delimiter = ','
    )]
    issuer_algorithms: Vec<IssuerAlgorithm>,
    /// Audience in the tokens of the issuer, which then open every hub [default: the URL of the hub]
    #[arg(
        long,
        value_name = "NAME",
        requires = "issuer",
        env = "TIELINE_ISSUER_AUDIENCE"
    )]
    issuer_audience: Option<String>,
}

impl TokenFlags {
    /// What verifies tokens; `None` if there is neither a key nor an issuer. Reads the files of the issuer.
    pub(super) fn verifier(&self, keys: Option<&AccessKeys>) -> anyhow::Result<Option<Verifier>> {
        let issuers: Vec<_> = self.issuer()?.into_iter().collect();
        if keys.is_none() && issuers.is_empty() {
            return Ok(None);
        }
        let endpoints = self.public_endpoints.clone();
        Ok(Some(Verifier::new(keys, issuers, endpoints)))
    }

    /// The access keys, if there are any. Reads the files.
    pub(super) fn keys(&self) -> anyhow::Result<Option<AccessKeys>> {
        let file = self.secondary_key_file.as_deref();
        let secondary = read_key(file, "--secondary-key-file", "TIELINE_SECONDARY_KEY")?;
        match self.primary.read()? {
            Some(primary) => Ok(Some(AccessKeys { primary, secondary })),
            None if secondary.is_some() => {
                let text = "a secondary key needs a primary one: set --key-file or TIELINE_KEY";
                Err(UsageError(text.into()).into())
            }
            None => Ok(None),
        }
    }

    fn issuer(&self) -> anyhow::Result<Option<Issuer>> {
        let (Some(issuer), Some(keys)) = (&self.issuer, &self.issuer_keys) else {
            return Ok(None);
        };
        let settings = IssuerSettings {
            issuer: issuer.clone(),
            keys: keys.clone(),
            algorithms: self.issuer_algorithms.clone(),
            audience: self.issuer_audience.clone(),
        };
        Ok(Some(Issuer::open(settings)?))
    }
}

/// A key from a file, or else from the environment: the first line of either, because secrets that other
/// programs keep end with a line break. An empty variable counts as unset.
fn read_key(file: Option<&Path>, flag: &str, variable: &str) -> anyhow::Result<Option<AccessKey>> {
    let in_environment = std::env::var(variable).ok().filter(|key| !key.is_empty());
    let (text, source) = match (file, in_environment) {
        (Some(_), Some(_)) => {
            let text = format!("both {flag} and {variable} are set; use one of them");
            return Err(UsageError(text).into());
        }
        (Some(file), None) => {
            let text = std::fs::read_to_string(file);
            (
                text.with_context(|| format!("cannot read {}", file.display()))?,
                flag,
            )
        }
        (None, Some(text)) => (text, variable),
        (None, None) => return Ok(None),
    };
    let key = AccessKey::new(text.lines().next().unwrap_or_default().trim());
    let key = key.map_err(|error| UsageError(format!("invalid {source}: {error}")))?;
    Ok(Some(key))
}
