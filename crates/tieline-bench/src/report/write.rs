//! Writes results to standard output and to files.
//!
//! Must not know how a format is made. Invariant: an error at one output does not keep the results from
//! the others.

use std::io::{self, Write as _};

use anyhow::{Context, bail};

use super::{html, json, output_files::OutputFiles, results::Results, table};

/// Prints the table, or JSON instead; then writes each file, even if another one fails.
pub(crate) fn write(results: &Results, mut files: OutputFiles) -> anyhow::Result<()> {
    let printed = if files.print_json {
        print(&json::text(results))
    } else {
        print(&table::text(results))
    };
    let json = files
        .json
        .as_mut()
        .map(|file| file.write(&json::text(results)));
    let html = files
        .html
        .as_mut()
        .map(|file| file.write(&html::page(results)));
    let failed = [Some(printed), json, html].into_iter().flatten();
    let failed = failed.filter_map(|written| Some(format!("{:#}", written.err()?)));
    let failed: Vec<_> = failed.collect();
    match failed.as_slice() {
        [] => Ok(()),
        _ => bail!("{}", failed.join("; ")),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.context("cannot write to standard output")
}
