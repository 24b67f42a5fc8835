//! The URL of a webhook.
//!
//! Owns which URLs may be used. Must not know what is sent there. Invariant: no text form has the query.

use std::fmt;

use http::Uri;

use super::{
    option::{Invalid, Place, Setting},
    types::quoted,
};

/// An absolute URL with `http` or `https`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookUrl(Uri);

impl WebhookUrl {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

/// Without the query, which may have a secret.
impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Setting for WebhookUrl {
    const EXPECTED: &'static str = "a URL, such as \"https://example.org/pusher/webhooks\"";
    const METAVAR: &'static str = "URL";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        // The text may have a password, so no error repeats it.
        let refuse = |why: &str| {
            Err(Invalid::Other(format!(
                "expected {}: {why}",
                Self::EXPECTED
            )))
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return refuse("it is no URL");
        };
        let authority = uri.authority().map(http::uri::Authority::as_str);
        match (uri.scheme_str(), authority) {
            (Some("http" | "https"), Some(authority)) if authority.contains('@') => {
                refuse("it has a password; use `headers`")
            }
            (Some("http" | "https"), Some(_)) => Ok(Self(uri)),
            _ => refuse("it must begin with http:// or https://"),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;

    fn parse(text: &str) -> Result<WebhookUrl, Invalid> {
        let environment = BTreeMap::new();
        let (base, environment) = (Path::new(""), &environment);
        WebhookUrl::from_text(text, &Place { base, environment })
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_shows_neither_query_nor_password() {
        for (text, is_https) in [
            ("http://127.0.0.1:3000/hook?code=hunter2", false),
            ("HTTPS://example.org", true),
        ] {
            let url = parse(text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
            assert_eq!(url.is_https(), is_https);
            assert!(!format!("{url}{url:?}{}", url.show()).contains("hunter2"));
        }
        for text in [
            "",
            "/hook",
            "example.org/hook",
            "ftp://example.org",
            "http://",
            "http://a b/",
            "https://me:hunter2@example.org/",
        ] {
            let why = parse(text).unwrap_err();
            assert!(!format!("{why:?}").contains("hunter2"), "{text}: {why:?}");
        }
    }
}
