//! Tokens (JWT, HS256) for servers that have an access key.
//!
//! Owns the claims, as the Web PubSub SDKs make them. Must not know when a token is sent. Invariant: neither
//! the key nor a token is in any debug form or error.

use std::{fmt, fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde::Serialize;

/// Longer than any measurement: a token is signed once and used until the end.
const LIFETIME: Duration = Duration::from_hours(24);
/// What a client may do: join and send to any group.
const ROLES: &[&str] = &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/// Signs tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    issued: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    role: &'a [&'a str],
}

impl Signer {
    /// Reads the key: the first line of the file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let key = read_key(path)?;
        Ok(Self {
            key: EncodingKey::from_secret(key.as_bytes()),
            issued: get_current_timestamp(),
        })
    }

    /// The token of a client that connects as `user` to the URL `audience`.
    pub(crate) fn client(&self, audience: &str, user: &str) -> Result<String, String> {
        self.sign(audience, Some(user), ROLES)
    }

    /// The token of requests to the URL `audience`.
    pub(crate) fn request(&self, audience: &str) -> Result<String, String> {
        self.sign(audience, None, &[])
    }

    fn sign(&self, aud: &str, sub: Option<&str>, role: &[&str]) -> Result<String, String> {
        let claims = Claims {
            aud,
            iat: self.issued,
            exp: self.issued + LIFETIME.as_secs(),
            sub,
            role,
        };
        let signed = encode(&Header::new(Algorithm::HS256), &claims, &self.key);
        signed.map_err(|e| format!("cannot sign a token: {e}"))
    }
}

/// The key in a file: its first line.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the key {shown}"))?;
    let key = text.lines().next().unwrap_or_default().trim();
    ensure!(
        !key.is_empty(),
        "the first line of {shown} is empty; it must be the key"
    );
    Ok(key.to_owned())
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use serde_json::Value;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn signer(content: &str) -> anyhow::Result<Signer> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, content).unwrap();
        Signer::open(&path)
    }

    fn claims(token: &str, audience: &str) -> Value {
        let mut wanted = Validation::new(Algorithm::HS256);
        wanted.set_audience(&[audience]);
        let key = DecodingKey::from_secret(KEY.as_bytes());
        decode(token, &key, &wanted).expect("it is valid").claims
    }

    #[test]
    fn a_client_has_a_user_and_roles() {
        let signer = signer(&format!("{KEY}\nanother line")).unwrap();
        let audience = "http://h:1/client/hubs/chat";
        let claims = claims(&signer.client(audience, "client-7").unwrap(), audience);
        assert_eq!(claims["sub"], "client-7");
        assert_eq!(claims["role"][1], "webpubsub.sendToGroup");
    }

    #[test]
    fn a_request_has_neither() {
        let signer = signer(KEY).unwrap();
        let audience = "http://h:1/api/hubs/chat/:send?api-version=2024-12-01";
        let claims = claims(&signer.request(audience).unwrap(), audience);
        assert!(claims["sub"].is_null() && claims["role"].is_null());
    }

    #[test]
    fn a_key_is_required_and_not_shown() {
        assert!(
            signer("\nkey")
                .unwrap_err()
                .to_string()
                .contains("is empty")
        );
        assert_eq!(format!("{:?}", signer(KEY).unwrap()), "Signer");
        let missing = Signer::open(Path::new("/no/such/key")).unwrap_err();
        assert!(missing.to_string().contains("/no/such/key"));
    }
}
