//! Errors as text for logs.
//!
//! Owns how an error is written into a log line. Must not know any particular error.

use std::{error::Error, fmt};

/// Displays an error and its sources in one line, joined by `: `.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn sources_follow_the_error_in_order() {
        let error = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(
            ErrorChain(&error).to_string(),
            "cannot read the file: invalid digit found in string"
        );
    }
}
