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
    /// `{room}`: `room-` and the number of the room.
    Room,
    /// `{payload}`: the measured payload.
    Payload,
}

const PLACEHOLDERS: [(&str, Placeholder); 5] = [
    ("{n}", Placeholder::Number),
    ("{id}", Placeholder::Id),
    ("{to}", Placeholder::To),
    ("{room}", Placeholder::Room),
    ("{payload}", Placeholder::Payload),
];

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Segment>,
    /// Members of a room.
    room: usize,
}

impl Template {
    /// Parses a text for connections in rooms of this many members.
    pub(crate) fn parse(text: &str, room: usize) -> Self {
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
        Self { parts, room }
    }

    /// How often the placeholder occurs.
    pub(crate) fn count(&self, placeholder: Placeholder) -> usize {
        self.parts
            .iter()
            .filter(|part| **part == Segment::Placeholder(placeholder))
            .count()
    }

    /// Whether the text is the same for every connection.
    pub(crate) fn is_common(&self) -> bool {
        let own = [
            Placeholder::Number,
            Placeholder::Id,
            Placeholder::To,
            Placeholder::Room,
        ];
        own.iter().all(|placeholder| self.count(*placeholder) == 0)
    }

    /// The text for a connection.
    pub(crate) fn text(&self, number: usize) -> String {
        self.fill(number, "").0
    }

    /// The text for a connection, with a payload and its position.
    pub(crate) fn fill(&self, number: usize, payload: &str) -> (String, Range<usize>) {
        let (mut text, mut position) = (String::new(), 0..0);
        for part in &self.parts {
            match part {
                Segment::Text(literal) => text.push_str(literal),
                Segment::Placeholder(Placeholder::Number) => text.push_str(&number.to_string()),
                Segment::Placeholder(Placeholder::Id) => text.push_str(&id(number)),
                Segment::Placeholder(Placeholder::To) => text.push_str(&id(partner(number))),
                Segment::Placeholder(Placeholder::Room) => text.push_str(&self.room(number)),
                Segment::Placeholder(Placeholder::Payload) => {
                    position = text.len()..text.len() + payload.len();
                    text.push_str(payload);
                }
            }
        }
        (text, position)
    }

    fn room(&self, number: usize) -> String {
        format!("room-{}", number / self.room.max(1))
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
        let template = Template::parse("ws://host/{n}?id={id}&to={to}", 1);
        assert_eq!(template.text(6), "ws://host/6?id=client-6&to=client-7");
        assert_eq!(template.text(7), "ws://host/7?id=client-7&to=client-6");
    }

    #[test]
    fn rooms_are_filled_in_turn() {
        let template = Template::parse("J:{room}", 10);
        assert_eq!(template.text(9), "J:room-0");
        assert_eq!(template.text(10), "J:room-1");
        assert!(!template.is_common());
    }

    #[test]
    fn other_braces_are_literal() {
        let json = r#"{"type":"event","n":{n},"data":{"{foo}":"{payload}"}}"#;
        let (text, payload) = Template::parse(json, 1).fill(3, "xxxx");
        assert_eq!(text, r#"{"type":"event","n":3,"data":{"{foo}":"xxxx"}}"#);
        assert_eq!(&text[payload], "xxxx");
    }

    #[test]
    fn braces_may_touch_a_placeholder() {
        let template = Template::parse("{{n}}", 1);
        assert_eq!(template.text(1), "{1}");
    }

    #[test]
    fn common_templates_are_recognized() {
        assert!(Template::parse("B{payload}", 1).is_common());
        assert!(!Template::parse("T:{to}:{payload}", 1).is_common());
        assert_eq!(Template::parse("", 1).text(0), "");
    }
}
