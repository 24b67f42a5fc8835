//! Random filters, and what they mean according to a second, simpler reading: a tree is written as text, the
//! text is read and asked, and the answer is that of the tree itself.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Filter, subject::Subject};

#[derive(Debug, Clone)]
enum Text {
    User,
    Connection,
    Protocol,
    Null,
    Literal(String),
    Lower(Box<Text>),
    Concat(Box<Text>, Box<Text>),
    From(Box<Text>, i64),
}

#[derive(Debug, Clone)]
enum Condition {
    Literal(bool),
    Texts(&'static str, Text, Text),
    Length(&'static str, Text, i64),
    Starts(Text, Text),
    OneOf(Text, Vec<Text>),
    InGroups(Text),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

fn written(condition: &Condition, outer: u8) -> String {
    let (own, text) = match condition {
        Condition::Literal(truth) => (4, truth.to_string()),
        Condition::Texts(operator, one, other) => (
            3,
            format!("{} {operator} {}", one.written(), other.written()),
        ),
        Condition::Length(operator, text, number) => {
            (3, format!("length({}) {operator} {number}", text.written()))
        }
        Condition::Starts(one, other) => (
            4,
            format!("startsWith({},{})", one.written(), other.written()),
        ),
        Condition::OneOf(text, list) => {
            let list: Vec<_> = list.iter().map(Text::written).collect();
            (4, format!("{} in ({})", text.written(), list.join(" , ")))
        }
        Condition::InGroups(text) => (4, format!("{} in groups", text.written())),
        Condition::Not(of) => (4, format!("not {}", written(of, 4))),
        Condition::And(parts) => (2, joined(parts, " and ", 3)),
        Condition::Or(parts) => (1, joined(parts, " OR ", 2)),
    };
    // Parentheses only where precedence needs them, so that it is tested.
    if own < outer {
        format!("( {text})")
    } else {
        text
    }
}

fn joined(parts: &[Condition], operator: &str, outer: u8) -> String {
    let parts: Vec<_> = parts.iter().map(|part| written(part, outer)).collect();
    parts.join(operator)
}

impl Text {
    fn written(&self) -> String {
        match self {
            Self::User => "userId".into(),
            Self::Connection => "ConnectionId".into(),
            Self::Protocol => "protocol".into(),
            Self::Null => "null".into(),
            Self::Literal(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Lower(of) => format!("tolower({})", of.written()),
            Self::Concat(one, other) => format!("concat({}, {})", one.written(), other.written()),
            Self::From(of, at) => format!("substring({} ,{at})", of.written()),
        }
    }

    fn value(&self, subject: &Subject<'_>) -> Option<String> {
        match self {
            Self::User => subject.user_id.map(str::to_owned),
            Self::Connection => Some(subject.connection_id.to_owned()),
            Self::Protocol => subject.protocol.map(str::to_owned),
            Self::Null => None,
            Self::Literal(text) => Some(text.clone()),
            Self::Lower(of) => Some(of.value(subject)?.to_lowercase()),
            Self::Concat(one, other) => Some(one.value(subject)? + &other.value(subject)?),
            Self::From(of, at) => {
                let mut chars: Vec<_> = of.value(subject)?.chars().collect();
                let at = usize::try_from(*at).unwrap_or(0).min(chars.len());
                Some(chars.drain(at..).collect())
            }
        }
    }
}

/// The order of two values, or of two that may be missing.
fn compared<T: Ord>(operator: &str, one: Option<T>, other: Option<T>) -> Option<bool> {
    match operator {
        "eq" => Some(one == other),
        "ne" => Some(one != other),
        "gt" => Some(one? > other?),
        "ge" => Some(one? >= other?),
        "lt" => Some(one? < other?),
        _ => Some(one? <= other?),
    }
}

fn meant(condition: &Condition, subject: &Subject<'_>) -> Option<bool> {
    let all =
        |parts: &[Condition]| -> Vec<_> { parts.iter().map(|part| meant(part, subject)).collect() };
    match condition {
        Condition::Literal(truth) => Some(*truth),
        Condition::Texts(operator, one, other) => {
            compared(operator, one.value(subject), other.value(subject))
        }
        Condition::Length(operator, text, number) => {
            let length = text.value(subject).map(|text| text.chars().count());
            compared(
                operator,
                length.map(|n| i64::try_from(n).unwrap()),
                Some(*number),
            )
        }
        Condition::Starts(one, other) => {
            Some(one.value(subject)?.starts_with(&other.value(subject)?))
        }
        Condition::OneOf(text, list) => {
            let values: Vec<_> = list.iter().map(|item| item.value(subject)).collect();
            Some(values.contains(&text.value(subject)))
        }
        Condition::InGroups(text) => Some(
            text.value(subject)
                .is_some_and(|name| subject.groups.iter().any(|group| **group == *name)),
        ),
        Condition::Not(of) => meant(of, subject).map(|truth| !truth),
        Condition::And(parts) => {
            let parts = all(parts);
            if parts.contains(&Some(false)) {
                Some(false)
            } else {
                (!parts.contains(&None)).then_some(true)
            }
        }
        Condition::Or(parts) => {
            let parts = all(parts);
            if parts.contains(&Some(true)) {
                Some(true)
            } else {
                (!parts.contains(&None)).then_some(false)
            }
        }
    }
}

fn any_text() -> impl Strategy<Value = Text> {
    let leaf = prop_oneof![
        Just(Text::User),
        Just(Text::Connection),
        Just(Text::Protocol),
        Just(Text::Null),
        "[ab'é ]{0,3}".prop_map(Text::Literal),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| Text::Lower(of.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Text::Concat(a.into(), b.into())),
            (inner, -1_i64..4).prop_map(|(of, at)| Text::From(of.into(), at)),
        ]
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let operator = || prop::sample::select(&["eq", "ne", "gt", "ge", "lt", "le"][..]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Condition::Literal),
        (operator(), any_text(), any_text()).prop_map(|(o, a, b)| Condition::Texts(o, a, b)),
        (operator(), any_text(), -1_i64..5).prop_map(|(o, a, n)| Condition::Length(o, a, n)),
        (any_text(), any_text()).prop_map(|(a, b)| Condition::Starts(a, b)),
        (any_text(), prop::collection::vec(any_text(), 1..4))
            .prop_map(|(a, l)| Condition::OneOf(a, l)),
        any_text().prop_map(Condition::InGroups),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|of| Condition::Not(of.into())),
            several().prop_map(Condition::And),
            several().prop_map(Condition::Or),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_means_what_its_tree_means(
        condition in any_condition(),
        user in prop::option::of("[abAB]{1,3}"),
        connection in "[ab]{1,2}",
        protocol in prop::option::of("[ab]{1,2}"),
        groups in prop::collection::vec("[ab]{1,2}", 0..3),
    ) {
        let text = written(&condition, 0);
        let groups: Vec<Arc<str>> = groups.into_iter().map(Arc::from).collect();
        let subject = Subject {
            user_id: user.as_deref(),
            connection_id: &connection,
            protocol: protocol.as_deref(),
            groups: &groups,
        };
        let filter = Filter::parse(&text);
        prop_assert!(filter.is_ok(), "{}: {}", text, filter.unwrap_err());
        let expected = meant(&condition, &subject) == Some(true);
        prop_assert_eq!(filter.unwrap().admits(&subject), expected, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[(),' a-z0-9é-]{0,60}") {
        let _ = Filter::parse(&text);
    }
}
