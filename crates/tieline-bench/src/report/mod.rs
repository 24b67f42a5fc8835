//! What was found, for people and for programs.
//!
//! Owns how results look. Must not know how they came about.

mod curve;
mod files;
mod html;
mod json;
mod markup;
mod strip;
mod table;
pub(crate) mod words;

use std::io::{self, Write as _};

use anyhow::{Context, bail};

pub(crate) use self::files::Files;
use crate::{
    compare::Comparison,
    outcome::Outcome,
    registry::{RegistryOutcome, RegistryPlan},
};

/// What was found.
pub(crate) enum Report {
    One(Outcome),
    Two(Comparison),
    Registry(RegistryPlan, RegistryOutcome),
}

impl Report {
    /// Shows the table, or the JSON in its place; then writes the files, each even where another fails.
    pub(crate) fn write(&self, mut files: Files) -> anyhow::Result<()> {
        let printed = if files.print_json {
            print(&json::text(self))
        } else {
            print(&table::text(self))
        };
        let json = files
            .json
            .as_mut()
            .map(|file| file.write(&json::text(self)));
        let html = files
            .html
            .as_mut()
            .map(|file| file.write(&html::page(self)));
        let failed = [Some(printed), json, html].into_iter().flatten();
        let failed = failed.filter_map(|written| Some(format!("{:#}", written.err()?)));
        let failed: Vec<_> = failed.collect();
        match failed.as_slice() {
            [] => Ok(()),
            _ => bail!("{}", failed.join("; ")),
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.context("cannot write to standard output")
}
