//! What few connections have, in one box that most do without.
//!
//! Owns the reason of the close, the signal that it has begun, the line of those who wait for room in the
//! outbox, the tracked frames that wait outside of it, those who observe, the count of numbered messages, and the
//! application's data. Must not know when any of them is due.
//! Invariant: there is no box without something in it beside the data.

use std::{any::Any, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    line::{Line, Turn},
    observers::{ObserverQueue, Observers},
    outgoing::Outgoing,
};
use crate::{close::CloseReason, written::Tracker};

#[derive(Debug)]
pub(super) enum Extras {
    /// The application's data, and nothing else: it needs no box.
    Data(Data),
    Fields(Option<Box<Fields>>),
}

#[derive(Debug, Default)]
pub(super) struct Fields {
    reason: Option<Box<CloseReason>>,
    /// Cancelled when the close begins; `None` as long as nobody waits for that.
    closing: Option<Arc<CancellationToken>>,
    waiting: Option<Box<Waiting>>,
    /// How many numbered messages the client was given.
    numbers: u64,
    data: Option<Data>,
}

/// Who waits.
#[derive(Debug, Default)]
struct Waiting {
    /// For room in the outbox.
    line: Line,
    /// Until the bytes that the task has taken out of the outbox are sent.
    staged: Vec<Arc<Tracker>>,
    /// For the end of a message that is sent in pieces.
    outgoing: Option<Box<Outgoing>>,
    /// For each frame.
    observers: Option<Box<Observers>>,
}

/// What the application keeps with a connection.
pub(super) type Data = Arc<dyn Any + Send + Sync>;

impl Extras {
    pub(super) fn new(data: Option<Data>) -> Self {
        data.map_or(Self::Fields(None), Self::Data)
    }

    pub(super) fn data(&self) -> Option<&Data> {
        match self {
            Self::Data(data) => Some(data),
            Self::Fields(fields) => fields.as_ref()?.data.as_ref(),
        }
    }

    /// Whether there is nothing but data.
    pub(super) fn is_empty(&self) -> bool {
        self.fields().is_none()
    }

    fn fields(&self) -> Option<&Fields> {
        match self {
            Self::Data(_) => None,
            Self::Fields(fields) => fields.as_deref(),
        }
    }

    fn fields_mut(&mut self) -> Option<&mut Fields> {
        match self {
            Self::Data(_) => None,
            Self::Fields(fields) => fields.as_deref_mut(),
        }
    }

    fn fields_or_empty(&mut self) -> &mut Fields {
        if let Self::Data(data) = self {
            let data = Some(Arc::clone(data));
            *self = Self::Fields(Some(Box::new(Fields {
                data,
                ..Fields::default()
            })));
        }
        match self {
            Self::Fields(fields) => fields.get_or_insert_default(),
            Self::Data(_) => unreachable!("the data has moved into the box"),
        }
    }

    /// Why the connection closes, once it does.
    pub(super) fn reason(&self) -> Option<&CloseReason> {
        self.fields()?.reason.as_deref()
    }

    /// Sets the reason, unless there is one.
    pub(super) fn set_reason(&mut self, reason: CloseReason) {
        let fields = self.fields_or_empty();
        fields.reason.get_or_insert_with(|| Box::new(reason));
    }

    /// What is cancelled when the close begins, for one more who waits.
    pub(super) fn wait_for_close(&mut self) -> Arc<CancellationToken> {
        let fields = self.fields_or_empty();
        Arc::clone(fields.closing.get_or_insert_default())
    }

    /// One of those has dropped it.
    pub(super) fn stop_waiting_for_close(&mut self) {
        if let Some(fields) = self.fields_mut() {
            fields
                .closing
                .take_if(|closing| Arc::strong_count(closing) == 1);
            self.free();
        }
    }

    /// What to cancel now that the close has begun.
    pub(super) fn take_closing(&mut self) -> Option<Arc<CancellationToken>> {
        self.fields_mut()?.closing.take()
    }
}

/// Numbers of messages.
impl Extras {
    /// The number of the next message.
    pub(super) fn next_number(&self) -> u64 {
        self.fields().map_or(0, |fields| fields.numbers) + 1
    }

    pub(super) fn take_numbers(&mut self, count: u64) {
        if count > 0 {
            self.fields_or_empty().numbers += count;
        }
    }
}

/// Waiting for room.
impl Extras {
    /// Those who wait, if anybody does.
    pub(super) fn line(&mut self) -> Option<&mut Line> {
        let waiting = self.fields_mut()?.waiting.as_deref_mut();
        waiting.map(|waiting| &mut waiting.line)
    }

    /// Those who wait, for one who is about to.
    pub(super) fn line_or_empty(&mut self) -> &mut Line {
        &mut self.waiting().line
    }

    /// Whether the holder of this turn, or a newcomer, may send if there is room.
    pub(super) fn may_send(&self, turn: Option<Turn>) -> bool {
        let waiting = self.fields().and_then(|it| it.waiting.as_deref());
        waiting.is_none_or(|it| it.line.may_send(turn, it.outgoing.is_some()))
    }

    /// Ends a wait; true if nobody waits any more.
    pub(super) fn leave_line(&mut self, turn: Turn) -> bool {
        if let Some(line) = self.line() {
            line.leave(turn);
            if !line.is_empty() {
                return false;
            }
        }
        self.free();
        true
    }

    fn waiting(&mut self) -> &mut Waiting {
        let fields = self.fields_or_empty();
        fields.waiting.get_or_insert_default()
    }

    /// Frees what has nothing in it.
    fn free(&mut self) {
        let Some(fields) = self.fields_mut() else {
            return;
        };
        if let Some(waiting) = &fields.waiting
            && waiting.line.is_empty()
            && waiting.staged.is_empty()
            && waiting.outgoing.is_none()
            && waiting.observers.is_none()
        {
            fields.waiting = None;
        }
        let Fields {
            reason,
            closing,
            waiting,
            numbers,
            data,
        } = fields;
        if reason.is_none() && closing.is_none() && waiting.is_none() && *numbers == 0 {
            *self = Self::new(data.take());
        }
    }
}

/// Observers.
impl Extras {
    /// Whether nobody waits for anything, so that a frame just goes into the outbox.
    #[inline]
    pub(super) fn is_simple(&self) -> bool {
        self.fields().is_none_or(|fields| fields.waiting.is_none())
    }

    pub(super) fn observers(&mut self) -> Option<&Observers> {
        self.fields()?.waiting.as_deref()?.observers.as_deref()
    }

    pub(super) fn add_observer(&mut self, queue: Arc<ObserverQueue>) {
        let observers = &mut self.waiting().observers;
        observers.get_or_insert_default().add(queue);
    }

    /// Removes an observer; true if nobody observes any more.
    pub(super) fn remove_observer(&mut self, queue: &Arc<ObserverQueue>) -> bool {
        let waiting = self.fields_mut().and_then(|it| it.waiting.as_mut());
        let Some(waiting) = waiting else {
            return true;
        };
        if let Some(observers) = &mut waiting.observers
            && observers.remove(queue)
        {
            return false;
        }
        waiting.observers = None;
        self.free();
        true
    }

    /// Those who observe, who are to be told of the end.
    pub(super) fn take_observers(&mut self) -> Option<Box<Observers>> {
        let waiting = self.fields_mut()?.waiting.as_mut()?;
        let observers = waiting.observers.take();
        self.free();
        observers
    }
}

/// A message that is sent in pieces.
impl Extras {
    /// The message, while it is sent.
    #[inline]
    pub(super) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        let waiting = self.fields_mut()?.waiting.as_deref_mut();
        waiting?.outgoing.as_deref_mut()
    }

    pub(super) fn begin_outgoing(&mut self, outgoing: Outgoing) {
        self.waiting().outgoing = Some(Box::new(outgoing));
    }

    /// Ends the message; returns what has waited for that.
    pub(super) fn end_outgoing(&mut self) -> Option<Box<Outgoing>> {
        let waiting = self.fields_mut()?.waiting.as_deref_mut();
        let outgoing = waiting?.outgoing.take();
        self.free();
        outgoing
    }

    /// Whether the writer of the message waits for room.
    pub(super) fn has_waiting_writer(&mut self) -> bool {
        self.outgoing().is_some_and(|it| it.waker.is_some())
    }
}

/// Tracked frames outside of the outbox.
impl Extras {
    /// Keeps the trackers of frames that have left the outbox, until all bytes that left it are sent.
    pub(super) fn stage(&mut self, trackers: impl IntoIterator<Item = Arc<Tracker>>) {
        self.waiting().staged.extend(trackers);
    }

    /// Those trackers, now that the bytes are sent, or will not be.
    pub(super) fn take_staged(&mut self) -> Vec<Arc<Tracker>> {
        let waiting = self.fields_mut().and_then(|it| it.waiting.as_mut());
        let staged = waiting.map(|waiting| std::mem::take(&mut waiting.staged));
        let Some(staged) = staged.filter(|staged| !staged.is_empty()) else {
            return Vec::new();
        };
        self.free();
        staged
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::hub::{line::Wish, outbox::Outbox};

    #[test]
    fn the_box_goes_with_the_last_thing_in_it() {
        let mut extras = Extras::new(None);
        assert!(extras.may_send(None));
        let turns = [(); 2].map(|()| extras.line_or_empty().wait(None, Waker::noop(), Wish::Room));
        assert!(!extras.leave_line(turns[0]));
        assert!(extras.leave_line(turns[1]));
        assert!(extras.is_empty());
    }

    #[test]
    fn the_line_and_what_is_staged_keep_the_box_by_themselves() {
        let mut extras = Extras::new(None);
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        extras.stage([Arc::new(Tracker::new().0)]);
        assert!(extras.leave_line(turn));
        assert_eq!(extras.take_staged().len(), 1);
        assert!(extras.is_empty());
        extras.stage([Arc::new(Tracker::new().0)]);
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        assert_eq!(extras.take_staged().len(), 1);
        assert!(extras.take_staged().is_empty());
        assert!(!extras.is_empty());
        assert!(extras.leave_line(turn));
        assert!(extras.is_empty());
    }

    #[test]
    fn what_hardly_anybody_has_takes_no_room_from_others() {
        assert!(size_of::<Extras>() <= 16);
        assert!(size_of::<Fields>() <= 48);
        assert!(size_of::<Waiting>() <= 80);
        assert!(size_of::<Outbox>() <= 64);
    }

    #[test]
    fn a_message_in_pieces_keeps_the_box_until_its_end() {
        let mut extras = Extras::new(None);
        extras.begin_outgoing(Outgoing::new(Outbox::default()));
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        assert!(extras.leave_line(turn));
        assert!(!extras.has_waiting_writer());
        assert!(extras.end_outgoing().is_some());
        assert!(extras.is_empty());
    }

    #[test]
    fn the_signal_of_the_close_goes_with_the_last_who_waits() {
        let mut extras = Extras::new(None);
        let waits = [(); 2].map(|()| extras.wait_for_close());
        for (wait, is_last) in waits.into_iter().zip([false, true]) {
            drop(wait);
            extras.stop_waiting_for_close();
            assert_eq!(extras.is_empty(), is_last);
        }
        extras.stop_waiting_for_close();
        assert!(extras.is_empty());
    }

    #[test]
    fn data_needs_no_box_and_outlasts_it() {
        let data: Data = Arc::new(7);
        let mut extras = Extras::new(Some(Arc::clone(&data)));
        assert!(extras.is_empty() && extras.may_send(None));
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        let is_same = |extras: &Extras| extras.data().is_some_and(|it| Arc::ptr_eq(it, &data));
        assert!(!extras.is_empty() && is_same(&extras));
        assert!(extras.leave_line(turn));
        assert!(extras.is_empty() && is_same(&extras));
        extras.set_reason(CloseReason::Drain);
        assert!(!extras.is_empty() && is_same(&extras));
    }

    #[test]
    fn numbers_outlast_those_who_wait() {
        let mut extras = Extras::new(None);
        assert_eq!(extras.next_number(), 1);
        assert!(extras.is_empty());
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        extras.take_numbers(2);
        assert!(extras.leave_line(turn));
        assert_eq!(extras.next_number(), 3);
    }

    #[test]
    fn the_first_reason_stays() {
        let mut extras = Extras::new(None);
        extras.set_reason(CloseReason::Drain);
        let turn = extras.line_or_empty().wait(None, Waker::noop(), Wish::Room);
        extras.set_reason(CloseReason::Silent);
        assert!(extras.leave_line(turn));
        assert_eq!(extras.reason(), Some(&CloseReason::Drain));
    }
}
