//! `ce-signature`: proves to an event handler that a request comes from this server.
//!
//! Owns the form of the header. Must not know where keys come from. Invariant: no space after the comma, at which
//! some SDKs split without trimming.

use aws_lc_rs::hmac;
use http::HeaderValue;

use crate::wire::hex;

/// The signatures of a connection id by each key; `None` without keys.
pub(super) fn signature(keys: &[hmac::Key], connection_id: &str) -> Option<HeaderValue> {
    let signatures = keys.iter().map(|key| {
        let tag = hmac::sign(key, connection_id.as_bytes());
        format!("sha256={}", hex::encode(tag.as_ref()))
    });
    let signatures: Vec<_> = signatures.collect();
    HeaderValue::from_str(&signatures.join(","))
        .ok()
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_signs_the_connection_id() {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        assert_eq!(signature(&[], "c"), None);
        // The example of RFC 4231, 4.3.
        let data = "what do ya want for nothing?";
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let one = signature(&[key("Jefe")], data).unwrap();
        assert_eq!(one, format!("sha256={hex}"));
        let two = signature(&[key("Jefe"), key("Jefe")], data).unwrap();
        assert_eq!(two, format!("sha256={hex},sha256={hex}"));
    }
}
