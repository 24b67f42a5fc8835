//! Corks: one flush per connection and poll.
//!
//! Owns the list of connections that the poll now running on this thread has queued frames for. A task that
//! reads from a socket or a link puts in a cork for each of its polls; when the poll returns, ready or
//! pending, each listed connection is flushed once. So sixteen small messages cost one system call, nothing
//! moves to another thread, and nothing waits longer than the poll. The application can cork its own sends.
//! When the poll ends, the `tick` forgets on which runtime it ran.

use std::{
    cell::RefCell,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{inner::ConnectionInner, tick};

/// Entries of the list that a thread keeps between corks: 8 KiB.
const KEPT_CAPACITY: usize = 1024;

thread_local! {
    /// `None` outside a cork.
    static CORKED: RefCell<Option<Vec<Arc<ConnectionInner>>>> = const { RefCell::new(None) };
    static SPARE: RefCell<Vec<Arc<ConnectionInner>>> = const { RefCell::new(Vec::new()) };
}

/// Holds back what is sent on this thread as long as it lives; see [`Hub::cork`](crate::Hub::cork). A cork
/// inside another does nothing.
#[derive(Debug)]
#[must_use = "what is sent leaves when it is dropped"]
pub struct Cork {
    outermost: bool,
    /// Neither `Send` nor `Sync`: a task that held it across an `await` could go on on another thread, and
    /// others would run on this one, corked.
    _of_this_thread: PhantomData<*const ()>,
}

impl Cork {
    pub(crate) fn new() -> Self {
        let outermost = CORKED.with_borrow_mut(|corked| {
            let outermost = corked.is_none();
            if outermost {
                *corked = Some(SPARE.take());
            }
            outermost
        });
        Self {
            outermost,
            _of_this_thread: PhantomData,
        }
    }

    /// Lists a connection for the end of the cork; false if this thread is not corked. One that is added
    /// several times in a row is listed once; if it is listed twice, its second flush finds nothing to do.
    pub(super) fn add(conn: &Arc<ConnectionInner>) -> bool {
        CORKED.with_borrow_mut(|corked| {
            let Some(list) = corked else {
                return false;
            };
            if list.last().is_some_and(|last| Arc::ptr_eq(last, conn)) {
                return true;
            }
            if list.len() >= KEPT_CAPACITY && list.len() == list.capacity() {
                // Before it grows: a cork of the application may last for many rounds of the same clients.
                list.sort_unstable_by_key(Arc::as_ptr);
                list.dedup_by(|a, b| Arc::ptr_eq(a, b));
            }
            list.push(Arc::clone(conn));
            true
        })
    }
}

impl Drop for Cork {
    fn drop(&mut self) {
        if !self.outermost {
            return;
        }
        tick::set_runtime(None);
        let mut list = CORKED.take().unwrap_or_default();
        for conn in list.drain(..) {
            conn.flush();
        }
        list.shrink_to(KEPT_CAPACITY);
        SPARE.set(list);
    }
}

pin_project! {
    /// A task with a cork in each of its polls.
    pub(crate) struct Corked<F> {
        #[pin]
        task: F,
    }
}

impl<F> Corked<F> {
    pub(crate) fn new(task: F) -> Self {
        Self { task }
    }
}

impl<F: Future> Future for Corked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _cork = Cork::new();
        self.project().task.poll(cx)
    }
}
