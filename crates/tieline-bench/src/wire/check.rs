//! Whether messages have the shape that a wire says: the first ones of each process.
//!
//! Knows what was sent by the sender's number. Must not parse every message, which would make the load slower than
//! the server.

use super::{json, pusher, sent::Sent};
use crate::{plan::Wire, template::Template};

/// How many messages a process checks.
const CHECKED: u32 = 1_000;

/// Checks the first messages of a process.
#[derive(Debug)]
pub(crate) struct MessageCheck {
    wire: Wire,
    sent: Sent,
    left: u32,
}

impl MessageCheck {
    /// Checks copies of messages with this payload by any of the templates; `None` if a message of the wire is
    /// nothing but what was sent.
    pub(crate) fn new(wire: Wire, templates: Vec<Template>, payload: String) -> Option<Self> {
        (wire != Wire::Bare).then_some(Self {
            wire,
            sent: Sent { templates, payload },
            left: CHECKED,
        })
    }

    /// Checks a message that the connection with the number `from` has sent, unless enough have been checked.
    #[inline]
    pub(crate) fn check(&mut self, message: &[u8], from: usize) -> Result<(), String> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.parse(message, from)
    }

    #[cold]
    fn parse(&self, message: &[u8], from: usize) -> Result<(), String> {
        match self.wire {
            Wire::Bare => Ok(()),
            Wire::Json => json::check_copy(&self.sent, message, from),
            Wire::Pusher => pusher::check_copy(&self.sent, message, from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_messages_are_checked() {
        let mut check = MessageCheck::new(Wire::Json, Vec::new(), String::new()).unwrap();
        let refused = (0..2 * CHECKED).filter(|_| check.check(b"", 0).is_err());
        assert_eq!(refused.count(), CHECKED as usize);
        assert!(MessageCheck::new(Wire::Bare, Vec::new(), String::new()).is_none());
    }
}
