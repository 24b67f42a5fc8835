//! In how many queues a frame waits, for owners that count the memory of what waits.
//!
//! Invariant: while one owner counts, a frame counts once for it, in however many of its queues it waits.

use std::sync::atomic::Ordering;

use super::AnyFrame;

impl AnyFrame {
    /// Notes that one more queue of an owner holds the frame; true if its memory counts once more.
    ///
    /// For owners of queues that count memory: a frame that waits in many queues exists once. While
    /// one owner counts its queues here, those of others count each by itself.
    #[doc(hidden)]
    pub fn retain(&self, owner: u32) -> bool {
        let retain = |holders| match split(holders) {
            (_, 0) => Some(join(owner, 1)),
            (of, count) if of == owner => Some(join(of, count.checked_add(1)?)),
            _ => None,
        };
        let before =
            self.untagged()
                .0
                .holders
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, retain);
        before.map_or(true, |before| split(before).1 == 0)
    }

    /// Notes that one queue less of an owner holds the frame; true if its memory counts once less.
    /// Call it once for each [`AnyFrame::retain`]; then each owner gets as many `true` from both.
    #[doc(hidden)]
    pub fn release(&self, owner: u32) -> bool {
        let release = |holders| match split(holders) {
            (of, count @ 1..) if of == owner => Some(join(of, count - 1)),
            _ => None,
        };
        let before =
            self.untagged()
                .0
                .holders
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, release);
        before.map_or(true, |before| split(before).1 == 1)
    }
}

/// The owner and the count of a frame's holders.
#[expect(clippy::cast_possible_truncation, reason = "each is one half")]
const fn split(holders: u64) -> (u32, u32) {
    ((holders >> 32) as u32, holders as u32)
}

const fn join(owner: u32, count: u32) -> u64 {
    (owner as u64) << 32 | count as u64
}
