//! The tasks of a presence, and its end.
//!
//! Invariant: the tasks end with the last handle; what this node has entered then stays until its term runs out.

use std::sync::{Arc, atomic::AtomicBool};

use tokio_util::task::AbortOnDropHandle;

use super::{reader::Reader, shared::Shared, subscribers::Newcomers, writer::Writer};

pub(super) struct Tasks {
    pub(super) newcomers: Arc<Newcomers>,
    pub(super) is_stale: Arc<AtomicBool>,
    _writer: AbortOnDropHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

impl Tasks {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let newcomers = Arc::new(Newcomers::default());
        let is_stale = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(Arc::clone(shared)).run();
        let reader = Reader::new(
            Arc::clone(shared),
            Arc::clone(&newcomers),
            Arc::clone(&is_stale),
        );
        let reader = reader.run();
        Self {
            newcomers,
            is_stale,
            _writer: AbortOnDropHandle::new(tokio::spawn(writer)),
            _reader: AbortOnDropHandle::new(tokio::spawn(reader)),
        }
    }
}
