//! Filters: which connections get a message, as a backend says it in the `OData` dialect of Web PubSub.
//!
//! Owns the syntax and the meaning of filters. Must not know who sends what to whom. Invariants: whatever a
//! filter says, reading it takes time in proportion to its length, and neither reading nor asking it can
//! overflow a stack; a filter whose types do not fit is refused when it is read, so that asking never fails.
//!
//! | precedence | operators |
//! |---|---|
//! | first | parentheses, functions, `in` |
//! | | `not` |
//! | | `eq ne gt ge lt le`, from left to right |
//! | | `and` |
//! | last | `or` |
//!
//! A connection without a user has the user `null`, and likewise one without a subprotocol. A function of
//! `null` is `null`, and so is `gt ge lt le` with it; `eq` and `ne` compare it as a value. `and`, `or` and `not`
//! have three values, as in SQL. A connection is admitted where the filter is true, not where it is `null`.

mod error;
mod evaluate;
mod expression;
mod functions;
mod lexer;
mod parser;
mod subject;
mod types;

use tieline::{Connection, Predicate};

use self::{error::FilterError, expression::Expression, subject::Subject};

/// A filter that has been read.
#[derive(Debug)]
pub(crate) struct Filter(Expression);

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        parser::parse(text).map(Self)
    }

    fn admits(&self, subject: &Subject<'_>) -> bool {
        evaluate::is_true(&self.0, subject)
    }
}

/// The filter language of the hubs.
pub(crate) fn compile(filter: &[u8]) -> Option<Predicate> {
    let text = std::str::from_utf8(filter).ok()?;
    let filter = Filter::parse(text).inspect_err(|error| {
        tracing::debug!(%error, "refused a filter");
    });
    let filter = filter.ok()?;
    let asks_for_groups = filter.0.asks_for_groups();
    Some(Box::new(move |connection: &Connection| {
        // A copy, made under the connection's lock: only for filters that need it.
        let groups = if asks_for_groups {
            connection.groups()
        } else {
            Vec::new()
        };
        filter.admits(&Subject {
            user_id: connection.user(),
            connection_id: connection.id(),
            protocol: connection.subprotocol(),
            groups: &groups,
        })
    }))
}

#[cfg(test)]
mod tests;
