//! The events of one connection, which are handled one after the other, beside its callbacks.
//!
//! Owns their order, and how many wait. Must not know what an event is: it runs futures. Invariants: at most
//! one runs at a time, in the order of the pushes; the queue and its task exist only while something waits
//! or runs.

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
pub(crate) struct EventQueue(Mutex<Option<Box<Waiting>>>);

#[derive(Default)]
struct Waiting {
    /// Each with the bytes of its event.
    jobs: VecDeque<(usize, Job)>,
    bytes: usize,
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
        let mut slot = self.0.lock();
        let is_idle = slot.is_none();
        let waiting = slot.get_or_insert_default();
        waiting.jobs.push_back((bytes, job));
        waiting.bytes += bytes;
        drop(slot);
        if is_idle {
            tasks.spawn(Arc::clone(self).run());
        }
    }

    fn full(&self) -> Option<Arc<Notify>> {
        let slot = self.0.lock();
        let Waiting { jobs, bytes, room } = &**slot.as_ref()?;
        let is_full = jobs.len() >= MAX_WAITING || *bytes >= MAX_WAITING_BYTES;
        is_full.then(|| Arc::clone(room))
    }

    async fn run(self: Arc<Self>) {
        while let Some(job) = self.next() {
            job.await;
        }
    }

    /// The next job. Without one, the queue is given up, and the next push starts another task.
    fn next(&self) -> Option<Job> {
        let mut slot = self.0.lock();
        let waiting = slot.as_mut()?;
        let Some((bytes, job)) = waiting.jobs.pop_front() else {
            *slot = None;
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
            while scene
                .queue
                .0
                .lock()
                .as_ref()
                .is_some_and(|w| !w.jobs.is_empty())
            {
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
        assert!(scene.queue.0.lock().is_none(), "an idle queue is given up");
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
