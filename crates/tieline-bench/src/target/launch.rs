//! The first moment of a started process, before it becomes the program that was asked for.
//!
//! What is to hold for that program from its beginning is done here, in the process itself: its
//! processor, its descriptor limit, that it ends with its parent, even where that one is killed, and a process
//! group, by which whatever it starts can be ended with it.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, exit},
};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setpgid, setrlimit};

/// Exit code of a program that could not be started, as shells use it.
const NOT_STARTED: i32 = 127;

/// What this program is called with to become another.
pub(super) fn arguments(words: Vec<String>, cpu: Option<usize>) -> Vec<String> {
    let mut arguments = vec!["bench".to_owned(), "launch".to_owned()];
    arguments.extend(cpu.map(|cpu| format!("--cpu={cpu}")));
    arguments.push("--".to_owned());
    arguments.extend(words);
    arguments
}

/// Becomes another program. Returns only where that fails.
pub(crate) fn become_program(words: &[OsString], cpu: Option<usize>) -> anyhow::Result<()> {
    let (program, arguments) = words
        .split_first()
        .context("there is no program to start")?;
    setpgid(None, None).context("cannot form a process group")?;
    end_with_parent()?;
    // As many as may be: the server's own limit is not what is measured.
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the descriptor limit")?;
    if let Some(cpu) = cpu {
        pin(cpu)?;
    }
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

#[cfg(target_os = "linux")]
fn pin(cpu: usize) -> anyhow::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};

    anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no processor {cpu}");
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on processor {cpu}"))
}

#[cfg(not(target_os = "linux"))]
fn pin(cpu: usize) -> anyhow::Result<()> {
    anyhow::bail!("cannot run on processor {cpu}: only Linux lets a process choose")
}
