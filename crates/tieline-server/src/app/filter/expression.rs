//! A filter as a tree.
//!
//! Owns what an expression is made of, and its type. Invariant: a tree is at most as deep as the parser's
//! limits allow.

use super::{functions::Function, types::Type};

/// An expression whose types fit.
#[derive(Debug, PartialEq)]
pub(super) enum Expression {
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    UserId,
    ConnectionId,
    Protocol,
    Groups,
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Compare(Comparison, Box<[Self; 2]>),
    In(Box<Self>, Vec<Self>),
    InGroups(Box<Self>),
    Call(Function, Vec<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Comparison {
    pub(super) fn named(word: &str) -> Option<Self> {
        let all = [
            ("eq", Self::Eq),
            ("ne", Self::Ne),
            ("gt", Self::Gt),
            ("ge", Self::Ge),
            ("lt", Self::Lt),
            ("le", Self::Le),
        ];
        let found = all
            .into_iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map(|(_, comparison)| comparison)
    }

    /// Whether operands of these types can be compared.
    pub(super) fn fits(self, one: Type, other: Type) -> bool {
        let ordered = |of: Type| matches!(of, Type::Int | Type::Text | Type::Null);
        let both_fit = match self {
            Self::Eq | Self::Ne => one != Type::Groups && other != Type::Groups,
            _ => ordered(one) && ordered(other),
        };
        both_fit && (one == other || one == Type::Null || other == Type::Null)
    }
}

impl Expression {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Int(_) => Type::Int,
            Self::Text(_) | Self::UserId | Self::ConnectionId | Self::Protocol => Type::Text,
            Self::Groups => Type::Groups,
            Self::Call(function, _) => function.result(),
            Self::Bool(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Compare(..)
            | Self::In(..)
            | Self::InGroups(_) => Type::Bool,
        }
    }

    /// Whether the groups of a connection are needed.
    pub(super) fn asks_for_groups(&self) -> bool {
        let any = |parts: &[Self]| parts.iter().any(Self::asks_for_groups);
        match self {
            Self::Groups | Self::InGroups(_) => true,
            Self::Not(of) => of.asks_for_groups(),
            Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) => any(parts),
            Self::Compare(_, both) => any(&**both),
            Self::In(value, list) => value.asks_for_groups() || any(list),
            _ => false,
        }
    }
}
