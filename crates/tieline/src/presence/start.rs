//! The tasks of a presence, and its end.
//!
//! Invariant: the tasks end with the last handle; what this node has entered then stays until its term runs out.

use std::sync::{Arc, atomic::AtomicBool};

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    reader::{Follow, Reader},
    shared::Shared,
    writer::Writer,
};

/// Followers that wait to be taken in; further ones wait in their callers.
const FOLLOWS: usize = 64;

pub(super) struct Tasks {
    pub(super) follows: mpsc::Sender<Follow>,
    pub(super) is_stale: Arc<AtomicBool>,
    _writer: AbortOnDropHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

impl Tasks {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let (follows, receiver) = mpsc::channel(FOLLOWS);
        let is_stale = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(Arc::clone(shared)).run();
        let reader = Reader::new(Arc::clone(shared), receiver, Arc::clone(&is_stale)).run();
        Self {
            follows,
            is_stale,
            _writer: AbortOnDropHandle::new(tokio::spawn(writer)),
            _reader: AbortOnDropHandle::new(tokio::spawn(reader)),
        }
    }
}
