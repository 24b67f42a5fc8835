//! The progress of a measurement, on a terminal.
//!
//! Owns one line of standard error. Must not write to standard output, which is for results.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use crate::{
    format::{self, float},
    progress::Progress,
};

/// A line on standard error, cleared when this value is dropped. Hidden if that is not a terminal.
#[derive(Debug)]
pub struct ProgressBar {
    line: indicatif::ProgressBar,
    label: String,
    /// The last update: when, and how many messages had arrived.
    last: Mutex<(Duration, u64)>,
}

impl ProgressBar {
    pub(crate) fn new(quiet: bool, label: &str) -> Self {
        let seen = !quiet && std::io::stderr().is_terminal();
        let draw = if seen {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let line = indicatif::ProgressBar::with_draw_target(Some(1), draw);
        let style = ProgressStyle::with_template("{prefix}{bar:30.cyan/dim} {msg}");
        line.set_style(style.expect("the template is valid"));
        let label = match label {
            "" => String::new(),
            label => format!("{label} "),
        };
        Self {
            line,
            label,
            last: Mutex::default(),
        }
    }

    /// Shows that `done` of `of` steps are done.
    pub fn step(&self, done: u64, of: u64, words: String) {
        self.line.set_prefix(self.label.clone());
        self.line.set_length(of);
        self.line.set_position(done.min(of));
        self.line.set_message(words);
    }
}

impl Progress for ProgressBar {
    fn opened(&self, connections: usize, of: usize) {
        let words = format!("opening {connections} of {of}");
        self.step(connections as u64, of as u64, words);
    }

    fn running(&self, elapsed: Duration, of: Duration, arrived: u64) {
        let mut last = self.last.lock();
        if elapsed.is_zero() {
            *last = Default::default();
            return self.step(0, 1, "warming up".into());
        }
        // A new phase starts from zero.
        if elapsed < last.0 || arrived < last.1 {
            *last = Default::default();
        }
        let time = elapsed.saturating_sub(last.0).as_secs_f64();
        let rate = float(arrived - last.1) / time.max(0.001);
        *last = (elapsed, arrived);
        let (now, end) = (elapsed.as_secs_f64(), of.as_secs_f64());
        let words = format!("{now:.1} of {end:.1} s  {}/s", format::number(rate));
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.step(millis(elapsed), millis(of), words);
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
