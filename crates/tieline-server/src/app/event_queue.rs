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

/// The handling of one event.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queue of one connection.
#[derive(Default)]
pub(crate) struct EventQueue(Mutex<Option<Box<Waiting>>>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Notified when a job was taken.
    room: Arc<Notify>,
}

impl EventQueue {
    /// Adds a job, once there is room. Must not be called twice at a time for one queue, which its
    /// connection's callbacks do not.
    pub(crate) async fn push(self: &Arc<Self>, tasks: &TaskTracker, job: Job) {
        while let Some(room) = self.full() {
            room.notified().await;
        }
        self.push_now(tasks, job);
    }

    /// Adds a job even if the queue is full: for the few that no client can repeat at will.
    pub(crate) fn push_now(self: &Arc<Self>, tasks: &TaskTracker, job: Job) {
        let mut slot = self.0.lock();
        let is_idle = slot.is_none();
        slot.get_or_insert_default().jobs.push_back(job);
        drop(slot);
        if is_idle {
            tasks.spawn(Arc::clone(self).run());
        }
    }

    fn full(&self) -> Option<Arc<Notify>> {
        let slot = self.0.lock();
        let waiting = slot.as_ref()?;
        (waiting.jobs.len() >= MAX_WAITING).then(|| Arc::clone(&waiting.room))
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
        let job = waiting.jobs.pop_front();
        match &job {
            Some(_) => waiting.room.notify_one(),
            None => *slot = None,
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn jobs_run_in_order_and_more_than_the_bound_wait() {
        let (queue, tasks) = (Arc::new(EventQueue::default()), TaskTracker::new());
        let (handled, mut seen) = mpsc::channel(1_000);
        let gate = Arc::new(Semaphore::new(0));
        let job = |n: usize| -> Job {
            let (handled, gate) = (handled.clone(), Arc::clone(&gate));
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                handled.send(n).await.unwrap();
            })
        };
        queue.push(&tasks, job(0)).await;
        // Taken by the task.
        while queue.0.lock().as_ref().is_some_and(|w| !w.jobs.is_empty()) {
            tokio::task::yield_now().await;
        }
        for n in 1..=MAX_WAITING {
            queue.push(&tasks, job(n)).await;
        }
        let mut late = Box::pin(queue.push(&tasks, job(MAX_WAITING + 1)));
        assert!(poll!(&mut late).is_pending(), "full");
        gate.add_permits(1);
        late.await;
        gate.add_permits(MAX_WAITING + 1);
        for n in 0..=MAX_WAITING + 1 {
            assert_eq!(seen.recv().await, Some(n));
        }
        tasks.close();
        tasks.wait().await;
        assert!(queue.0.lock().is_none(), "an idle queue is given up");
    }
}
