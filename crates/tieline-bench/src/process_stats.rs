//! Memory and CPU time of the server's processes, from `/proc`.
//!
//! Owns the readings at barriers, and the wait for stable memory. Must not know scenarios, nor start
//! processes. Invariant: a process that has ended is a fault, which does not stop the measurement.

use std::{fs, time::Duration};

use nix::{sys::time::TimeValLike, time::ClockId, unistd::Pid};

use crate::{
    clock::{self, MILLISECOND, SECOND},
    coordinator::Barrier,
    outcome::{Faults, ProcessUse},
};

/// Memory is stable when it has not grown for this long.
const STABLE: u64 = 200 * MILLISECOND;
/// The maximum time to wait for stable memory.
const DEADLINE: u64 = 5 * SECOND;
/// `USER_HZ`, which is the same on every architecture of Linux.
const TICKS: u64 = 100;

/// The monitored processes.
#[derive(Debug, Default)]
pub(crate) struct ProcessMonitor {
    processes: Vec<ProcessUse>,
    /// CPU time at the start of the measurement time, in nanoseconds.
    begin: Vec<u64>,
    memory_wait: Option<MemoryWait>,
    faults: Faults,
}

#[derive(Debug)]
struct MemoryWait {
    deadline: u64,
    /// When memory last grew, and to what.
    grew: u64,
    most: u64,
}

impl ProcessMonitor {
    pub(crate) fn new(pids: &[u32]) -> Self {
        let mut monitor = Self::default();
        for pid in pids {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            monitor.processes.push(ProcessUse {
                pid: *pid,
                name: name.trim().to_owned(),
                resident_first: 0,
                resident_open: 0,
                resident_end: 0,
                cpu: 0.0,
            });
        }
        monitor.begin = vec![0; pids.len()];
        monitor
    }

    /// Takes the readings of a barrier; yields whether the load may pass it.
    pub(crate) fn poll_barrier(&mut self, barrier: Barrier) -> bool {
        match barrier {
            Barrier::FirstOpen => self.on_first_open(),
            Barrier::AllOpen => return self.memory_is_stable(),
            Barrier::End => self.on_end(),
            Barrier::Round | Barrier::Sent => {}
        }
        true
    }

    /// The measurement time begins, or ends.
    pub(crate) fn set_measuring(&mut self, active: bool) {
        if active {
            self.begin_measuring();
        } else {
            self.end_measuring();
        }
    }

    /// One connection is open.
    fn on_first_open(&mut self) {
        self.each(|process, bytes| process.resident_first = bytes);
    }

    /// All connections are open; yields whether memory is stable.
    fn memory_is_stable(&mut self) -> bool {
        let now = clock::now();
        self.each(|process, bytes| process.resident_open = bytes);
        let total = self.processes.iter().map(|process| process.resident_open);
        let total = total.sum();
        let memory_wait = self.memory_wait.get_or_insert(MemoryWait {
            deadline: now + DEADLINE,
            grew: now,
            most: total,
        });
        if total > memory_wait.most {
            (memory_wait.most, memory_wait.grew) = (total, now);
        }
        self.processes.is_empty() || now >= memory_wait.grew + STABLE || now >= memory_wait.deadline
    }

    /// The measurement time begins.
    fn begin_measuring(&mut self) {
        for (process, begin) in self.processes.iter().zip(&mut self.begin) {
            *begin = cpu_time(process.pid).unwrap_or_default();
        }
    }

    /// The measurement time, or a part of it, has ended.
    fn end_measuring(&mut self) {
        for (process, begin) in self.processes.iter_mut().zip(&self.begin) {
            let used = cpu_time(process.pid).unwrap_or(*begin);
            process.cpu += Duration::from_nanos(used.saturating_sub(*begin)).as_secs_f64();
        }
    }

    /// The load is over, and connections are still open.
    fn on_end(&mut self) {
        self.each(|process, bytes| process.resident_end = bytes);
    }

    /// The readings, and the processes that could not be read.
    pub(crate) fn finish(self) -> (Vec<ProcessUse>, Faults) {
        (self.processes, self.faults)
    }

    fn each(&mut self, note: impl Fn(&mut ProcessUse, u64)) {
        for process in &mut self.processes {
            if let Some(bytes) = resident(process.pid) {
                note(process, bytes);
            } else {
                let pid = process.pid;
                self.faults.add_example(format!("no process {pid}"));
            }
        }
    }
}

/// Whether the process exists.
pub(crate) fn exists(pid: u32) -> bool {
    resident(pid).is_some()
}

/// Resident memory in bytes.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// CPU time in nanoseconds, including that of threads that have ended.
fn cpu_time(pid: u32) -> Option<u64> {
    clock_of(pid).or_else(|| ticks(pid))
}

/// With the resolution of the scheduler, if the kernel lets others read it.
fn clock_of(pid: u32) -> Option<u64> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let time = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?;
    u64::try_from(time.num_nanoseconds()).ok()
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain spaces; it ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * (SECOND / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_monitored() {
        let mut monitor = ProcessMonitor::new(&[std::process::id()]);
        monitor.on_first_open();
        while !monitor.memory_is_stable() {
            std::thread::yield_now();
        }
        monitor.begin_measuring();
        let until = clock::now() + 20 * MILLISECOND;
        while clock::now() < until {
            std::hint::spin_loop();
        }
        monitor.end_measuring();
        monitor.on_end();
        let (processes, faults) = monitor.finish();
        let used = &processes[0];
        assert!(used.resident_first > 100_000 && used.resident_end > 100_000);
        assert!(used.cpu > 0.0, "{used:?}");
        assert!(!used.name.is_empty());
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn threads_that_have_ended_count() {
        let before = clock_of(std::process::id()).unwrap();
        let thread = std::thread::spawn(|| {
            let begin = clock::now();
            while clock::now() < begin + 20 * MILLISECOND {
                std::hint::spin_loop();
            }
            let used = ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap();
            u64::try_from(used.num_nanoseconds()).unwrap()
        });
        let used = thread.join().unwrap();
        assert!(clock_of(std::process::id()).unwrap() >= before + used);
    }

    #[test]
    fn cpu_time_in_ticks_is_read_too() {
        assert!(ticks(std::process::id()).is_some());
    }

    #[test]
    fn a_process_that_is_gone_is_a_fault() {
        let mut monitor = ProcessMonitor::new(&[u32::MAX]);
        monitor.on_first_open();
        monitor.begin_measuring();
        monitor.end_measuring();
        let (processes, faults) = monitor.finish();
        assert_eq!(processes[0].resident_first, 0);
        assert_eq!(faults.examples.len(), 1);
    }
}
