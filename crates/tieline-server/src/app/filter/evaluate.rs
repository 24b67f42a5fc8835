//! The value of a filter for a connection.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    expression::{Comparison, Expression},
    functions::Value,
    subject::Subject,
};

/// Whether a condition is true: not false, and not `null`.
pub(super) fn is_true(condition: &Expression, subject: &Subject<'_>) -> bool {
    truth(condition, subject) == Some(true)
}

/// The value of a condition; `None` is `null`.
fn truth(condition: &Expression, subject: &Subject<'_>) -> Option<bool> {
    match value(condition, subject) {
        Value::Bool(truth) => Some(truth),
        _ => None,
    }
}

fn value<'a>(expression: &'a Expression, subject: &Subject<'a>) -> Value<'a> {
    match expression {
        Expression::Null => Value::Null,
        Expression::Bool(truth) => Value::Bool(*truth),
        Expression::Int(number) => Value::Int(*number),
        Expression::Text(text) => Value::Text(Cow::Borrowed(text)),
        Expression::UserId => text(subject.user_id),
        Expression::ConnectionId => text(Some(subject.connection_id)),
        Expression::Protocol => text(subject.protocol),
        Expression::Groups => Value::GroupCount(subject.groups.len()),
        Expression::Not(of) => from(truth(of, subject).map(|truth| !truth)),
        // One that is false decides, even beside a null; so does one that is true.
        Expression::And(parts) => from(decide(parts, subject, false)),
        Expression::Or(parts) => from(decide(parts, subject, true)),
        Expression::Compare(comparison, both) => {
            let [one, other] = &**both;
            from(compare(
                *comparison,
                &value(one, subject),
                &value(other, subject),
            ))
        }
        Expression::In(of, list) => {
            let of = value(of, subject);
            Value::Bool(list.iter().any(|item| value(item, subject) == of))
        }
        Expression::InGroups(of) => match value(of, subject) {
            Value::Text(name) => Value::Bool(subject.groups.iter().any(|group| **group == *name)),
            _ => Value::Bool(false),
        },
        Expression::Call(function, arguments) => {
            let arguments: Vec<_> = arguments.iter().map(|of| value(of, subject)).collect();
            function.call(&arguments)
        }
    }
}

/// The value that decides if one part has it; else its opposite, unless a part is `null`.
fn decide(parts: &[Expression], subject: &Subject<'_>, deciding: bool) -> Option<bool> {
    let mut result = Some(!deciding);
    for part in parts {
        match truth(part, subject) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

fn compare(comparison: Comparison, one: &Value<'_>, other: &Value<'_>) -> Option<bool> {
    let order = match (one, other) {
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        _ => {
            return match comparison {
                Comparison::Eq => Some(one == other),
                Comparison::Ne => Some(one != other),
                _ => None,
            };
        }
    };
    Some(match comparison {
        Comparison::Eq => order == Ordering::Equal,
        Comparison::Ne => order != Ordering::Equal,
        Comparison::Gt => order == Ordering::Greater,
        Comparison::Ge => order != Ordering::Less,
        Comparison::Lt => order == Ordering::Less,
        Comparison::Le => order != Ordering::Greater,
    })
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::Text(Cow::Borrowed(text)))
}

fn from<'a>(truth: Option<bool>) -> Value<'a> {
    truth.map_or(Value::Null, Value::Bool)
}
