//! What an application signs for its clients.
//!
//! Owns the form of a signature and how one is compared. Must not know what is signed. Invariant: keys and signatures
//! are compared in constant time.

use aws_lc_rs::constant_time;

use super::app::App;

/// How much of what was to be signed is in an error, in bytes.
const MAX_SHOWN: usize = 300;

/// The application has not signed it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid signature: expected KEY:SIGNATURE, with the key of this app and the HMAC SHA256 hex digest of {expected}"
)]
pub(super) struct InvalidSignature {
    expected: String,
}

/// Whether the key of the app and its signature of this text are there: `KEY:SIGNATURE`.
pub(super) fn check(app: &App, auth: Option<&str>, signed: &str) -> Result<(), InvalidSignature> {
    let pair = auth.and_then(|auth| auth.split_once(':'));
    let is_valid = pair.is_some_and(|(key, signature)| {
        let (key, own) = (key.as_bytes(), app.key.as_bytes());
        constant_time::verify_slices_are_equal(key, own).is_ok()
            && app.has_signed(signed.as_bytes(), signature)
    });
    if is_valid {
        return Ok(());
    }
    let shown = signed.floor_char_boundary(MAX_SHOWN);
    Err(InvalidSignature {
        expected: signed[..shown].to_owned(),
    })
}
