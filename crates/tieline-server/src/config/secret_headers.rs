//! Headers of requests whose values nobody may read.
//!
//! Owns how they are written. Must not know whom they are sent to. Invariant: no text form shows a value.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

use super::{
    option::{Invalid, Place, Setting},
    secret::{Secret, in_file},
    types::quoted,
};

/// Headers, each once, in the order of the file. Their text forms show the names alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SecretHeaders(Vec<(HeaderName, Secret)>);

impl SecretHeaders {
    /// The headers as they are sent. Fails with the names of those whose values cannot be sent.
    pub(crate) fn to_map(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        let mut unsendable = Vec::new();
        for (name, secret) in &self.0 {
            match sensitive(secret.expose().trim()) {
                Some(value) => drop(map.insert(name.clone(), value)),
                None => unsendable.push(name.as_str()),
            }
        }
        if unsendable.is_empty() {
            Ok(map)
        } else {
            Err(unsendable.join(", "))
        }
    }

    fn add(&mut self, name: &str, secret: Secret) -> Result<(), Invalid> {
        let parsed = name.parse::<HeaderName>();
        let parsed = parsed.map_err(|_| {
            Invalid::Other(format!(
                "{name:?} is not the name of a header, such as \"x-functions-key\""
            ))
        })?;
        if self.0.iter().any(|(other, _)| *other == parsed) {
            return Err(Invalid::Other(format!("{parsed} is there twice")));
        }
        self.0.push((parsed, secret));
        Ok(())
    }
}

/// Whether a header says what a request is, or how it is sent: no configuration sets it.
pub(crate) fn is_of_request(name: &HeaderName) -> bool {
    let of_request = [
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    of_request.contains(name)
}

/// A value that is neither in the debug form of a request nor kept in the tables of HTTP/2. `None` if it is
/// empty, or not visible ASCII on one line.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok();
    let mut value = value.filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

impl Setting for SecretHeaders {
    const EXPECTED: &'static str = "headers, such as { \"x-functions-key\" = { file = \"…\" } }";
    const METAVAR: &'static str = "NAME=FILE";
    const IS_LIST: bool = true;

    /// Names with files, between commas: a command line is no place for a secret.
    fn from_text(text: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let mut headers = Self::default();
        let added = text.split(',').map(str::trim).map(|item| {
            // Not shown: it may be the secret itself.
            let (name, file) = item.split_once('=').ok_or_else(|| {
                Invalid::Other(
                    "expected NAME=FILE, such as x-functions-key=/run/secrets/key".into(),
                )
            })?;
            headers.add(name.trim(), in_file(file.trim(), place)?)
        });
        Invalid::collect(added)?;
        Ok(headers)
    }

    fn from_file(value: &toml::Value, place: &Place<'_>) -> Result<Self, Invalid> {
        let table = value.as_table().ok_or_else(|| Invalid::found(value))?;
        let mut headers = Self::default();
        let added = table
            .iter()
            .map(|(name, value)| headers.add(name, Secret::from_file(value, place)?));
        Invalid::collect(added)?;
        Ok(headers)
    }

    fn show(&self) -> String {
        let hidden = self.0.iter();
        let hidden: Vec<_> = hidden
            .map(|(name, secret)| format!("{} = {}", quoted(name.as_str()), secret.show()))
            .collect();
        match &*hidden {
            [] => "{}".into(),
            hidden => format!("{{ {} }}", hidden.join(", ")),
        }
    }
}
