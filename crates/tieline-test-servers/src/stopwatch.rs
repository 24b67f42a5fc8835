//! How long something took, without the time in which the machine had no processor for it.
//!
//! Owns the difference between a slow program and a busy machine. Invariant: what is measured is at
//! most the wall time, and equal to it on an idle machine, so that the bound of a test is the time
//! that the program promises, and needs no room for other programs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    pin::pin,
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

/// The threads that take part in what is measured, with the processes that they started.
#[derive(Debug, Clone, Copy)]
enum Threads {
    One(ThreadId),
    All,
}

impl Stopwatch {
    /// Starts to measure what this thread does, and the processes that it starts: clients, nodes,
    /// registries.
    pub fn start() -> Self {
        Self::of(Threads::One(thread::current().id()))
    }

    /// Starts to measure what several threads of this process do. Those of other tests count too.
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
        elapsed.saturating_sub(self.waited())
    }

    /// How much of the time since the start the machine took: nothing on an idle one.
    pub fn delayed(&self) -> Duration {
        self.waited().min(self.begun.elapsed())
    }

    /// Whether this time has passed only because the machine was busy.
    pub fn has_lost(&self, time: Duration) -> bool {
        self.begun.elapsed() >= time && self.elapsed() < time
    }

    /// What a future returns, unless it takes longer than this.
    pub async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let left = limit.saturating_sub(self.elapsed());
            if left.is_zero() {
                return None;
            }
            if let Ok(result) = tokio::time::timeout(left, &mut future).await {
                return Some(result);
            }
        }
    }

    fn waited(&self) -> Duration {
        let waited = self.threads.waited().into_iter();
        let waited = waited.map(|(thread, waited)| {
            let before = self.waited.get(&thread).copied().unwrap_or_default();
            waited.saturating_sub(before)
        });
        waited.sum()
    }
}

impl Threads {
    fn waited(self) -> HashMap<PathBuf, Duration> {
        let mut waited = HashMap::new();
        match self {
            Self::One(thread) => {
                let is_same = thread == thread::current().id();
                assert!(is_same, "what several threads do is measured otherwise");
                add(Path::new("/proc/thread-self"), &mut waited);
            }
            Self::All => add_process("self", &mut waited),
        }
        waited
    }
}

/// Adds a thread, and the processes that it started.
fn add(thread: &Path, waited: &mut HashMap<PathBuf, Duration>) {
    let read = |name| fs::read_to_string(thread.join(name)).unwrap_or_default();
    // The second of the three numbers is the time spent runnable without running, in nanoseconds.
    let numbers = read("schedstat");
    let delay = numbers.split_whitespace().nth(1);
    let delay = delay.and_then(|delay| delay.parse().ok()).unwrap_or(0);
    waited.insert(thread.to_owned(), Duration::from_nanos(delay));
    for process in read("children").split_whitespace() {
        add_process(process, waited);
    }
}

fn add_process(process: &str, waited: &mut HashMap<PathBuf, Duration>) {
    // It may have ended.
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        add(&thread.path(), waited);
    }
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

    /// Whether this is the time, to a tenth of it: the kernel brings the times of a running thread up
    /// to date with its clock tick only, and the clock is not read at the same moment as they are.
    fn is_about(time: Duration, measured: Duration) -> bool {
        measured.abs_diff(time) < time / 10
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
            let (begun, watch) = (Instant::now(), Stopwatch::start());
            let enough = has_run() + TIME;
            while has_run() < enough {
                spin_loop();
            }
            let (measured, took) = (watch.elapsed(), begun.elapsed());
            let pause = Instant::now();
            while pause.elapsed() < TIME {
                thread::park_timeout(TIME);
            }
            let with_pause = watch.elapsed();
            stop.store(true, Ordering::Relaxed);
            assert!(took > TIME * 2, "the processors were busy: {took:?}");
            assert!(is_about(TIME, measured), "{measured:?}");
            let paused = with_pause.saturating_sub(measured);
            assert!(is_about(TIME, paused), "{paused:?}");
        });
    }
}
