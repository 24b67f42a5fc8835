//! How long something took, without the time in which the machine had no processor for it.
//!
//! Owns the difference between a slow program and a busy machine. Invariant: what is measured is at
//! most the wall time, and equal to it on an idle machine, so that the bound of a test is the time
//! that the program promises, and needs no room for other programs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process,
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// Measures what a test waits for. Without Linux it measures the wall time.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    begun: Instant,
    threads: Threads,
    /// How long each thread had waited for a processor at the beginning.
    waited: HashMap<PathBuf, Duration>,
}

/// The threads that take part in what is measured.
#[derive(Debug, Clone)]
enum Threads {
    /// One of this process, and all threads of other processes.
    One(ThreadId, Vec<u32>),
    /// All of this process.
    All,
}

impl Stopwatch {
    /// Starts to measure what runs on this thread: clients, nodes, registries in memory.
    pub fn start() -> Self {
        Self::with([])
    }

    /// Starts to measure what runs on this thread and what these processes do for it.
    pub fn with(processes: impl IntoIterator<Item = u32>) -> Self {
        let processes = processes.into_iter().collect();
        Self::of(Threads::One(thread::current().id(), processes))
    }

    /// Starts to measure what runs on several threads of this process.
    pub fn start_threads() -> Self {
        Self::of(Threads::All)
    }

    fn of(threads: Threads) -> Self {
        Self {
            waited: threads.waited(),
            threads,
            begun: Instant::now(),
        }
    }

    /// The time since the start, less the times in which a thread could have run and had no
    /// processor. Where only one thread takes part, it must be the one that asks.
    pub fn elapsed(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        let waited = self.threads.waited().into_iter();
        let waited = waited.map(|(thread, waited)| {
            let before = self.waited.get(&thread).copied().unwrap_or_default();
            waited.saturating_sub(before)
        });
        elapsed.saturating_sub(waited.sum())
    }
}

impl Threads {
    fn waited(&self) -> HashMap<PathBuf, Duration> {
        let (one, processes) = match self {
            Self::One(thread, processes) => {
                let is_same = *thread == thread::current().id();
                assert!(is_same, "what several threads do is measured otherwise");
                (Some("/proc/thread-self".into()), processes.clone())
            }
            Self::All => (None, vec![process::id()]),
        };
        let of_processes = processes.into_iter().flat_map(|process| {
            // It may have ended.
            let threads = fs::read_dir(format!("/proc/{process}/task"));
            let threads = threads.into_iter().flatten().flatten();
            threads.map(|thread| thread.path())
        });
        let threads = one.into_iter().chain(of_processes);
        threads
            .map(|thread| {
                let waited = run_delay(&thread);
                (thread, waited)
            })
            .collect()
    }
}

/// The second of the three numbers is the time spent runnable without running, in nanoseconds.
fn run_delay(thread: &Path) -> Duration {
    let numbers = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let delay = numbers.split_whitespace().nth(1);
    Duration::from_nanos(delay.and_then(|delay| delay.parse().ok()).unwrap_or(0))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        hint::spin_loop,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    const TIME: Duration = Duration::from_millis(300);

    /// How long this thread has run.
    fn has_run() -> Duration {
        let numbers = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let run = numbers.split_whitespace().next().unwrap();
        Duration::from_nanos(run.parse().unwrap())
    }

    #[test]
    fn a_pause_counts_and_a_wait_for_a_processor_does_not() {
        let stop = AtomicBool::new(false);
        let others = 4 * thread::available_parallelism().unwrap().get();
        thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        spin_loop();
                    }
                });
            }
            let (begun, watch, before) = (Instant::now(), Stopwatch::start(), has_run());
            while has_run() - before < TIME {
                spin_loop();
            }
            let (measured, took) = (watch.elapsed(), begun.elapsed());
            thread::sleep(TIME);
            let with_pause = watch.elapsed();
            stop.store(true, Ordering::Relaxed);
            assert!(took > TIME * 2, "the processors were busy: {took:?}");
            assert!(
                measured >= TIME && measured < TIME * 11 / 10,
                "{measured:?}"
            );
            assert!(with_pause >= measured + TIME, "{with_pause:?}");
            assert!(with_pause < measured + TIME * 11 / 10, "{with_pause:?}");
        });
    }
}
