//! The `Authorization` header of a signed request.
//!
//! Owns its syntax. Must not know whether what it says is right.

use axum::http::{HeaderMap, header::AUTHORIZATION};

use super::error::SignatureError;

/// The only algorithm.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the header says.
pub(super) struct Authorization<'a> {
    pub(super) key_id: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) terminator: &'a str,
    /// The names, with semicolons between them, in the order in which they were signed.
    pub(super) signed_headers: &'a str,
    pub(super) signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    /// The only header of that name.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(SignatureError::Missing)?;
        let value = value.to_str().map_err(|_| SignatureError::Malformed)?;
        let fields = value.strip_prefix(ALGORITHM);
        let fields = fields.ok_or(SignatureError::Missing)?;
        let parsed = Self::parse(fields).filter(|_| values.next().is_none());
        parsed.ok_or(SignatureError::Malformed)
    }

    /// Reads the fields, of which each stands once, in any order.
    fn parse(fields: &'a str) -> Option<Self> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.strip_prefix(' ')?.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        let parts: Vec<_> = credential?.split('/').collect();
        let [key_id, date, region, service, terminator] = parts[..] else {
            return None;
        };
        let signed_headers = signed_headers.filter(|names| is_sorted(names))?;
        Some(Self {
            key_id,
            date,
            region,
            service,
            terminator,
            signed_headers,
            signature: from_hex(signature?)?,
        })
    }

    /// Whether the signature covers the header with this name.
    pub(super) fn signs(&self, name: &str) -> bool {
        self.signed_headers.split(';').any(|signed| signed == name)
    }
}

/// Whether names are in lower case, sorted, and each only once.
fn is_sorted(names: &str) -> bool {
    let names: Vec<_> = names.split(';').collect();
    let is_lower = |name: &&str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
    names.iter().all(is_lower) && names.is_sorted_by(|name, next| name < next)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.bytes().map(|digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}
