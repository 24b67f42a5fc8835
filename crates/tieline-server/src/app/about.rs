//! What goes with a payload beside its data: the user who sent it, and metadata.
//!
//! Owns how both travel in the `about` of a note. Must not know headers or frames. Invariant: without metadata,
//! `about` is the user's name and nothing else, so that only messages with metadata pay for it.

use serde_json::{Map, Value, value::RawValue};

/// Begins an `about` with metadata, and ends the metadata. No name begins with it, and JSON text has none.
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
                (sender, Some(serde_json::from_str(metadata).ok()?))
            }
        };
        let sender = Some(sender).filter(|sender| !sender.is_empty());
        Some(Self { sender, metadata })
    }
}

/// The `about` of a message from a user, with metadata; `""` is nobody.
pub(crate) fn of(sender: &str, metadata: Option<&Metadata>) -> String {
    match metadata {
        Some(Metadata(json)) => format!("{MARK}{json}{MARK}{sender}"),
        None => sender.to_owned(),
    }
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
    fn what_is_no_metadata_is_refused() {
        for about in ["\0", "\0{}", "\0{\0"] {
            assert_eq!(read(about), None, "{about:?}");
        }
        assert!(About::parse(&[0xff]).is_none());
    }
}
