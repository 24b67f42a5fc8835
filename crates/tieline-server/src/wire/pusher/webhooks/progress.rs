//! How far a dispatcher is done with the changes that it has taken.
//!
//! Owns which of them are under way. Must not know what is done with them. Invariant: it is done with a change only if
//! it is done with all before it, so whoever goes on from there leaves nothing out.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tieline::Position;

/// The changes of one dispatcher. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Receipts of another one are of no account.
    generation: u64,
    /// The number of the next change.
    next: u64,
    /// By number, from the first that is under way. Of neighbours that are done, the last one alone: it says it all.
    taken: BTreeMap<u64, Taken>,
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
        let number = state.next;
        state.next += 1;
        let is_done = false;
        state.taken.insert(number, Taken { position, is_done });
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
        let taken = &mut state.taken;
        if let Some(taken) = taken.get_mut(&number) {
            taken.is_done = true;
        }
        let before = taken.range(..number).next_back();
        if let Some((&before, Taken { is_done: true, .. })) = before {
            taken.remove(&before);
        }
        let after = taken.range(number + 1..).next();
        if let Some((_, Taken { is_done: true, .. })) = after {
            taken.remove(&number);
        }
        if let Some(first) = taken.first_entry().filter(|first| first.get().is_done) {
            state.done = Some(first.remove().position);
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
                let most = oldest.map_or(taken, |oldest| oldest - 1);
                let expected = (most > 0).then(|| position(most));
                prop_assert_eq!(progress.done(), expected);
                let entries = progress.0.lock().taken.len();
                prop_assert!(entries <= 2 * open.len());
            }
        }
    }
}
