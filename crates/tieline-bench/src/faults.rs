//! How faults are counted and told.

use std::fmt::Display;

use crate::{clock::SECOND, load::GRACE, outcome::Faults, report::words};

/// So many are told in words.
const TOLD: usize = 5;

impl Faults {
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

    /// Says in words what is counted only, once all is counted.
    pub(crate) fn explain(&mut self) {
        let seconds = GRACE / SECOND;
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
                .push(format!("{} {what}", words::plural(many, "message")));
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
