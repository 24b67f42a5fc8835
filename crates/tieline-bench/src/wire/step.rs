//! What the opening of a connection does next.

/// What follows from a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send these frames; the connection is then open if it waits for no answer.
    Send(Vec<u8>),
    /// Wait for more.
    Wait,
}
