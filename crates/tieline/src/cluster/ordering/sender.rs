//! Who makes a call.

use std::thread::{self, ThreadId};

use tokio::task;

/// Whose calls keep their order: a task. Outside of tasks, such as in a plain thread or in the future of
/// `block_on`, it is the thread. What `on_outcome` runs belongs to the task that decides the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::cluster) enum SenderId {
    Task(task::Id),
    Thread(ThreadId),
}

impl SenderId {
    pub(in crate::cluster) fn current() -> Self {
        match task::try_id() {
            Some(id) => Self::Task(id),
            None => Self::Thread(thread::current().id()),
        }
    }
}
