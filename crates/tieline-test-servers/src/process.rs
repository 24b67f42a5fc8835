//! Signals to a process.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

/// Stops a process, and waits until each of its threads stands still: a busy one goes on for a moment,
/// and may answer what it is asked meanwhile.
pub fn stop(process: &Child) {
    kill_process(Pid::from_child(process), Signal::STOP).unwrap();
    let threads = format!("/proc/{}/task", process.id());
    let stands = |stat: &str| {
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
            stat.is_ok_and(|stat| stands(&stat))
        }) {
            return;
        }
        std::thread::yield_now();
    }
}
