//! `tieline man`: the manual pages.
//!
//! Must not know the commands: it is handed the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for the pages, such as /usr/local/share/man/man1; made if it does not exist
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, tieline: Command) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {folder}"))?;
        clap_mangen::generate_to(tieline, &self.folder)
            .with_context(|| format!("cannot write the pages into {folder}"))
    }
}
