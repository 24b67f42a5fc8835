//! Binds a load to one processor.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// This thread runs on one processor as long as this lives; then where it ran before, so that what is
/// started later is not bound as well.
#[derive(Debug)]
pub(crate) struct Pin(CpuSet);

impl Pin {
    pub(crate) fn to(cpu: usize) -> anyhow::Result<Self> {
        ensure!(
            cpu < CpuSet::MAX_CPU,
            "there is no processor {cpu}; the first is 0"
        );
        let before = sched_getaffinity(None)?;
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        sched_setaffinity(None, &cpus)
            .with_context(|| format!("cannot run on processor {cpu}; the first is 0"))?;
        Ok(Self(before))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // Where it ran before it may run again.
        let _ = sched_setaffinity(None, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_bound_and_let_go() {
        let before = sched_getaffinity(None).unwrap();
        let cpu = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu));
        let pin = Pin::to(cpu.unwrap()).unwrap();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(pin);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        assert!(Pin::to(usize::MAX).is_err());
        assert!(Pin::to(CpuSet::MAX_CPU - 1).is_err());
    }
}
