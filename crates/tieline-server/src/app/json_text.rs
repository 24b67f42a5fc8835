//! Texts as JSON, written into a larger text.
//!
//! Owns which texts need no escapes: names and ids hardly ever do, and are then copied as they are. Must not know what
//! they are. Invariant: the result is what `serde_json` writes.

/// Whether a byte of a text is not itself in JSON.
pub(crate) fn is_escaped(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'"' | b'\\')
}

/// Appends a text in quotes.
pub(crate) fn push(json: &mut String, text: &str) {
    if text.bytes().any(is_escaped) {
        let escaped = serde_json::to_string(text).expect("text always serializes");
        json.push_str(&escaped);
        return;
    }
    json.push('"');
    json.push_str(text);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::push;

    proptest! {
        #[test]
        fn it_is_written_as_serde_json_does(
            text in prop_oneof![any::<String>(), vec(any::<u8>(), 0..8).prop_map(|bytes| bytes.iter().map(|b| char::from(*b)).collect())]
        ) {
            let mut json = "[".to_owned();
            push(&mut json, &text);
            let expected = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&json[1..], expected);
        }
    }
}
