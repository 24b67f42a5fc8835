//! Receipts: how the sender learns the outcome of a message.
//!
//! Owns the [`Receipt`], the [`ReceiptSender`] that decides it, and the [`OutcomeSum`] that adds up the parts
//! of a message to many. Must not know what was sent. Invariants: a receipt is decided once, at the latest
//! when its sender is dropped; nobody is woken or called under a lock.

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

use crate::delivery::{Delivery, Reached};

/// A future that yields the outcome of a message. The message is sent whether the receipt is awaited, kept
/// or dropped.
///
/// Cancel-safe: dropping it forgets the outcome and nothing else.
///
/// ```
/// use tieline::{Config, Delivery, Hub};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tieline::ConfigError> {
/// let hub = Hub::new(Config::default())?;
/// let mut receipt = hub.emit("alice", "hello"); // enqueued by now, if Alice is connected
/// let delivery = match receipt.try_outcome() {
///     Some(delivery) => delivery,
///     None => receipt.await,
/// };
/// assert_eq!(delivery, Delivery::Offline);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Receipt<T = Delivery>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Decided(Option<T>),
    /// Decided, and made into the outcome when the caller asks: most drop the receipt, and the outcome of a
    /// cluster costs an allocation.
    Counted(Option<Reached>, fn(Reached) -> T),
    Pending(Arc<OutcomeCell<T>>),
}

impl<T> Receipt<T> {
    pub(crate) fn decided(outcome: T) -> Self {
        Self(Inner::Decided(Some(outcome)))
    }

    /// A receipt for a message to many whose counts are known.
    pub(crate) fn counted(reached: Reached) -> Self
    where
        T: From<Reached>,
    {
        Self(Inner::Counted(Some(reached), T::from))
    }

    /// A receipt, and the sender that decides it.
    pub(crate) fn channel() -> (ReceiptSender<T>, Self)
    where
        T: From<Reached>,
    {
        let cell = Arc::new(OutcomeCell(Mutex::new(State::Open(None))));
        (
            ReceiptSender(Some(Arc::clone(&cell))),
            Self(Inner::Pending(cell)),
        )
    }

    /// The outcome, if it is decided already, as it nearly always is for a client of this node. Once it has
    /// yielded an outcome, the receipt yields nothing more and must not be awaited.
    pub fn try_outcome(&mut self) -> Option<T> {
        match &mut self.0 {
            Inner::Decided(outcome) => outcome.take(),
            Inner::Counted(reached, outcome_of) => reached.take().map(outcome_of),
            Inner::Pending(cell) => match &mut *cell.0.lock() {
                State::Decided(outcome) => outcome.take(),
                State::Open(_) => None,
            },
        }
    }
}

impl<T: Send + 'static> Receipt<T> {
    /// Calls `callback` with the outcome: at once if it is decided, else from the task that decides it.
    ///
    /// Costs an allocation if the outcome is not decided yet, a fraction of a task that awaits the receipt.
    /// `callback` must be quick and must not block: other messages wait for it. It may send the next
    /// message. If it is called later, a panic in it is logged and contained. It is not called for an
    /// outcome that [`try_outcome`](Self::try_outcome) has yielded.
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
            Inner::Counted(reached, outcome_of) => reached.map(outcome_of),
            Inner::Pending(cell) => match &mut *cell.0.lock() {
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
            Inner::Counted(reached, outcome_of) => {
                Poll::Ready(outcome_of(reached.take().expect(ONCE)))
            }
            Inner::Pending(cell) => match &mut *cell.0.lock() {
                State::Decided(outcome) => Poll::Ready(outcome.take().expect(ONCE)),
                State::Open(waiter) => {
                    *waiter = Some(Waiter::Task(cx.waker().clone()));
                    Poll::Pending
                }
            },
        }
    }
}

/// How deep callbacks may nest: each may send a message whose outcome is decided immediately, and whose
/// callback runs inside it. Deeper ones run in a new task, so that "send the next when the last is decided"
/// does not overflow the stack when a peer fails.
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
    let _restore = RestoreNesting(nesting);
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

/// What a receipt and its sender share.
struct OutcomeCell<T>(Mutex<State<T>>);

enum State<T> {
    Open(Option<Waiter<T>>),
    Decided(Option<T>),
}

/// What waits for an outcome.
enum Waiter<T> {
    Task(Waker),
    Callback(Box<dyn FnOnce(T) + Send>),
}

impl<T> OutcomeCell<T> {
    /// Decides, if nothing is decided yet; wakes or calls the waiter without the lock.
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
                    tracing::error!("a callback of on_outcome panicked");
                }
            }
        }
    }
}

impl<T> fmt::Debug for OutcomeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// Decides a receipt. If it is dropped first, the outcome is that of a hub that ended.
pub(crate) struct ReceiptSender<T: From<Reached>>(Option<Arc<OutcomeCell<T>>>);

impl<T: From<Reached>> ReceiptSender<T> {
    pub(crate) fn send(mut self, outcome: T) {
        if let Some(cell) = self.0.take() {
            cell.decide(outcome);
        }
    }
}

impl<T: From<Reached>> Drop for ReceiptSender<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.decide(incomplete().into());
        }
    }
}

impl<T: From<Reached>> fmt::Debug for ReceiptSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptSender").finish_non_exhaustive()
    }
}

/// The outcome of a message whose hub ended before it was delivered.
fn incomplete() -> Reached {
    Reached {
        incomplete: true,
        ..Reached::default()
    }
}

/// Adds up the outcomes of the parts of one message, one part per shard; the last part calls the callback
/// with the sum.
pub(crate) struct OutcomeSum(Mutex<PendingSum>);

struct PendingSum {
    parts_left: usize,
    reached: Reached,
    /// Called once; dropped without a call if the hub ends first.
    callback: Option<Callback>,
}

/// Receives the outcome of a message to many.
pub(crate) type Callback = Box<dyn FnOnce(Reached) + Send>;

impl OutcomeSum {
    /// A sum of `parts` parts and of `reached`, which is known already, and the receipt that they decide.
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

    /// As [`OutcomeSum::new`], with a callback instead of a receipt. It runs without any lock of the hub, and
    /// must be quick.
    pub(crate) fn with_callback(parts: usize, reached: Reached, callback: Callback) -> Arc<Self> {
        Arc::new(Self(Mutex::new(PendingSum {
            parts_left: parts,
            reached,
            callback: Some(callback),
        })))
    }

    /// Adds the counts of one part.
    pub(crate) fn add_part(&self, part: Reached) {
        let mut state = self.0.lock();
        state.reached.add(part);
        state.parts_left -= 1;
        if state.parts_left == 0
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
    fn a_callback_gets_an_outcome_whether_it_is_decided_or_not() {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let callback = || {
            let outcomes = Arc::clone(&outcomes);
            move |delivery| outcomes.lock().push(delivery)
        };
        Receipt::decided(Delivery::Offline).on_outcome(callback());
        let (sender, receipt) = Receipt::channel();
        receipt.on_outcome(callback());
        assert_eq!(*outcomes.lock(), [Delivery::Offline]);
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
        assert_eq!(*outcomes.lock(), all);
    }

    #[tokio::test]
    async fn callbacks_that_send_the_next_message_do_not_overflow_the_stack() {
        fn send_next(left: u32, done: oneshot::Sender<()>) {
            if left == 0 {
                let _ = done.send(());
                return;
            }
            Receipt::decided(Delivery::Offline).on_outcome(move |_| send_next(left - 1, done));
        }
        let (done, ended) = oneshot::channel();
        send_next(1_000_000, done);
        ended.await.unwrap();
    }

    #[test]
    fn a_panic_in_a_callback_is_contained() {
        let (sender, receipt) = Receipt::<Delivery>::channel();
        receipt.on_outcome(|_| panic!("on purpose"));
        sender.send(Delivery::Delivered);
    }

    #[tokio::test]
    async fn the_outcome_of_a_dropped_sum_is_unknown() {
        let (sum, receipt) = OutcomeSum::new::<Delivery>(1, Reached::default());
        drop(sum);
        assert_eq!(receipt.await, Delivery::Unknown);
    }
}
