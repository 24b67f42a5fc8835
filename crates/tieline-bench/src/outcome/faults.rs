//! How faults are counted and told.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, Serialize};

use crate::format;

/// So many are told in words.
const TOLD: usize = 5;

/// What went wrong, by kind; the first of each is told in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Connections that could not be opened.
    pub not_opened: u64,
    /// Connections that the server ended, or that broke.
    pub ended: u64,
    /// Messages that had not arrived when the measurement was over and five seconds had passed.
    pub lost: u64,
    /// Messages that came to another connection than the one that they were for.
    pub misdelivered: u64,
    /// Messages that had come before.
    pub repeated: u64,
    /// The first faults, in words.
    pub examples: Vec<String>,
}

impl Faults {
    /// Whether anything went wrong.
    pub fn any(&self) -> bool {
        self.not_opened + self.ended + self.lost + self.misdelivered + self.repeated > 0
            || !self.examples.is_empty()
    }

    pub(crate) fn not_opened(&mut self, why: impl Display) {
        self.not_opened += 1;
        self.tell(why);
    }

    pub(crate) fn ended(&mut self, why: impl Display) {
        self.ended += 1;
        self.tell(why);
    }

    /// Tells a fault, unless the same was told before or enough were.
    pub(crate) fn tell(&mut self, what: impl Display) {
        if self.examples.len() < TOLD {
            let text = what.to_string();
            if !self.examples.contains(&text) {
                self.examples.push(text);
            }
        }
    }

    /// Says in words what is counted only, once all is counted. `grace` is how long messages were
    /// waited for at the end.
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
                "came to another connection than the one they were for".to_owned(),
            ),
            (self.repeated, "came more than once".to_owned()),
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
        other.examples.into_iter().for_each(|text| self.tell(text));
    }
}
