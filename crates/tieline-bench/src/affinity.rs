//! Pins a thread to one CPU.
//!
//! Owns the affinity of the thread that runs a load, and restores it afterwards. Started servers are
//! pinned elsewhere, in `target::launch`.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins the thread to one CPU as long as this value lives, then restores its affinity, so that later
/// children do not inherit the pin.
#[derive(Debug)]
pub(crate) struct PinnedThread(CpuSet);

impl PinnedThread {
    pub(crate) fn pin(cpu: usize) -> anyhow::Result<Self> {
        ensure!(cpu < CpuSet::MAX_CPU, "no CPU {cpu}; the first is 0");
        let before = sched_getaffinity(None)?;
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        sched_setaffinity(None, &cpus)
            .with_context(|| format!("cannot run on CPU {cpu}; the first is 0"))?;
        Ok(Self(before))
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

    #[test]
    fn a_thread_is_pinned_and_released() {
        let before = sched_getaffinity(None).unwrap();
        let cpu = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu));
        let pin = PinnedThread::pin(cpu.unwrap()).unwrap();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(pin);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        assert!(PinnedThread::pin(usize::MAX).is_err());
        assert!(PinnedThread::pin(CpuSet::MAX_CPU - 1).is_err());
    }
}
