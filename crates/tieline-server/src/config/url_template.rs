//! The URL of an event handler, with places for the hub and the event.
//!
//! Owns the check of the URL and how names are put into it. Must not know what is sent there. Invariant: a
//! name changes neither the host nor the number of path segments, and no text form has the query.

use std::{fmt, str::FromStr};

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    option::{Invalid, Place, Setting},
    types::quoted,
};

/// All but the characters that never need encoding (RFC 3986, 2.3).
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An absolute URL, with `{hub}` and `{event}` in the path or the query.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UrlTemplate(String);

impl FromStr for UrlTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let template = Self(text.into());
        let rest = ["http://", "https://"].iter().find_map(|scheme| {
            let (start, rest) = text.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        let rest = rest.ok_or("use a URL such as http://127.0.0.1:3000/eventhandler/{event}")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("a URL must not have a password; use a bearer token".into());
        }
        if authority.contains(['{', '}']) {
            return Err("{hub} and {event} belong after the host".into());
        }
        let uri = template.expand("hub", "event");
        let is_complete = uri.is_some_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let other = text.replace("{hub}", "").replace("{event}", "");
        if !is_complete || other.contains(['{', '}']) {
            return Err("not a valid URL; only {hub} and {event} may stand in braces".into());
        }
        Ok(template)
    }
}

impl UrlTemplate {
    /// The URL for an event of a hub; `None` if the name of the event would change the path.
    pub(crate) fn expand(&self, hub: &str, event: &str) -> Option<Uri> {
        if matches!(event, "." | "..") {
            return None;
        }
        let encoded = |name| utf8_percent_encode(name, NAME).to_string();
        let url = self.0.replace("{hub}", &encoded(hub));
        url.replace("{event}", &encoded(event)).parse().ok()
    }

    pub(crate) fn is_https(&self) -> bool {
        let scheme = self.0.get(..6);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

/// Without the query, which may have a secret.
impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split(['?', '#']).next().unwrap_or_default())
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Setting for UrlTemplate {
    const EXPECTED: &'static str = "a URL, such as \"http://127.0.0.1:3000/eventhandler/{event}\"";
    const METAVAR: &'static str = "URL";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        text.parse().map_err(Invalid::Other)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_into_the_url_as_one_segment() {
        let template: UrlTemplate = "http://h:1/{hub}/x/{event}?e={event}".parse().unwrap();
        let url = |hub, event| template.expand(hub, event).unwrap().to_string();
        assert_eq!(
            url("chat", "message"),
            "http://h:1/chat/x/message?e=message"
        );
        assert_eq!(
            url("a[0]", "a/../b c?é"),
            "http://h:1/a%5B0%5D/x/a%2F..%2Fb%20c%3F%C3%A9?e=a%2F..%2Fb%20c%3F%C3%A9"
        );
        assert_eq!(template.expand("chat", ".."), None);
        assert_eq!(template.to_string(), "http://h:1/{hub}/x/{event}");
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused() {
        for url in [
            "",
            "h:1/x",
            "ftp://h/x",
            "http://",
            "http:///x",
            "http://me:hunter2@h/x",
            "http://{hub}.example/x",
            "http://h/{nope}",
            "http://h/a b",
        ] {
            assert!(url.parse::<UrlTemplate>().is_err(), "{url}");
        }
        let https: UrlTemplate = "HTTPS://h".parse().unwrap();
        assert!(https.is_https());
    }
}
