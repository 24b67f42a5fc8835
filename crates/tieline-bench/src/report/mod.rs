//! What was found, for people and for programs.
//!
//! Owns how results look. Must not know how they came about.

mod curve;
mod html;
mod json;
mod markup;
mod strip;
mod table;
pub(crate) mod words;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context;

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

/// Where a report goes.
pub(crate) struct Write<'a> {
    /// `-` is standard output, in place of the table.
    pub(crate) json: Option<&'a Path>,
    pub(crate) html: Option<&'a Path>,
}

impl Report {
    pub(crate) fn write(&self, to: &Write<'_>) -> anyhow::Result<()> {
        if let Some(file) = to.html {
            write(file, &html::page(self))?;
        }
        match to.json {
            Some(file) if file.as_os_str() == "-" => return print(&json::text(self)),
            Some(file) => write(file, &json::text(self))?,
            None => {}
        }
        print(&table::text(self))
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
