//! What goes with a payload beside its data: the user who sent it, and metadata.
//!
//! Owns how both travel in the `about` of a note, and that the user is no member of the channel. Must not know headers
//! or frames. Invariant: without metadata, `about` of a member is the user's name and nothing else, so that only other
//! messages pay for more.

use serde_json::{Map, Value, value::RawValue};

use super::json_text;

/// Begins an `about` with metadata, and ends the metadata; begins an outsider. No name begins with it, and JSON text has
/// none.
const MARK: char = '\0';

/// Names with values, for clients that read them.
#[derive(Debug, Clone)]
pub(crate) struct Metadata(String);

impl Metadata {
    /// `None` without pairs.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let pairs = pairs.into_iter();
        let object: Map<_, _> = pairs.map(|(name, value)| (name, value.into())).collect();
        (!object.is_empty()).then(|| Self(Value::Object(object).to_string()))
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut object: Map<_, _> = serde_json::from_str(&self.0).ok()?;
        match object.remove(name)? {
            Value::String(value) => Some(value),
            _ => None,
        }
    }
}

/// What is known of a message beside its data.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) sender: Option<&'a str>,
    /// The sender is no member of the presence channel that the message is sent to, as the sender's node knows it.
    pub(crate) is_outsider: bool,
    /// A JSON object.
    pub(crate) metadata: Option<&'a RawValue>,
}

impl<'a> About<'a> {
    /// Reads the `about` of a note; `None` if it is none of ours.
    pub(crate) fn parse(about: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(about).ok()?;
        let (sender, metadata) = match text.strip_prefix(MARK) {
            None => (text, None),
            Some(rest) => {
                let (metadata, sender) = rest.split_once(MARK)?;
                let parse = |metadata: &'a str| serde_json::from_str(metadata);
                let metadata = Some(metadata).filter(|metadata| !metadata.is_empty());
                (sender, metadata.map(parse).transpose().ok()?)
            }
        };
        let outsider = sender.strip_prefix(MARK);
        Some(Self {
            sender: Some(outsider.unwrap_or(sender)).filter(|sender| !sender.is_empty()),
            is_outsider: outsider.is_some(),
            metadata,
        })
    }
}

/// The `about` of a message from a user, with metadata; `""` is nobody.
pub(crate) fn of(sender: &str, metadata: Option<&Metadata>) -> String {
    match metadata {
        Some(Metadata(json)) => format!("{MARK}{json}{MARK}{sender}"),
        None => sender.to_owned(),
    }
}

/// The same, from a user who is no member of the presence channel that the message is sent to.
pub(crate) fn of_outsider(sender: &str, metadata: Option<&Metadata>) -> String {
    let json = metadata.map_or("", |Metadata(json)| json);
    format!("{MARK}{json}{MARK}{MARK}{sender}")
}

/// The same as [`of`] with one pair, without a map: `name` stands in JSON as it is.
pub(crate) fn of_pair(sender: &str, name: &str, value: &str) -> String {
    let quotes = value.len() + 2;
    let mut about = String::with_capacity(name.len() + quotes + sender.len() + 7);
    about.push(MARK);
    about.push_str("{\"");
    about.push_str(name);
    about.push_str("\":");
    json_text::push(&mut about, value);
    about.push('}');
    about.push(MARK);
    about.push_str(sender);
    about
}

/// The sender, no outsider, and the value in the `about` of [`of_pair`], if that stands there and the value has no
/// escapes; anything else is for [`About::parse`]. Reads no JSON, because it is what most messages with a name have.
pub(crate) fn plain_pair<'a>(about: &'a [u8], name: &str) -> Option<(Option<&'a str>, &'a str)> {
    let text = std::str::from_utf8(about).ok()?;
    let value = text.strip_prefix(MARK)?.strip_prefix("{\"")?;
    let value = value.strip_prefix(name)?.strip_prefix("\":\"")?;
    let end = value.bytes().position(json_text::is_escaped)?;
    let sender = value[end..].strip_prefix("\"}")?.strip_prefix(MARK)?;
    if sender.starts_with(MARK) {
        return None;
    }
    Some((
        Some(sender).filter(|sender| !sender.is_empty()),
        &value[..end],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(about: &str) -> Option<(Option<&str>, Option<&str>)> {
        let about = About::parse(about.as_bytes())?;
        Some((about.sender, about.metadata.map(RawValue::get)))
    }

    #[test]
    fn sender_and_metadata_are_read_back() {
        assert_eq!(read(""), Some((None, None)));
        assert_eq!(read("ada"), Some((Some("ada"), None)));
        let pairs = [("a".to_owned(), "x\0\"y".to_owned())];
        let metadata = Metadata::new(pairs).unwrap();
        let json = r#"{"a":"x\u0000\"y"}"#;
        for (sender, expected) in [("", None), ("ada", Some("ada"))] {
            let with = of(sender, Some(&metadata));
            assert_eq!(read(&with), Some((expected, Some(json))));
            assert_eq!(of(sender, None), sender);
        }
        assert_eq!(metadata.get("a").as_deref(), Some("x\0\"y"));
        assert_eq!(metadata.get("b"), None);
        assert!(Metadata::new([]).is_none());
    }

    #[test]
    fn an_outsider_is_told_apart_with_and_without_metadata() {
        let metadata = Metadata::new([("event".to_owned(), "x".to_owned())]).unwrap();
        for metadata in [None, Some(&metadata)] {
            let about = of_outsider("ada", metadata);
            let json = metadata.map(|Metadata(json)| &**json);
            assert_eq!(read(&about), Some((Some("ada"), json)));
            assert_eq!(plain_pair(about.as_bytes(), "event"), None);
            let is_outsider = |about: &str| About::parse(about.as_bytes()).unwrap().is_outsider;
            assert!(is_outsider(&about) && !is_outsider(&of("ada", metadata)));
        }
    }

    #[test]
    fn a_pair_is_written_like_other_metadata_and_found_again() {
        for value in [
            "",
            "a",
            "client-x y",
            "ü\u{7f}",
            "a\"b",
            "\\",
            "\0",
            "\n\u{1f}",
        ] {
            for sender in ["", "ada", "a\0b", "\"}"] {
                let metadata = Metadata::new([("event".to_owned(), value.to_owned())]);
                let about = of_pair(sender, "event", value);
                assert_eq!(about, of(sender, metadata.as_ref()));
                let is_plain = !value.bytes().any(json_text::is_escaped);
                let expected = Some(sender).filter(|sender| !sender.is_empty());
                let pair = is_plain.then_some((expected, value));
                assert_eq!(plain_pair(about.as_bytes(), "event"), pair, "{about:?}");
                assert_eq!(plain_pair(about.as_bytes(), "other"), None);
            }
        }
    }

    #[test]
    fn anything_but_a_plain_pair_is_left_to_the_parser() {
        for about in [
            "",
            "ada",
            "\0",
            "\0{\"event\":\"x\"}",
            "\0{\"event\":\"x\0",
            "\0{\"event\":\"x\",\"a\":\"b\"}\0ada",
            "\0{\"event\": \"x\"}\0ada",
            "\0{\"event\":7}\0ada",
            "\0{\"event\":\"x\"} \0ada",
        ] {
            assert_eq!(plain_pair(about.as_bytes(), "event"), None, "{about:?}");
        }
        assert_eq!(plain_pair(b"\0{\"event\":\"\xff\"}\0", "event"), None);
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for about in ["\0", "\0{}", "\0{\0"] {
            assert_eq!(read(about), None, "{about:?}");
        }
        assert!(About::parse(&[0xff]).is_none());
    }
}
