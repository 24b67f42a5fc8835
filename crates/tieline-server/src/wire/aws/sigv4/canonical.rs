//! A request in the canonical form that is signed.
//!
//! Owns that form. Must not know keys. Invariant: it is made from the request as it was sent, never from what it
//! was decoded to.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::wire::hex;

/// What is encoded in a path: all but `A-Z a-z 0-9 - . _ ~ /`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The canonical request. The body is always hashed: only S3 knows bodies that are not signed.
pub(super) fn request(head: &Parts, signed_headers: &str, body: &[u8]) -> Vec<u8> {
    // The path is encoded already, and for every service but S3 it is encoded again.
    let path = utf8_percent_encode(head.uri.path(), PATH);
    let query = query(head.uri.query().unwrap_or_default());
    let mut request = format!("{}\n{path}\n{query}\n", head.method).into_bytes();
    for name in signed_headers.split(';') {
        add_header(&mut request, head, name);
    }
    request.extend(format!("\n{signed_headers}\n{}", hash(body)).bytes());
    request
}

/// Sorted by name and value, as they were sent.
fn query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// `name:value`, with single blanks inside and none around it; several values with commas between them.
fn add_header(request: &mut Vec<u8>, head: &Parts, name: &str) {
    request.extend(name.bytes().chain([b':']));
    for (index, value) in head.headers.get_all(name).iter().enumerate() {
        if index > 0 {
            request.push(b',');
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        request.extend(words.join(&b' '));
    }
    request.push(b'\n');
}

/// The SHA-256 hash in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}
