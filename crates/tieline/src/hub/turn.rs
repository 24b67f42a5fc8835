//! Turns: one flush per touched connection and poll.
//!
//! Owns the list of connections that the poll now running on this thread has queued frames for. A
//! task that reads from a socket or a link enters a turn for each of its polls; when the poll returns,
//! ready or pending, each touched connection is flushed once. So sixteen small messages cost one
//! system call, nothing moves to another thread, and nothing waits longer than the poll.

use std::{cell::RefCell, sync::Arc};

use super::member::Member;

/// List capacity that a thread keeps between turns: 8 KiB.
const KEPT: usize = 1024;

thread_local! {
    /// `None` outside a turn.
    static TOUCHED: RefCell<Option<Vec<Arc<Member>>>> = const { RefCell::new(None) };
    static SPARE: RefCell<Vec<Arc<Member>>> = const { RefCell::new(Vec::new()) };
}

/// A turn lasts as long as this value. An inner turn belongs to the outer one.
#[derive(Debug)]
pub(crate) struct Turn {
    outermost: bool,
}

impl Turn {
    pub(crate) fn enter() -> Self {
        let outermost = TOUCHED.with_borrow_mut(|touched| {
            let outermost = touched.is_none();
            if outermost {
                *touched = Some(SPARE.take());
            }
            outermost
        });
        Self { outermost }
    }

    /// Whether this thread is inside a turn.
    pub(super) fn is_running() -> bool {
        TOUCHED.with_borrow(Option::is_some)
    }

    /// Lists a connection for the end of the running turn. One that comes up again and again in a row
    /// is listed once; listed twice, its second flush finds nothing to do.
    pub(super) fn defer(member: &Arc<Member>) {
        TOUCHED.with_borrow_mut(|touched| {
            let list = touched.get_or_insert_default();
            if !list.last().is_some_and(|last| Arc::ptr_eq(last, member)) {
                list.push(Arc::clone(member));
            }
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.outermost {
            return;
        }
        let mut list = TOUCHED.take().unwrap_or_default();
        for member in list.drain(..) {
            member.flush_touched();
        }
        list.shrink_to(KEPT);
        SPARE.set(list);
    }
}
