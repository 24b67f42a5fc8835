//! How faults are counted and told.

use std::fmt::Display;

use crate::outcome::Faults;

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

    pub(crate) fn add(&mut self, other: Self) {
        self.not_opened += other.not_opened;
        self.ended += other.ended;
        self.lost += other.lost;
        other.examples.into_iter().for_each(|text| self.tell(text));
    }
}
