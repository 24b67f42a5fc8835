//! Texts with places for what differs from connection to connection and from message to message.
//!
//! Only the names of [`Placeholder`] are replaced; other braces are literal, so that JSON needs no
//! escapes.

use std::ops::Range;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Placeholder(Placeholder),
}

/// A variable of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// `{n}`: the number of the connection, from 0.
    Number,
    /// `{id}`: `client-` and the number.
    Id,
    /// `{to}`: the id of the receiver.
    To,
    /// `{payload}`: the measured payload.
    Payload,
}

const PLACEHOLDERS: [(&str, Placeholder); 4] = [
    ("{n}", Placeholder::Number),
    ("{id}", Placeholder::Id),
    ("{to}", Placeholder::To),
    ("{payload}", Placeholder::Payload),
];

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Segment>);

impl Template {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((at, name, placeholder)) = first(rest) {
            if at > 0 {
                parts.push(Segment::Text(rest[..at].to_owned()));
            }
            parts.push(Segment::Placeholder(placeholder));
            rest = &rest[at + name.len()..];
        }
        if !rest.is_empty() {
            parts.push(Segment::Text(rest.to_owned()));
        }
        Self(parts)
    }

    /// How often the placeholder occurs.
    pub(crate) fn count(&self, placeholder: Placeholder) -> usize {
        let parts = self.0.iter();
        parts
            .filter(|part| **part == Segment::Placeholder(placeholder))
            .count()
    }

    /// Whether the text is the same for every connection.
    pub(crate) fn is_common(&self) -> bool {
        let own = [Placeholder::Number, Placeholder::Id, Placeholder::To];
        own.iter().all(|placeholder| self.count(*placeholder) == 0)
    }

    /// The text for a connection.
    pub(crate) fn text(&self, number: usize) -> String {
        self.fill(number, 0).0
    }

    /// The text for a connection, with a payload of `size` bytes and its position.
    pub(crate) fn fill(&self, number: usize, size: usize) -> (String, Range<usize>) {
        let (mut text, mut payload) = (String::new(), 0..0);
        for part in &self.0 {
            match part {
                Segment::Text(literal) => text.push_str(literal),
                Segment::Placeholder(Placeholder::Number) => text.push_str(&number.to_string()),
                Segment::Placeholder(Placeholder::Id) => text.push_str(&id(number)),
                Segment::Placeholder(Placeholder::To) => text.push_str(&id(partner(number))),
                Segment::Placeholder(Placeholder::Payload) => {
                    payload = text.len()..text.len() + size;
                    text.extend(std::iter::repeat_n('x', size));
                }
            }
        }
        (text, payload)
    }
}

/// The other connection of the pair.
pub(crate) fn partner(number: usize) -> usize {
    number ^ 1
}

fn id(number: usize) -> String {
    format!("client-{number}")
}

fn first(text: &str) -> Option<(usize, &'static str, Placeholder)> {
    let found = PLACEHOLDERS.iter();
    found
        .filter_map(|(name, placeholder)| Some((text.find(name)?, *name, *placeholder)))
        .min_by_key(|(at, ..)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let template = Template::parse("ws://host/{n}?id={id}&to={to}");
        assert_eq!(template.text(6), "ws://host/6?id=client-6&to=client-7");
        assert_eq!(template.text(7), "ws://host/7?id=client-7&to=client-6");
    }

    #[test]
    fn other_braces_are_literal() {
        let json = r#"{"type":"event","n":{n},"data":{"{foo}":"{payload}"}}"#;
        let (text, payload) = Template::parse(json).fill(3, 4);
        assert_eq!(text, r#"{"type":"event","n":3,"data":{"{foo}":"xxxx"}}"#);
        assert_eq!(&text[payload], "xxxx");
    }

    #[test]
    fn braces_may_touch_a_placeholder() {
        let template = Template::parse("{{n}}");
        assert_eq!(template.text(1), "{1}");
    }

    #[test]
    fn common_templates_are_recognized() {
        assert!(Template::parse("B{payload}").is_common());
        assert!(!Template::parse("T:{to}:{payload}").is_common());
        assert_eq!(Template::parse("").text(0), "");
    }
}
