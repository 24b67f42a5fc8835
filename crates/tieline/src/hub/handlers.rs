//! Who answers requests, and how many are answered at once.
//!
//! Owns the handlers of a hub, as their nodes register them. Must not know connections, nor what is asked.
//! Invariant: a slot is given to another handler only once the first is gone, and its connections with it.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};
use tokio_util::task::TaskTracker;

use crate::ask::AskError;

/// Answers requests about whom `Asked` says. Connections keep theirs alive; a hub does not, since handlers hold hubs.
pub(crate) trait RequestHandler<Asked>: Send + Sync + 'static {
    /// Starts a task that answers, by the deadline, and holds the permit as long.
    fn answer(
        self: Arc<Self>,
        asked: Asked,
        request: Bytes,
        deadline: Instant,
        permit: RequestPermit,
        run_on: RequestTasks<'_>,
    ) -> RunningRequest;
}

/// Where the task of a request runs: on the runtime of the hub, tracked by the node.
pub(crate) struct RequestTasks<'a> {
    tasks: &'a TaskTracker,
    runtime: &'a Handle,
}

impl RequestTasks<'_> {
    pub(crate) fn spawn(
        &self,
        answer: impl Future<Output = Result<Bytes, AskError>> + Send + 'static,
    ) -> RunningRequest {
        RunningRequest(self.tasks.spawn_on(answer, self.runtime))
    }
}

/// The place of a handler among those of its hub. Connections remember it in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandlerSlot(u8);

impl HandlerSlot {
    /// Nobody: a hub with more handlers than slots.
    pub(crate) const NONE: Self = Self(u8::MAX);
}

/// A handler, and the tracker of its node.
struct Registered<Asked> {
    handler: Weak<dyn RequestHandler<Asked>>,
    tasks: TaskTracker,
}

/// The handlers of a hub.
pub(super) struct Handlers<Asked> {
    all: RwLock<Vec<Registered<Asked>>>,
    running: Arc<AtomicUsize>,
    runtime: Handle,
}

impl<Asked: 'static> Handlers<Asked> {
    /// For the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new() -> Self {
        Self {
            all: RwLock::default(),
            running: Arc::default(),
            runtime: Handle::current(),
        }
    }

    /// Adds a handler, whose tasks `tasks` tracks.
    pub(super) fn add(
        &self,
        handler: &Arc<dyn RequestHandler<Asked>>,
        tasks: &TaskTracker,
    ) -> HandlerSlot {
        let added = Registered {
            handler: Arc::downgrade(handler),
            tasks: tasks.clone(),
        };
        let mut all = self.all.write();
        if all.len() < usize::from(HandlerSlot::NONE.0) {
            all.push(added);
            return HandlerSlot(u8::try_from(all.len() - 1).expect("there are fewer"));
        }
        // Where a handler is gone, its connections are gone too.
        let mut slots = (0..).zip(all.iter_mut());
        match slots.find(|(_, registered)| registered.handler.strong_count() == 0) {
            Some((slot, registered)) => {
                *registered = added;
                HandlerSlot(slot)
            }
            None => HandlerSlot::NONE,
        }
    }

    /// Starts to answer a request, unless as many run as the limit allows. Without a slot, the first handler
    /// answers.
    pub(super) fn start(
        &self,
        slot: Option<HandlerSlot>,
        limit: usize,
        asked: Asked,
        request: Bytes,
        deadline: Instant,
    ) -> Result<RunningRequest, AskError> {
        let permit = self.permit(limit).ok_or(AskError::Busy)?;
        let all = self.all.read();
        let mut candidates = match slot {
            Some(slot) => all
                .get(usize::from(slot.0)..)
                .unwrap_or_default()
                .iter()
                .take(1),
            None => all.iter().take(all.len()),
        };
        let found = candidates.find_map(|found| Some((found.handler.upgrade()?, &found.tasks)));
        let (handler, tasks) = found.ok_or(AskError::Unsupported)?;
        let runtime = &self.runtime;
        let run_on = RequestTasks { tasks, runtime };
        Ok(handler.answer(asked, request, deadline, permit, run_on))
    }

    fn permit(&self, limit: usize) -> Option<RequestPermit> {
        let permit = RequestPermit(Arc::clone(&self.running));
        // Dropped, it gives its place back.
        (self.running.fetch_add(1, Ordering::AcqRel) < limit).then_some(permit)
    }
}

/// A place among the requests that run at once, until it is dropped.
pub(crate) struct RequestPermit(Arc<AtomicUsize>);

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A callback that answers. It goes on if this is dropped.
pub(crate) struct RunningRequest(JoinHandle<Result<Bytes, AskError>>);

impl Future for RunningRequest {
    type Output = Result<Bytes, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| {
            joined.unwrap_or_else(|error| {
                Err(if error.is_panic() {
                    AskError::Failed("the handler panicked".into())
                } else {
                    // The runtime ends.
                    AskError::Unknown
                })
            })
        })
    }
}
