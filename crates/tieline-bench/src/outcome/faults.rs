//! What went wrong, counted and in words.
//!
//! Owns the kinds of faults, and the limit on examples. Must not decide what is a fault: the load does.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, Serialize};

use crate::format;

/// How many faults are described in words.
const MAX_EXAMPLES: usize = 5;

/// What went wrong, by kind, with examples in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Connections that could not be opened.
    pub not_opened: u64,
    /// Connections that the server ended, or that broke.
    pub ended: u64,
    /// Messages that had not arrived five seconds after the end of the measurement.
    pub lost: u64,
    /// Messages that arrived at the wrong connection.
    pub misdelivered: u64,
    /// Messages that arrived a second time.
    pub repeated: u64,
    /// Messages that were not in the format of the wire, and responses with another status than expected.
    pub unexpected: u64,
    /// The first faults, described in words.
    pub examples: Vec<String>,
}

impl Faults {
    /// Whether anything went wrong.
    pub fn any(&self) -> bool {
        let messages = self.lost + self.misdelivered + self.repeated + self.unexpected;
        self.not_opened + self.ended + messages > 0 || !self.examples.is_empty()
    }

    pub(crate) fn not_opened(&mut self, why: impl Display) {
        self.not_opened += 1;
        self.add_example(why);
    }

    pub(crate) fn ended(&mut self, why: impl Display) {
        self.ended += 1;
        self.add_example(why);
    }

    pub(crate) fn unexpected(&mut self, why: impl Display) {
        self.unexpected += 1;
        self.add_example(why);
    }

    /// Describes a fault, unless it is described already or there are enough.
    pub(crate) fn add_example(&mut self, what: impl Display) {
        if self.examples.len() < MAX_EXAMPLES {
            let text = what.to_string();
            if !self.examples.contains(&text) {
                self.examples.push(text);
            }
        }
    }

    /// Describes the faults that are only counted. `grace` is how long the load waited for messages at
    /// the end.
    pub(crate) fn explain(&mut self, grace: Duration) {
        let seconds = grace.as_secs();
        let counted = [
            (
                self.lost,
                format!(
                    "had not arrived {seconds} s after the end; percentiles are of the messages that arrived"
                ),
            ),
            (
                self.misdelivered,
                "arrived at the wrong connection".to_owned(),
            ),
            (self.repeated, "arrived more than once".to_owned()),
        ];
        for (many, what) in counted.into_iter().filter(|(many, _)| *many > 0) {
            self.examples
                .push(format!("{} {what}", format::plural(many, "message")));
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.not_opened += other.not_opened;
        self.ended += other.ended;
        self.lost += other.lost;
        self.misdelivered += other.misdelivered;
        self.repeated += other.repeated;
        self.unexpected += other.unexpected;
        other
            .examples
            .into_iter()
            .for_each(|text| self.add_example(text));
    }
}
