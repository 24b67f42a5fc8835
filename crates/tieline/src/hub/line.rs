//! The line of those who wait for room in one outbox.
//!
//! Knows neither the outbox nor what is to be sent. Invariants: the first in line is served before the
//! others; of several who wait, one at a time is told of room, and whoever leaves the line lets the next one
//! be told; a turn stays valid until its holder leaves or the line is dissolved.

use std::{collections::VecDeque, task::Waker};

/// Whose turn it is: the holder of the lowest in line.
pub(super) type Turn = u64;

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    next: Turn,
}

#[derive(Debug)]
struct Waiting {
    turn: Turn,
    /// `None` once it was woken, until it is polled.
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody is before the holder of this turn, or before a newcomer.
    pub(super) fn is_first(&self, turn: Option<Turn>) -> bool {
        self.waiting.front().map(|first| first.turn) == turn
    }

    /// Joins the end of the line, or stays in it, to be woken when it is its turn.
    pub(super) fn wait(&mut self, turn: Option<Turn>, waker: &Waker) -> Turn {
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
            waker: Some(waker.clone()),
        });
        turn
    }

    pub(super) fn leave(&mut self, turn: Turn) {
        if let Some(at) = self.position(turn) {
            self.waiting.remove(at);
        }
    }

    /// Whom to wake now that there is room: the first in line, unless that was done.
    pub(super) fn first(&mut self) -> Option<Waker> {
        self.waiting.front_mut()?.waker.take()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(count: usize) -> (Line, Vec<Turn>) {
        let mut line = Line::default();
        let turns = (0..count).map(|_| line.wait(None, Waker::noop()));
        let turns = turns.collect();
        (line, turns)
    }

    #[test]
    fn the_first_is_told_of_room_and_told_once() {
        let (mut line, turns) = line_of(2);
        assert!(line.is_first(Some(turns[0])));
        assert!(!line.is_first(Some(turns[1])));
        assert!(!line.is_first(None), "a newcomer is not first");
        assert!(line.first().is_some());
        assert!(line.first().is_none());
        // It was polled, and there was not enough room for it.
        assert_eq!(line.wait(Some(turns[0]), Waker::noop()), turns[0]);
        assert!(line.first().is_some());
    }

    #[test]
    fn when_the_first_leaves_the_next_is_told() {
        let (mut line, turns) = line_of(3);
        assert!(line.first().is_some());
        line.leave(turns[1]);
        assert!(line.first().is_none());
        line.leave(turns[0]);
        assert!(line.is_first(Some(turns[2])));
        assert!(line.first().is_some());
        line.leave(turns[2]);
        assert!(line.is_empty());
        assert!(line.is_first(None));
    }

    #[test]
    fn all_are_told_of_the_end() {
        let (mut line, turns) = line_of(3);
        assert!(line.first().is_some());
        assert_eq!(line.dissolve().count(), 2, "one was woken before");
        assert!(line.is_empty());
        line.leave(turns[1]);
    }
}
