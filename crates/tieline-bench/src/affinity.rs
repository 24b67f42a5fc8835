//! Pins a thread to CPUs.
//!
//! Owns lists of CPUs, and the affinity of the thread that runs a load, which it restores afterwards.
//! Started servers pin themselves to their list in `target::launch`.

use std::{fmt, str::FromStr};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// CPUs by number, from 0; not empty. Written as `0`, `0,2` or `0-3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// Pins the calling thread, and those that it starts later.
    pub(crate) fn pin(&self) -> anyhow::Result<()> {
        let mut cpus = CpuSet::new();
        self.0.iter().for_each(|cpu| cpus.set(*cpu));
        let pinned = sched_setaffinity(None, &cpus);
        pinned.with_context(|| format!("cannot run on CPU {self}; the first is 0"))?;
        // The kernel drops CPUs that do not exist, if another one does.
        let found = sched_getaffinity(None)?;
        let missing = self.0.iter().find(|cpu| !found.is_set(**cpu));
        ensure!(
            missing.is_none(),
            "cannot run on CPU {self}: not all of them are available"
        );
        Ok(())
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "write CPU numbers below {}, such as 0 or 0,2 or 0-3",
                CpuSet::MAX_CPU
            )
        };
        let number = |text: &str| {
            let number: Option<usize> = text.trim().parse().ok();
            number.filter(|cpu| *cpu < CpuSet::MAX_CPU)
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
                _ => return Err(refuse()),
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&cpus.join(","))
    }
}

impl From<CpuList> for String {
    fn from(cpus: CpuList) -> Self {
        cpus.to_string()
    }
}

impl TryFrom<String> for CpuList {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Pins the thread as long as this value lives, then restores its affinity, so that later children do
/// not inherit the pin.
#[derive(Debug)]
pub(crate) struct PinnedThread(CpuSet);

impl PinnedThread {
    pub(crate) fn pin(cpus: &CpuList) -> anyhow::Result<Self> {
        // Restored even if the pin fails half-way.
        let before = Self(sched_getaffinity(None)?);
        cpus.pin()?;
        Ok(before)
    }
}

impl Drop for PinnedThread {
    fn drop(&mut self) {
        // Restoring a former affinity cannot fail.
        let _ = sched_setaffinity(None, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CpuList {
        text.parse().unwrap()
    }

    #[test]
    fn a_thread_is_pinned_and_released() {
        let before = sched_getaffinity(None).unwrap();
        let available = (0..CpuSet::MAX_CPU).filter(|cpu| before.is_set(*cpu));
        let available = CpuList(available.collect());
        let first = CpuList(available.0[..1].to_vec());
        let pin = PinnedThread::pin(&first).unwrap();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(pin);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        drop(PinnedThread::pin(&available).unwrap());
        assert!(PinnedThread::pin(&list("1023")).is_err());
        let half = list(&format!("{first},1023"));
        assert!(PinnedThread::pin(&half).is_err());
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn lists_have_numbers_and_ranges() {
        for (text, cpus) in [
            ("3", "3"),
            ("0,2", "0,2"),
            ("0-3", "0,1,2,3"),
            ("5,0-1,1", "0,1,5"),
        ] {
            assert_eq!(list(text).to_string(), cpus);
        }
        for text in ["", "a", "-1", "0,", "3-1", "0-", "1024", "0-99999999999"] {
            let why = text.parse::<CpuList>().unwrap_err();
            assert!(why.contains("0-3"), "{text}");
        }
    }
}
