//! Signed requests to the HTTP API.
//!
//! Owns the parameters that a signature needs. Invariant: a request is signed anew for each body, as by the libraries
//! of backends; the places of the signature have a fixed length, so the rest of the request is encoded once.

use std::ops::Range;

use jsonwebtoken::get_current_timestamp;
use md5::{Digest, Md5};

use super::secret::{AppSecret, hex};

const MD5: &str = "body_md5=";
const SIGNATURE: &str = "&auth_signature=";

/// Where a request has what is signed, and the signature.
pub(crate) struct SignedRequest {
    secret: AppSecret,
    path: Range<usize>,
    query: Range<usize>,
    md5: Range<usize>,
    signature: Range<usize>,
    body: usize,
}

/// The target of a request that is to be signed: that of the URL, with the time, and places for the signature.
pub(crate) fn signed_target(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let timestamp = format!("auth_timestamp={}", get_current_timestamp());
    let md5 = format!("{MD5}{}", "0".repeat(32));
    let mut parameters: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    parameters.extend([timestamp.as_str(), "auth_version=1.0", &md5]);
    parameters.sort_unstable();
    let query = parameters.join("&");
    format!("{path}?{query}{SIGNATURE}{}", "0".repeat(64))
}

impl SignedRequest {
    /// The places of a request with such a target, which begins with `head`; `None` if it has none.
    pub(crate) fn new(secret: &AppSecret, head: &str) -> Option<Self> {
        let path = head.find(' ')? + 1;
        let query = head.find('?')? + 1;
        let signed = head.find(SIGNATURE)?;
        let md5 = query + head.get(query..signed)?.find(MD5)? + MD5.len();
        let signature = signed + SIGNATURE.len();
        Some(Self {
            secret: secret.clone(),
            path: path..query - 1,
            query: query..signed,
            md5: md5..md5 + 32,
            signature: signature..signature + 64,
            body: head.len(),
        })
    }

    /// Signs the request.
    pub(crate) fn sign(&self, request: &mut [u8]) {
        let digest = Md5::digest(&request[self.body..]);
        hex(&digest, &mut request[self.md5.clone()]);
        let (path, query) = (&request[self.path.clone()], &request[self.query.clone()]);
        let signature = self.secret.sign(&[b"POST\n", path, b"\n", query]);
        request[self.signature.clone()].copy_from_slice(&signature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_the_documentation_of_the_protocol_says() {
        let secret = AppSecret::new(b"7ad3773142a6692b25b8");
        let found = signed_target("/apps/3/events?auth_key=278d425bdf160c739803");
        let (before, after) = found.split_once("auth_timestamp=").unwrap();
        let (_, after) = after.split_once('&').unwrap();
        let head = format!("POST {before}auth_timestamp=1353088179&{after} HTTP/1.1\r\n\r\n");
        let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let signed = SignedRequest::new(&secret, &head).expect("it has places");
        let mut request = [head, body.to_owned()].concat().into_bytes();
        signed.sign(&mut request);
        let request = String::from_utf8(request).unwrap();
        for expected in [
            "body_md5=ec365a775a4cd0599faeb73354201b6f&auth_signature=",
            "=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c HTTP/1.1",
        ] {
            assert!(request.contains(expected), "{request}");
        }
        assert!(SignedRequest::new(&secret, "POST /x HTTP/1.1\r\n\r\n").is_none());
    }
}
