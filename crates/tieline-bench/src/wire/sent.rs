//! What was sent, for the check of what arrives.

use crate::{stamp, template::Template};

/// What the connections of a load send.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The messages.
    pub(crate) templates: Vec<Template>,
    /// Their payload, of which the stamp replaces the beginning.
    pub(crate) payload: String,
}

impl Sent {
    /// Checks the data of a message, of which the stamp is not known.
    pub(crate) fn check_data(&self, data: &str) -> Result<(), String> {
        let rest = |text: &str| text.as_bytes().get(stamp::LENGTH..).map(<[u8]>::to_vec);
        if data.len() != self.payload.len() || rest(data) != rest(&self.payload) {
            return Err("a message has other data than was sent".to_owned());
        }
        Ok(())
    }
}
