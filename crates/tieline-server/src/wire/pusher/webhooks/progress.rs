//! How far a dispatcher is done with the changes that it has taken.
//!
//! Owns which of them are under way. Must not know what is done with them. Invariant: it is done with a change only if
//! it is done with all before it, so whoever goes on from there leaves nothing out.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tieline::Position;

/// The changes of one dispatcher. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Receipts of another one are of no account.
    generation: u64,
    /// The number of the first change below.
    first: u64,
    /// From the first that is under way.
    taken: VecDeque<Taken>,
    done: Option<Position>,
}

#[derive(Debug)]
struct Taken {
    position: Position,
    is_done: bool,
}

/// A change is under way until its receipt is dropped.
#[derive(Debug)]
pub(super) struct Receipt {
    progress: Progress,
    generation: u64,
    number: u64,
}

impl Progress {
    /// Takes the next change.
    pub(super) fn take(&self, position: Position) -> Arc<Receipt> {
        let mut state = self.0.lock();
        let taken = Taken {
            position,
            is_done: false,
        };
        match state.taken.back_mut() {
            // Of neighbours that are done, the last one says it all: the rest need no memory.
            Some(last) if last.is_done => *last = taken,
            _ => state.taken.push_back(taken),
        }
        let number = state.first + state.taken.len() as u64 - 1;
        Arc::new(Receipt {
            progress: self.clone(),
            generation: state.generation,
            number,
        })
    }

    /// The last change before which all are done.
    pub(super) fn done(&self) -> Option<Position> {
        self.0.lock().done.clone()
    }

    /// Forgets all changes: they come again.
    pub(super) fn forget(&self) {
        let mut state = self.0.lock();
        state.generation += 1;
        state.taken.clear();
        state.done = None;
    }

    fn finish(&self, generation: u64, number: u64) {
        let state = &mut *self.0.lock();
        if state.generation != generation {
            return;
        }
        let index = usize::try_from(number - state.first).unwrap_or(usize::MAX);
        if let Some(taken) = state.taken.get_mut(index) {
            taken.is_done = true;
        }
        while let Some(taken) = state.taken.pop_front_if(|taken| taken.is_done) {
            state.first += 1;
            state.done = Some(taken.position);
        }
    }
}

impl Receipt {
    /// Whether the change was not forgotten meanwhile.
    pub(super) fn is_current(&self) -> bool {
        self.progress.0.lock().generation == self.generation
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.progress.finish(self.generation, self.number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(number: usize) -> Position {
        Position::new(number.to_string())
    }

    #[test]
    fn what_was_forgotten_is_of_no_account() {
        let progress = Progress::default();
        let old = progress.take(position(1));
        progress.forget();
        assert!(!old.is_current());
        let new = progress.take(position(1));
        drop(old);
        assert!(new.is_current() && progress.done().is_none());
        drop(new);
        assert_eq!(progress.done(), Some(position(1)));
    }

    proptest! {
        /// `done` is the last position before which nothing is open, whatever ends when.
        #[test]
        fn it_is_done_with_what_has_nothing_open_before(
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)
        ) {
            let progress = Progress::default();
            let mut open: Vec<(usize, Arc<Receipt>)> = Vec::new();
            let mut taken = 0;
            for (takes, which) in steps {
                if takes {
                    taken += 1;
                    open.push((taken, progress.take(position(taken))));
                } else if !open.is_empty() {
                    open.remove(which.index(open.len()));
                }
                let oldest = open.iter().map(|(number, _)| *number).min();
                // The oldest open one, or the last one; changes that are done may be told by a later one.
                let most = oldest.map_or(taken, |oldest| oldest - 1);
                let expected = (most > 0).then(|| position(most));
                prop_assert_eq!(progress.done(), expected);
                let entries = progress.0.lock().taken.len();
                prop_assert!(entries <= 2 * open.len());
            }
        }
    }
}
