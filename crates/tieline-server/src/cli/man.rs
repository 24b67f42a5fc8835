//! `tieline man`: the manual pages.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::command::Cli;

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for the pages, such as /usr/local/share/man/man1; made if it does not exist
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {folder}"))?;
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("cannot write the pages into {folder}"))
    }
}
