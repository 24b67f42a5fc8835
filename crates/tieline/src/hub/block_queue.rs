//! A queue in blocks, so that adding to a long one does not move what it holds.
//!
//! Knows nothing of its entries. An empty queue keeps one small block.

use std::collections::VecDeque;

/// Entries of a block.
const BLOCK: usize = 1024;

/// Places that an empty queue keeps.
const KEPT_CAPACITY: usize = 64;

#[derive(Debug)]
pub(super) struct BlockQueue<T> {
    /// No block but the last has room behind its entries, and none but the only one is empty.
    blocks: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> BlockQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            blocks: VecDeque::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.blocks.front()?.front()
    }

    pub(super) fn push_back(&mut self, entry: T) {
        self.len += 1;
        if let Some(last) = self.blocks.back_mut()
            && last.len() < BLOCK
        {
            return last.push_back(entry);
        }
        self.blocks.push_back(VecDeque::from([entry]));
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.blocks.front_mut()?;
        let entry = first.pop_front()?;
        self.len -= 1;
        if first.is_empty() && (self.len > 0 || first.capacity() > KEPT_CAPACITY) {
            self.blocks.pop_front();
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_from_any_number_of_blocks() {
        let (mut queue, mut next) = (BlockQueue::new(), 0);
        let mut pushed = 0;
        for (push, pop) in [(1, 1), (3000, 10), (5, 2995), (64, 64), (2048, 2048)] {
            for _ in 0..push {
                queue.push_back(pushed);
                pushed += 1;
            }
            for _ in 0..pop {
                assert_eq!(queue.front(), Some(&next));
                assert_eq!(queue.pop_front(), Some(next));
                next += 1;
            }
            assert_eq!(queue.len(), pushed - next);
        }
        assert_eq!(queue.pop_front(), None);
        assert_eq!(queue.front(), None);
    }

    #[test]
    fn an_empty_queue_keeps_little() {
        let mut queue = BlockQueue::new();
        (0..10_000).for_each(|i| queue.push_back(i));
        while queue.pop_front().is_some() {}
        let kept = queue.blocks.iter().map(VecDeque::capacity).sum::<usize>();
        assert!(kept <= KEPT_CAPACITY, "{kept}");
    }
}
