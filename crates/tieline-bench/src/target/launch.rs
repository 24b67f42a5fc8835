//! The setup of a started process, before it executes its program.
//!
//! Runs in that process, so that the settings hold from the start: its CPUs, its descriptor limit, a signal
//! when its parent dies, even if that is killed, and a process group, so that its children end with it.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, exit},
};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setpgid, setrlimit};

use crate::affinity::CpuList;

/// Exit code of a program that could not be started, as shells use it.
const NOT_STARTED: i32 = 127;

/// The arguments of this program to execute another one.
pub(super) fn arguments(words: Vec<String>, cpu: Option<&CpuList>) -> Vec<String> {
    let mut arguments = vec!["bench".to_owned(), "launch".to_owned()];
    arguments.extend(cpu.map(|cpu| format!("--cpu={cpu}")));
    arguments.push("--".to_owned());
    arguments.extend(words);
    arguments
}

/// Executes another program in this process. Returns only if that fails.
pub(crate) fn execute(words: &[OsString], cpu: Option<&CpuList>) -> anyhow::Result<()> {
    let (program, arguments) = words.split_first().context("no program to start")?;
    setpgid(None, None).context("cannot form a process group")?;
    end_with_parent()?;
    // The maximum, so that the limit does not bound the measurement.
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the descriptor limit")?;
    cpu.map_or(Ok(()), CpuList::pin)?;
    let error = Command::new(program).args(arguments).exec();
    eprintln!("cannot run {}: {error}", program.display());
    exit(NOT_STARTED)
}

#[cfg(target_os = "linux")]
fn end_with_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};

    Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> anyhow::Result<()> {
    Ok(())
}
