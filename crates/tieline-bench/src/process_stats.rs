//! What processes of the server use, read from `/proc`.

use std::{fs, time::Duration};

use crate::{
    clock::{self, MILLISECOND, SECOND},
    coordinator::Gate,
    outcome::{Faults, ProcessUse},
};

/// Memory has stopped growing when it has not grown for so long.
const STEADY: u64 = 200 * MILLISECOND;
/// It is not waited for beyond that.
const DEADLINE: u64 = 5 * SECOND;
/// `USER_HZ`, which is the same on every architecture of Linux.
const TICKS: u64 = 100;

/// Processes that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    processes: Vec<ProcessUse>,
    /// Processor time at the beginning of the counted time, in nanoseconds.
    begin: Vec<u64>,
    settling: Option<Settling>,
    faults: Faults,
}

#[derive(Debug)]
struct Settling {
    deadline: u64,
    /// When memory last grew, and to what.
    grew: u64,
    most: u64,
}

impl Watch {
    pub(crate) fn new(pids: &[u32]) -> Self {
        let mut watch = Self::default();
        for pid in pids {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            watch.processes.push(ProcessUse {
                pid: *pid,
                name: name.trim().to_owned(),
                resident_first: 0,
                resident_open: 0,
                resident_end: 0,
                cpu: 0.0,
            });
        }
        watch.begin = vec![0; pids.len()];
        watch
    }

    /// Reads what is of interest at a gate; says whether that may be passed.
    pub(crate) fn pass(&mut self, gate: Gate) -> bool {
        match gate {
            Gate::First => self.first(),
            Gate::Open => return self.settle(),
            Gate::End => self.end(),
            Gate::Round | Gate::Sent => {}
        }
        true
    }

    /// The counted time begins, or ends.
    pub(crate) fn counting(&mut self, begins: bool) {
        if begins {
            self.count();
        } else {
            self.counted();
        }
    }

    /// One connection is open.
    fn first(&mut self) {
        self.each(|process, bytes| process.resident_first = bytes);
    }

    /// All connections are open; says whether memory has stopped growing.
    fn settle(&mut self) -> bool {
        let now = clock::now();
        self.each(|process, bytes| process.resident_open = bytes);
        let total = self.processes.iter().map(|process| process.resident_open);
        let total = total.sum();
        let settling = self.settling.get_or_insert(Settling {
            deadline: now + DEADLINE,
            grew: now,
            most: total,
        });
        if total > settling.most {
            (settling.most, settling.grew) = (total, now);
        }
        self.processes.is_empty() || now >= settling.grew + STEADY || now >= settling.deadline
    }

    /// The counted time begins.
    fn count(&mut self) {
        for (process, begin) in self.processes.iter().zip(&mut self.begin) {
            *begin = processor(process.pid).unwrap_or_default();
        }
    }

    /// The counted time has ended, or a part of it.
    fn counted(&mut self) {
        for (process, begin) in self.processes.iter_mut().zip(&self.begin) {
            let used = processor(process.pid).unwrap_or(*begin);
            process.cpu += Duration::from_nanos(used.saturating_sub(*begin)).as_secs_f64();
        }
    }

    /// It is over, and connections are still open.
    fn end(&mut self) {
        self.each(|process, bytes| process.resident_end = bytes);
    }

    /// What they used, and which could not be watched.
    pub(crate) fn finish(self) -> (Vec<ProcessUse>, Faults) {
        (self.processes, self.faults)
    }

    fn each(&mut self, note: impl Fn(&mut ProcessUse, u64)) {
        for process in &mut self.processes {
            if let Some(bytes) = resident(process.pid) {
                note(process, bytes);
            } else {
                let pid = process.pid;
                self.faults.tell(format!("there is no process {pid}"));
            }
        }
    }
}

/// Whether there is something to watch.
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

/// Processor time of all threads in nanoseconds.
fn processor(pid: u32) -> Option<u64> {
    threads(pid).or_else(|| ticks(pid))
}

/// To the nanosecond, where the kernel counts it; without threads that have ended.
fn threads(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = 0;
    for task in tasks {
        let path = task.ok()?.path().join("schedstat");
        // A thread may end while it is looked at.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        sum += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    (sum > 0).then_some(sum)
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces, and ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * (SECOND / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_watched() {
        let mut watch = Watch::new(&[std::process::id()]);
        watch.first();
        while !watch.settle() {
            std::thread::yield_now();
        }
        watch.count();
        let until = clock::now() + 20 * MILLISECOND;
        while clock::now() < until {
            std::hint::spin_loop();
        }
        watch.counted();
        watch.end();
        let (processes, faults) = watch.finish();
        let used = &processes[0];
        assert!(used.resident_first > 100_000 && used.resident_end > 100_000);
        assert!(used.cpu > 0.0, "{used:?}");
        assert!(!used.name.is_empty());
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn time_is_counted_in_ticks_too() {
        assert!(ticks(std::process::id()).is_some());
    }

    #[test]
    fn a_process_that_is_gone_is_a_fault() {
        let mut watch = Watch::new(&[u32::MAX]);
        watch.first();
        watch.count();
        watch.counted();
        let (processes, faults) = watch.finish();
        assert_eq!(processes[0].resident_first, 0);
        assert_eq!(faults.examples.len(), 1);
    }
}
