//! Turns: one flush per touched connection and poll.
//!
//! Owns the list of connections that the poll now running on this thread has queued frames for. A
//! task that reads from a socket or a link enters a turn for each of its polls; when the poll returns,
//! ready or pending, each touched connection is flushed once. So sixteen small messages cost one
//! system call, nothing moves to another thread, and nothing waits longer than the poll.

use std::{cell::RefCell, sync::Arc};

use super::inner::ConnectionInner;

/// List capacity that a thread keeps between turns: 8 KiB.
const KEPT_CAPACITY: usize = 1024;

thread_local! {
    /// `None` outside a turn.
    static CORKED: RefCell<Option<Vec<Arc<ConnectionInner>>>> = const { RefCell::new(None) };
    static SPARE: RefCell<Vec<Arc<ConnectionInner>>> = const { RefCell::new(Vec::new()) };
}

/// A turn lasts as long as this value. An inner turn belongs to the outer one.
#[derive(Debug)]
pub(crate) struct Cork {
    outermost: bool,
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
        Self { outermost }
    }

    /// Whether this thread is inside a turn.
    pub(super) fn is_active() -> bool {
        CORKED.with_borrow(Option::is_some)
    }

    /// Lists a connection for the end of the running turn. One that comes up again and again in a row
    /// is listed once; listed twice, its second flush finds nothing to do.
    pub(super) fn add(conn: &Arc<ConnectionInner>) {
        CORKED.with_borrow_mut(|corked| {
            let list = corked.get_or_insert_default();
            if !list.last().is_some_and(|last| Arc::ptr_eq(last, conn)) {
                list.push(Arc::clone(conn));
            }
        });
    }
}

impl Drop for Cork {
    fn drop(&mut self) {
        if !self.outermost {
            return;
        }
        let mut list = CORKED.take().unwrap_or_default();
        for conn in list.drain(..) {
            conn.flush_corked();
        }
        list.shrink_to(KEPT_CAPACITY);
        SPARE.set(list);
    }
}
