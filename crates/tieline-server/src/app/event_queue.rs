//! The events of one connection, which are handled one after the other, beside its callbacks.
//!
//! Owns their order, and how many wait. Must not know what an event is: it runs futures. Invariants: at most
//! one runs at a time, in the order of the pushes, and none after the last; the list and its task exist only while
//! something waits or runs.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// Most events of a connection that wait. Then its client is not read until one is handled.
const MAX_WAITING: usize = 64;

/// The same for their bytes. At least one event may wait, however long it is.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// The handling of one event.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queue of one connection.
#[derive(Default)]
pub(crate) struct EventQueue(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nothing waits or runs.
    #[default]
    Idle,
    Busy(Box<Waiting>),
    /// The last event was handled.
    Ended,
}

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Taken,
    /// As many wait as may.
    Full,
    /// It came after the last one.
    Ended,
}

#[derive(Default)]
struct Waiting {
    /// Each with the bytes of its event.
    jobs: VecDeque<(usize, Job)>,
    bytes: usize,
    /// Whether the last of these is the last of all.
    ends: bool,
    /// Notified when a job was taken.
    room: Arc<Notify>,
}

impl EventQueue {
    /// Waits until there is room for another event. Must not be called twice at a time for one queue, which the
    /// callbacks of its connection do not.
    pub(crate) async fn room(&self) {
        while let Some(room) = self.full() {
            room.notified().await;
        }
    }

    /// Adds a job for an event of so many bytes, full or not. What a client can repeat at will waits for
    /// [`room`](Self::room) first.
    pub(crate) fn push(self: &Arc<Self>, tasks: &TaskTracker, bytes: usize, job: Job) {
        self.add(tasks, bytes, job, false);
    }

    /// Adds the last job.
    pub(crate) fn push_last(self: &Arc<Self>, tasks: &TaskTracker, job: Job) {
        self.add(tasks, 0, job, true);
    }

    /// Adds a job if there is room.
    pub(crate) fn offer(self: &Arc<Self>, tasks: &TaskTracker, bytes: usize, job: Job) -> Offered {
        if self.full().is_some() {
            return Offered::Full;
        }
        self.add(tasks, bytes, job, false)
    }

    fn add(self: &Arc<Self>, tasks: &TaskTracker, bytes: usize, job: Job, ends: bool) -> Offered {
        let mut state = self.0.lock();
        let is_idle = matches!(*state, State::Idle);
        if is_idle {
            *state = State::Busy(Box::default());
        }
        let State::Busy(waiting) = &mut *state else {
            return Offered::Ended;
        };
        if waiting.ends {
            return Offered::Ended;
        }
        waiting.jobs.push_back((bytes, job));
        waiting.bytes += bytes;
        waiting.ends = ends;
        drop(state);
        if is_idle {
            tasks.spawn(Arc::clone(self).run());
        }
        Offered::Taken
    }

    fn full(&self) -> Option<Arc<Notify>> {
        let state = self.0.lock();
        let State::Busy(waiting) = &*state else {
            return None;
        };
        let is_full = waiting.jobs.len() >= MAX_WAITING || waiting.bytes >= MAX_WAITING_BYTES;
        is_full.then(|| Arc::clone(&waiting.room))
    }

    async fn run(self: Arc<Self>) {
        while let Some(job) = self.next() {
            job.await;
        }
    }

    /// The next job. Without one, the list is given up, and the next push starts another task.
    fn next(&self) -> Option<Job> {
        let mut state = self.0.lock();
        let State::Busy(waiting) = &mut *state else {
            return None;
        };
        let Some((bytes, job)) = waiting.jobs.pop_front() else {
            *state = if waiting.ends {
                State::Ended
            } else {
                State::Idle
            };
            return None;
        };
        waiting.bytes -= bytes;
        waiting.room.notify_one();
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    /// A queue whose jobs wait for the gate, and say that they ran.
    struct Scene {
        queue: Arc<EventQueue>,
        tasks: TaskTracker,
        gate: Arc<Semaphore>,
        handled: mpsc::Sender<usize>,
        seen: mpsc::Receiver<usize>,
    }

    impl Scene {
        /// One job runs.
        async fn start() -> Self {
            let (handled, seen) = mpsc::channel(1_000);
            let scene = Self {
                queue: Arc::default(),
                tasks: TaskTracker::new(),
                gate: Arc::new(Semaphore::new(0)),
                handled,
                seen,
            };
            scene.push(0, 1);
            let waits = || matches!(&*scene.queue.0.lock(), State::Busy(waiting) if !waiting.jobs.is_empty());
            while waits() {
                tokio::task::yield_now().await;
            }
            scene
        }

        fn push(&self, n: usize, bytes: usize) {
            let (handled, gate) = (self.handled.clone(), Arc::clone(&self.gate));
            let job = async move {
                gate.acquire().await.unwrap().forget();
                handled.send(n).await.unwrap();
            };
            self.queue.push(&self.tasks, bytes, Box::pin(job));
        }
    }

    #[tokio::test]
    async fn jobs_run_in_order_and_more_than_the_bound_wait() {
        let mut scene = Scene::start().await;
        for n in 1..=MAX_WAITING {
            scene.queue.room().await;
            scene.push(n, 1);
        }
        let mut room = Box::pin(scene.queue.room());
        assert!(poll!(&mut room).is_pending(), "full");
        scene.gate.add_permits(1);
        room.await;
        scene.gate.add_permits(MAX_WAITING);
        for n in 0..=MAX_WAITING {
            assert_eq!(scene.seen.recv().await, Some(n));
        }
        scene.tasks.close();
        scene.tasks.wait().await;
        let is_idle = matches!(*scene.queue.0.lock(), State::Idle);
        assert!(is_idle, "an idle queue is given up");
    }

    #[tokio::test]
    async fn what_is_offered_is_bounded_and_nothing_follows_the_last_event() {
        let mut scene = Scene::start().await;
        let (queue, tasks) = (Arc::clone(&scene.queue), scene.tasks.clone());
        let offer = || queue.offer(&tasks, 1, Box::pin(async {}));
        for _ in 0..MAX_WAITING {
            assert_eq!(offer(), Offered::Taken);
        }
        assert_eq!(offer(), Offered::Full);
        let handled = scene.handled.clone();
        let last = async move { handled.send(1).await.unwrap() };
        queue.push_last(&tasks, Box::pin(last));
        scene.gate.add_permits(1);
        assert_eq!(scene.seen.recv().await, Some(0));
        assert_eq!(scene.seen.recv().await, Some(1), "the last is handled too");
        assert_eq!(offer(), Offered::Ended);
        tasks.close();
        tasks.wait().await;
        assert_eq!(offer(), Offered::Ended);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_but_one_event_always_fits() {
        let scene = Scene::start().await;
        scene.queue.room().await;
        scene.push(1, 2 * MAX_WAITING_BYTES);
        let mut room = Box::pin(scene.queue.room());
        assert!(poll!(&mut room).is_pending(), "full");
        scene.gate.add_permits(1);
        room.await;
        scene.queue.room().await;
    }
}
