//! Lists and tokens in HTTP headers (RFC 9110, section 5.6). Knows no header by name.

use http::{HeaderMap, HeaderName};

/// The elements of a comma-separated list, over all headers of that name. Skips empty elements, as
/// RFC 9110, section 5.6.1.2, requires; yields `None` for a header that is not visible ASCII. Not for
/// lists with quoted strings.
pub(super) fn list<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().ok())
        .flat_map(|value| {
            let unreadable = value.is_none().then_some(None);
            let elements = value.unwrap_or_default().split(',');
            let elements = elements.map(trim).filter(|it| !it.is_empty());
            unreadable.into_iter().chain(elements.map(Some))
        })
}

/// Whether the list contains `token`, case-insensitively.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name)
        .flatten()
        .any(|element| element.eq_ignore_ascii_case(token))
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Removes optional white space (RFC 9110, section 5.6.3) at both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
