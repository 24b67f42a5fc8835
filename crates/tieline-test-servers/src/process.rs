//! Signals to a process.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

/// Stops a process with SIGSTOP and waits until each of its threads has stopped: a busy thread runs
/// on for a moment, and could answer a request meanwhile.
pub fn stop(process: &Child) {
    kill_process(Pid::from_child(process), Signal::STOP).unwrap();
    let threads = format!("/proc/{}/task", process.id());
    let has_stopped = |stat: &str| {
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        matches!(state, Some('T' | 'Z' | 'X') | None)
    };
    loop {
        let mut threads = std::fs::read_dir(&threads).unwrap().flatten();
        if threads.all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat"));
            stat.is_ok_and(|stat| has_stopped(&stat))
        }) {
            return;
        }
        std::thread::yield_now();
    }
}
