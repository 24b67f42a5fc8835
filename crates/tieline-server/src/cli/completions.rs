//! `tieline completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{command::Cli, print::print};

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell that reads them
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tieline", &mut script);
        print(&script)
    }
}
