//! `tieline config`: checks, prints and explains the configuration.
//!
//! Must not start anything, and prints no secret.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{configuration::check, print::print, serve::Serve};
use crate::config::{settings::Layers, text};

#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a file and the environment, without starting anything
    ///
    /// Prints "ok", or every error. The exit code is 2 if the configuration is invalid, and 1 if a file that
    /// it names cannot be read.
    Check(Box<Check>),
    /// Print a file with every option, its default and its cost
    Default,
    /// Print the configuration that is in force, and where each value comes from
    ///
    /// Takes the flags of `tieline serve`. Secrets are masked.
    Show(Box<Serve>),
}

#[derive(Debug, Args)]
struct Check {
    /// Configuration file (TOML)
    #[arg(value_name = "FILE", env = "TIELINE_CONFIG")]
    file: Option<PathBuf>,
}

impl ConfigCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let text = match self.action {
            Action::Check(check_flags) => {
                let layers = Layers {
                    file: check_flags.file,
                    flags: Vec::new(),
                    is_used: |_| true,
                };
                let checked = check(&layers)?;
                warn(&checked.warnings());
                "ok\n".into()
            }
            Action::Default => text::default_file(),
            Action::Show(serve) => {
                let checked = serve.check()?;
                warn(&checked.warnings());
                text::in_force(&checked.settings, &checked.values)
            }
        };
        print(text.as_bytes())
    }
}

fn warn(warnings: &[String]) {
    warnings
        .iter()
        .for_each(|warning| eprintln!("tieline: warning: {warning}"));
}
