//! The line of those who wait for room in one outbox.
//!
//! Knows neither the outbox nor what is to be sent. Invariants: who was not told of room is served before all
//! behind, and they are told in order; who was told and does not come holds up nobody, nor does who wants to begin a
//! message while another is being sent; a turn stays valid until its holder leaves or the line is dissolved.

use std::{collections::VecDeque, task::Waker};

/// Whose turn it is: the holder of the lowest in line.
pub(super) type Turn = u64;

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    next: Turn,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Room,
    /// Room, and the end of the message that is being sent in pieces.
    Message,
}

#[derive(Debug)]
struct Waiting {
    turn: Turn,
    wish: Wish,
    /// `None` once it was told of room, until it has looked in vain.
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the holder of this turn, or a newcomer, may send: all who are before it were told of room, or wait for
    /// the end of a message. If those held up others, its writer could not send anything beside it.
    pub(super) fn may_send(&self, turn: Option<Turn>, in_message: bool) -> bool {
        let mut before = self
            .waiting
            .iter()
            .take_while(|waiting| Some(waiting.turn) != turn);
        before.all(|waiting| waiting.waker.is_none() || waiting.is_passed(in_message))
    }

    /// Joins the end of the line, or stays in it, to be woken when it is its turn.
    pub(super) fn wait(&mut self, turn: Option<Turn>, waker: &Waker, wish: Wish) -> Turn {
        let at = turn.and_then(|turn| self.position(turn));
        if let Some(waiting) = at.and_then(|at| self.waiting.get_mut(at)) {
            match &mut waiting.waker {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return waiting.turn;
        }
        let turn = self.next;
        self.next += 1;
        self.waiting.push_back(Waiting {
            turn,
            wish,
            waker: Some(waker.clone()),
        });
        turn
    }

    pub(super) fn leave(&mut self, turn: Turn) {
        if let Some(at) = self.position(turn) {
            self.waiting.remove(at);
        }
    }

    /// Whom to wake now that there is room: the first who was not told, and does not wait for the end of a message.
    pub(super) fn tell_next(&mut self, in_message: bool) -> Option<Waker> {
        let mut waiting = self.waiting.iter_mut();
        let next = waiting.find(|it| it.waker.is_some() && !it.is_passed(in_message));
        next?.waker.take()
    }

    /// Whom to wake now that the outbox is empty, and nothing will make more room: all who were not told.
    pub(super) fn tell_all(&mut self) -> Vec<Waker> {
        let wakers = self.waiting.iter_mut().map(|waiting| &mut waiting.waker);
        wakers.filter_map(Option::take).collect()
    }

    /// Everybody, now that nothing can be sent any more.
    pub(super) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().filter_map(|waiting| waiting.waker)
    }

    fn position(&self, turn: Turn) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&turn, |waiting| waiting.turn)
            .ok()
    }
}

impl Waiting {
    fn is_passed(&self, in_message: bool) -> bool {
        in_message && self.wish == Wish::Message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(count: usize) -> (Line, Vec<Turn>) {
        let mut line = Line::default();
        let turns = (0..count).map(|_| line.wait(None, Waker::noop(), Wish::Room));
        let turns = turns.collect();
        (line, turns)
    }

    #[test]
    fn all_are_told_of_room_in_order_and_told_once() {
        let (mut line, turns) = line_of(2);
        assert!(line.may_send(Some(turns[0]), false));
        assert!(!line.may_send(Some(turns[1]), false));
        assert!(!line.may_send(None, false), "a newcomer is behind them");
        assert!(line.tell_next(false).is_some());
        assert!(line.may_send(Some(turns[1]), false), "the first was told");
        assert!(!line.may_send(None, false));
        assert!(line.tell_next(false).is_some());
        assert!(line.tell_next(false).is_none());
        assert!(line.may_send(None, false));
    }

    #[test]
    fn who_looked_in_vain_keeps_its_turn() {
        let (mut line, turns) = line_of(2);
        assert!(line.tell_next(false).is_some());
        assert_eq!(
            line.wait(Some(turns[0]), Waker::noop(), Wish::Room),
            turns[0]
        );
        assert!(!line.may_send(Some(turns[1]), false));
        assert!(line.tell_next(false).is_some());
        assert!(line.may_send(Some(turns[1]), false));
    }

    #[test]
    fn who_leaves_is_before_nobody() {
        let (mut line, turns) = line_of(3);
        line.leave(turns[1]);
        line.leave(turns[0]);
        assert!(line.may_send(Some(turns[2]), false));
        line.leave(turns[2]);
        assert!(line.is_empty());
        assert!(line.may_send(None, false));
    }

    #[test]
    fn all_are_told_of_an_empty_outbox_and_of_the_end() {
        let (mut line, turns) = line_of(3);
        assert!(line.tell_next(false).is_some());
        assert_eq!(line.tell_all().len(), 2, "one was told before");
        line.wait(Some(turns[1]), Waker::noop(), Wish::Room);
        assert_eq!(line.dissolve().count(), 1);
        assert!(line.is_empty());
        line.leave(turns[1]);
    }

    #[test]
    fn who_waits_for_the_end_of_a_message_is_passed_until_then() {
        let mut line = Line::default();
        let message = line.wait(None, Waker::noop(), Wish::Message);
        assert!(line.may_send(None, true));
        assert!(line.tell_next(true).is_none());
        let room = line.wait(None, Waker::noop(), Wish::Room);
        assert!(line.may_send(Some(room), true));
        assert!(!line.may_send(Some(room), false));
        assert!(line.may_send(Some(message), false));
        assert!(line.tell_next(true).is_some());
        assert!(line.tell_next(false).is_some());
        assert!(line.tell_next(false).is_none());
    }
}
