//! Prints what a command was asked for.

use std::io::{ErrorKind, Write};

/// Prints to standard output. A reader that has read enough, such as `head`, is no failure.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
