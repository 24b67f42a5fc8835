//! `tieline completions`: what a shell needs to complete the command line.
//!
//! Must not know the commands: it is handed the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use super::print::print;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell that reads them
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, mut tieline: Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut tieline, "tieline", &mut script);
        print(&script)
    }
}
