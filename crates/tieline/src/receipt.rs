//! Who hears what became of an emit.
//!
//! Owns the [`Receipt`], the [`ReceiptSender`] that decides it, and the [`OutcomeSum`] that adds up the parts of a
//! message to many. Knows nothing of what was sent. Invariants: a receipt is decided once; it hears no
//! later than its teller's end.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::{Delivery, Reached};

/// The future of an outcome. The message is on its way whether this is awaited, kept or dropped.
///
/// Cancel-safe: dropping it forgets the outcome and nothing else.
#[derive(Debug)]
pub struct Receipt<T = Delivery>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Decided(Option<T>),
    Pending(Arc<Slot<T>>),
}

impl<T> Receipt<T> {
    pub(crate) fn decided(outcome: T) -> Self {
        Self(Inner::Decided(Some(outcome)))
    }

    /// A receipt that whoever holds the teller decides.
    pub(crate) fn channel() -> (ReceiptSender<T>, Self)
    where
        T: From<Reached>,
    {
        let slot = Arc::new(Slot(Mutex::new(State::Open(None))));
        (
            ReceiptSender(Some(Arc::clone(&slot))),
            Self(Inner::Pending(slot)),
        )
    }

    /// The outcome, if it is decided already: for a client of this node it nearly always is. Once it was
    /// yielded the receipt is used up: it yields nothing more, and must not be awaited.
    pub fn try_outcome(&mut self) -> Option<T> {
        match &mut self.0 {
            Inner::Decided(outcome) => outcome.take(),
            Inner::Pending(slot) => match &mut *slot.0.lock() {
                State::Decided(outcome) => outcome.take(),
                State::Open(_) => None,
            },
        }
    }
}

impl<T: Send + 'static> Receipt<T> {
    /// Hands the outcome to `callback`: at once where it is decided, else from the task that decides it.
    ///
    /// Costs an allocation where the outcome is out; a task that awaits the receipt costs several times
    /// that. `callback` must be quick and must not block: other messages wait for it. It may send the next
    /// message. When it is called later, a panic in it is logged and goes no further. An outcome that
    /// [`try_outcome`](Self::try_outcome) has yielded is not heard again.
    ///
    /// ```
    /// # use tieline::{Config, Hub};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tieline::ConfigError> {
    /// let hub = Hub::new(Config::default())?;
    /// hub.emit("alice", "hello").on_outcome(|delivery| println!("Alice: {delivery}"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_outcome(self, callback: impl FnOnce(T) + Send + 'static) {
        let decided = match self.0 {
            Inner::Decided(outcome) => outcome,
            Inner::Pending(slot) => match &mut *slot.0.lock() {
                State::Decided(outcome) => outcome.take(),
                State::Open(waiter) => {
                    *waiter = Some(Waiter::Callback(Box::new(callback)));
                    return;
                }
            },
        };
        if let Some(outcome) = decided {
            call_now(outcome, callback);
        }
    }
}

impl<T: Unpin> Future for Receipt<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        const ONCE: &str = "a receipt is not polled after it is ready";
        match &mut self.0 {
            Inner::Decided(outcome) => Poll::Ready(outcome.take().expect(ONCE)),
            Inner::Pending(slot) => match &mut *slot.0.lock() {
                State::Decided(outcome) => Poll::Ready(outcome.take().expect(ONCE)),
                State::Open(waiter) => {
                    *waiter = Some(Waiter::Task(cx.waker().clone()));
                    Poll::Pending
                }
            },
        }
    }
}

/// Listeners that call each other at once, at most: each of them may have sent a message whose outcome was
/// decided on the spot. What is beyond it is called from a task of its own, so that "send the next when the
/// last is decided" does not overflow the stack when a peer goes.
const MAX_NESTING: u32 = 16;

thread_local! {
    static NESTING: Cell<u32> = const { Cell::new(0) };
}

fn call_now<T: Send + 'static>(outcome: T, callback: impl FnOnce(T) + Send + 'static) {
    let nesting = NESTING.get();
    if nesting >= MAX_NESTING
        && let Ok(runtime) = Handle::try_current()
    {
        runtime.spawn(async move { callback(outcome) });
        return;
    }
    let _back = RestoreNesting(nesting);
    NESTING.set(nesting + 1);
    callback(outcome);
}

/// Restores the nesting, even after a panic.
struct RestoreNesting(u32);

impl Drop for RestoreNesting {
    fn drop(&mut self) {
        NESTING.set(self.0);
    }
}

/// What a receipt and its teller share.
struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Open(Option<Waiter<T>>),
    Decided(Option<T>),
}

/// Who waits for an outcome.
enum Waiter<T> {
    Task(Waker),
    Callback(Box<dyn FnOnce(T) + Send>),
}

impl<T> Slot<T> {
    /// Decides, if nothing is decided yet. Whoever waits hears it under no lock.
    fn decide(&self, outcome: T) {
        let mut state = self.0.lock();
        let State::Open(waiter) = &mut *state else {
            return;
        };
        match waiter.take() {
            None => *state = State::Decided(Some(outcome)),
            Some(Waiter::Task(waker)) => {
                *state = State::Decided(Some(outcome));
                drop(state);
                waker.wake();
            }
            Some(Waiter::Callback(callback)) => {
                *state = State::Decided(None);
                drop(state);
                if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err() {
                    tracing::error!("what was to hear an outcome has panicked");
                }
            }
        }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// Decides a receipt. Dropped before it has told, it is as if the hub had ended.
pub(crate) struct ReceiptSender<T: From<Reached>>(Option<Arc<Slot<T>>>);

impl<T: From<Reached>> ReceiptSender<T> {
    pub(crate) fn send(mut self, outcome: T) {
        if let Some(slot) = self.0.take() {
            slot.decide(outcome);
        }
    }
}

impl<T: From<Reached>> Drop for ReceiptSender<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.decide(lost().into());
        }
    }
}

impl<T: From<Reached>> fmt::Debug for ReceiptSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

/// The outcome of a message whose hub ended first.
fn lost() -> Reached {
    Reached {
        incomplete: true,
        ..Reached::default()
    }
}

/// Adds up the outcomes of the parts of one message, one part per shard; the last part to end tells
/// the sum.
pub(crate) struct OutcomeSum(Mutex<SumState>);

struct SumState {
    parts: usize,
    reached: Reached,
    /// Told once; it is dropped untold where the hub ends first.
    callback: Option<Callback>,
}

/// What hears the outcome of a message to many.
pub(crate) type Callback = Box<dyn FnOnce(Reached) + Send>;

impl OutcomeSum {
    /// A tally of `parts` parts, of which `reached` is known already, and the receipt that they decide.
    pub(crate) fn new<T>(parts: usize, reached: Reached) -> (Arc<Self>, Receipt<T>)
    where
        T: From<Reached> + Send + 'static,
    {
        let (sender, receipt) = Receipt::channel();
        let callback = move |reached: Reached| sender.send(reached.into());
        (
            Self::with_callback(parts, reached, Box::new(callback)),
            receipt,
        )
    }

    /// The same for someone who is told. `callback` runs under no lock of the hub's, and must be quick.
    pub(crate) fn with_callback(parts: usize, reached: Reached, callback: Callback) -> Arc<Self> {
        Arc::new(Self(Mutex::new(SumState {
            parts,
            reached,
            callback: Some(callback),
        })))
    }

    /// Ends one part with its counts.
    pub(crate) fn add_part(&self, part: Reached) {
        let mut state = self.0.lock();
        state.reached.add(part);
        state.parts -= 1;
        if state.parts == 0
            && let Some(callback) = state.callback.take()
        {
            let reached = state.reached;
            drop(state);
            callback(reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_last_part_decides_the_receipt() {
        let (sum, receipt) = OutcomeSum::new::<Reached>(2, Reached::default());
        sum.add_part(Reached {
            delivered: 2,
            ..Reached::default()
        });
        sum.add_part(Reached {
            delivered: 1,
            refused: 1,
            ..Reached::default()
        });
        let reached = receipt.await;
        assert_eq!((reached.delivered, reached.refused), (3, 1));
    }

    #[test]
    fn a_listener_hears_what_is_decided_already_and_what_is_decided_later() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let callback = || {
            let heard = Arc::clone(&heard);
            move |delivery| heard.lock().push(delivery)
        };
        Receipt::decided(Delivery::Offline).on_outcome(callback());
        let (sender, receipt) = Receipt::channel();
        receipt.on_outcome(callback());
        assert_eq!(*heard.lock(), [Delivery::Offline]);
        sender.send(Delivery::Delivered);
        let (sender, receipt) = Receipt::channel();
        receipt.on_outcome(callback());
        drop(sender);
        let (sender, receipt) = Receipt::channel();
        sender.send(Delivery::Refused);
        receipt.on_outcome(callback());
        let all = [
            Delivery::Offline,
            Delivery::Delivered,
            Delivery::Unknown,
            Delivery::Refused,
        ];
        assert_eq!(*heard.lock(), all);
    }

    #[tokio::test]
    async fn a_listener_that_sends_the_next_message_for_ever_does_not_overflow_the_stack() {
        fn again(left: u32, done: oneshot::Sender<()>) {
            if left == 0 {
                let _ = done.send(());
                return;
            }
            Receipt::decided(Delivery::Offline).on_outcome(move |_| again(left - 1, done));
        }
        let (done, ended) = oneshot::channel();
        again(1_000_000, done);
        ended.await.unwrap();
    }

    #[test]
    fn a_listener_that_panics_harms_nobody() {
        let (sender, receipt) = Receipt::<Delivery>::channel();
        receipt.on_outcome(|_| panic!("on purpose"));
        sender.send(Delivery::Delivered);
    }

    #[tokio::test]
    async fn a_lost_tally_is_unknown() {
        let (sum, receipt) = OutcomeSum::new::<Delivery>(1, Reached::default());
        drop(sum);
        assert_eq!(receipt.await, Delivery::Unknown);
    }
}
