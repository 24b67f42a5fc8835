//! The secret of an app.
//!
//! Invariant: neither it nor a signature is in any debug form or error.

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::hmac;

use crate::token;

/// Signs subscriptions and requests. Clones share it.
#[derive(Clone)]
pub(crate) struct AppSecret(Arc<hmac::Key>);

impl AppSecret {
    /// Reads the secret: the first line of the file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let secret = token::read_key(path)?;
        Ok(Self::new(secret.as_bytes()))
    }

    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The hex digits of the signature of these parts, one after the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> [u8; 64] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut digits = [0; 64];
        hex(context.sign().as_ref(), &mut digits);
        digits
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecret")
    }
}

/// Writes bytes as hex digits in lower case.
pub(super) fn hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (two, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        two[0] = DIGITS[usize::from(byte >> 4)];
        two[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documentation_of_the_protocol() {
        let secret = AppSecret::new(b"7ad3773142a6692b25b8");
        let signature = secret.sign(&[b"1234.1234:", b"private-foobar"]);
        let expected = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        assert_eq!(std::str::from_utf8(&signature), Ok(expected));
        assert_eq!(format!("{secret:?}"), "AppSecret");
    }
}
