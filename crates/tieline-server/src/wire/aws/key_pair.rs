//! The key pair that signs the requests of backends.
//!
//! Owns what makes a pair of the settings. Must not know how signing works. Invariant: no text shows the
//! secret.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    app::key::{AccessKey, ShortKey},
    config::sections::aws::Aws,
};

/// An access key id with its secret.
#[derive(Debug)]
pub(crate) struct KeyPair {
    pub(super) id: String,
    pub(super) secret: AccessKey,
}

/// The settings make no key pair.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyPairError {
    #[error("an access key id needs a secret access key, and the reverse")]
    Half,
    #[error("must be of letters, digits, `-` and `_`")]
    Id,
    #[error("is invalid: {0}")]
    Secret(ShortKey),
}

impl KeyPair {
    /// The key pair of the settings; `None` if they have none. Fails with all that is wrong.
    pub(crate) fn of(settings: &Aws) -> Result<Option<Self>, Vec<KeyPairError>> {
        let (id, secret) = match (&settings.access_key_id, &settings.secret_access_key) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => (id, secret),
            _ => return Err(vec![KeyPairError::Half]),
        };
        // It stands between slashes and commas in a header.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let id_error = (!id.bytes().all(is_plain)).then_some(KeyPairError::Id);
        match (AccessKey::new(secret.expose()), id_error) {
            (Ok(secret), None) => Ok(Some(Self {
                id: id.clone(),
                secret,
            })),
            (secret, id_error) => {
                let secret = secret.err().map(KeyPairError::Secret);
                Err(id_error.into_iter().chain(secret).collect())
            }
        }
    }
}

/// The key pair at the moment, if there is one: a reload replaces it. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LiveKeyPair(Arc<ArcSwapOption<KeyPair>>);

impl LiveKeyPair {
    pub(crate) fn new(pair: Option<KeyPair>) -> Self {
        Self(Arc::new(ArcSwapOption::from_pointee(pair)))
    }

    pub(super) fn load(&self) -> Option<Arc<KeyPair>> {
        self.0.load_full()
    }

    /// Requests from now on are signed with this pair, or refused. `other` is not used any more.
    pub(crate) fn replace(&self, other: &Self) {
        self.0.store(other.load());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn of(id: Option<&str>, secret: Option<&str>) -> Result<bool, Vec<KeyPairError>> {
        let settings = Aws {
            access_key_id: id.map(str::to_owned),
            secret_access_key: secret.map(Secret::new),
        };
        KeyPair::of(&settings).map(|pair| pair.is_some())
    }

    #[test]
    fn a_pair_is_complete_and_its_secret_long() {
        let secret = "s".repeat(32);
        assert_eq!(of(None, None), Ok(false));
        assert_eq!(of(Some("AKIDEXAMPLE"), Some(&secret)), Ok(true));
        assert_eq!(of(Some("AKIDEXAMPLE"), None), Err(vec![KeyPairError::Half]));
        assert_eq!(of(None, Some(&secret)), Err(vec![KeyPairError::Half]));
        assert_eq!(of(Some("a/b"), Some(&secret)), Err(vec![KeyPairError::Id]));
        let both = of(Some("a/b"), Some(&secret[1..])).unwrap_err();
        assert_eq!(both[0], KeyPairError::Id);
        assert!(both[1].to_string().contains("31 bytes"), "{both:?}");
    }
}
