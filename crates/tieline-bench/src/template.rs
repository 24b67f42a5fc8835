//! Texts with places for what differs from connection to connection and from message to message.
//!
//! Only the names of [`Place`] are replaced; every other brace stands for itself, so that JSON needs
//! no escapes.

use std::ops::Range;

/// What a template holds, from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What is put into a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `{n}`: the number of the connection, from 0.
    Number,
    /// `{id}`: `client-` and that number.
    Id,
    /// `{to}`: the id of the connection that it sends to.
    To,
    /// `{payload}`: what is measured.
    Payload,
}

const PLACES: [(&str, Place); 4] = [
    ("{n}", Place::Number),
    ("{id}", Place::Id),
    ("{to}", Place::To),
    ("{payload}", Place::Payload),
];

/// A text with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((at, name, place)) = first(rest) {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            parts.push(Part::Place(place));
            rest = &rest[at + name.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Self(parts)
    }

    /// How often it holds the place.
    pub(crate) fn count(&self, place: Place) -> usize {
        let parts = self.0.iter();
        parts.filter(|part| **part == Part::Place(place)).count()
    }

    /// It is the same for every connection.
    pub(crate) fn is_common(&self) -> bool {
        let own = [Place::Number, Place::Id, Place::To];
        own.iter().all(|place| self.count(*place) == 0)
    }

    /// The text for a connection.
    pub(crate) fn text(&self, number: usize) -> String {
        self.fill(number, 0).0
    }

    /// The text for a connection, with a payload of `size` bytes, and where that stands.
    pub(crate) fn fill(&self, number: usize, size: usize) -> (String, Range<usize>) {
        let (mut text, mut payload) = (String::new(), 0..0);
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Place(Place::Number) => text.push_str(&number.to_string()),
                Part::Place(Place::Id) => text.push_str(&id(number)),
                Part::Place(Place::To) => text.push_str(&id(partner(number))),
                Part::Place(Place::Payload) => {
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

fn first(text: &str) -> Option<(usize, &'static str, Place)> {
    let found = PLACES.iter();
    found
        .filter_map(|(name, place)| Some((text.find(name)?, *name, *place)))
        .min_by_key(|(at, ..)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let template = Template::parse("ws://host/{n}?id={id}&to={to}");
        assert_eq!(template.text(6), "ws://host/6?id=client-6&to=client-7");
        assert_eq!(template.text(7), "ws://host/7?id=client-7&to=client-6");
    }

    #[test]
    fn other_braces_stand_for_themselves() {
        let json = r#"{"type":"event","n":{n},"data":{"{foo}":"{payload}"}}"#;
        let (text, payload) = Template::parse(json).fill(3, 4);
        assert_eq!(text, r#"{"type":"event","n":3,"data":{"{foo}":"xxxx"}}"#);
        assert_eq!(&text[payload], "xxxx");
    }

    #[test]
    fn braces_may_stand_next_to_a_place() {
        let template = Template::parse("{{n}}");
        assert_eq!(template.text(1), "{1}");
    }

    #[test]
    fn it_knows_whether_connections_differ() {
        assert!(Template::parse("B{payload}").is_common());
        assert!(!Template::parse("T:{to}:{payload}").is_common());
        assert_eq!(Template::parse("").text(0), "");
    }
}
