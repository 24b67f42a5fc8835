//! What is logged, and how.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::config::{
    option::{Invalid, Place, Setting},
    section::section,
    types::{choices, quoted},
};

section! {
    /// The log on standard error.
    pub(crate) struct LogSettings in "log" {
        format: LogFormat = LogFormat::Text,
            "Format of the log lines on standard error.",
            "With \"json\", each line is a JSON object.",
            flag: "log-format", metavar: "FORMAT";
        level: LogLevel = LogLevel("info".into()),
            "What is logged: a level, or levels of targets, such as \"tieline=debug,hyper=warn\".",
            "\"info,tieline::connections=debug\" adds a line for each connection that begins, ends or is refused. The variable \
             RUST_LOG sets it too.",
            flag: "log-level", shared_variable: "RUST_LOG", metavar: "LEVEL", live: true;
    }
}

choices! {
    /// The form of a line.
    pub(crate) enum LogFormat {
        Text = "text",
        Json = "json",
    }
}

/// Levels in the form of `RUST_LOG`. Invariant: valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLevel(String);

impl LogLevel {
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Setting for LogLevel {
    const EXPECTED: &'static str = "a level such as \"info\" or \"tieline=debug,hyper=warn\"";
    const METAVAR: &'static str = "LEVEL";

    fn from_text(text: &str, _: &Place<'_>) -> Result<Self, Invalid> {
        // A word alone would be a target, so that a mistyped level would silence everything else.
        let mut parts = text.split(',').map(str::trim);
        let has_levels =
            parts.all(|part| part.contains('=') || part.parse::<LevelFilter>().is_ok());
        match EnvFilter::try_new(text) {
            Ok(_) if has_levels => Ok(Self(text.into())),
            _ => Err(Invalid::text(text)),
        }
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}
