//! Read buffers that belong to threads, not to connections.
//!
//! Owns one buffer per thread. A connection takes it to read and gives it back before it waits, so
//! that an idle connection owns no buffer. Invariant: what a [`Chunk`] holds when its connection has
//! to wait is the connection's own copy.

use std::cell::Cell;

/// Bytes of one read. Larger reads save system calls on large messages and cost cache.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The bytes of one read, not yet decoded.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The thread's buffer, or a copy of what was left of it.
    bytes: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    own: bool,
}

impl Chunk {
    /// Takes the thread's buffer, to read into.
    pub(crate) fn take() -> Self {
        let bytes = SPARE
            .take()
            .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        Self {
            bytes: Some(bytes),
            start: 0,
            end: 0,
            own: false,
        }
    }

    /// A chunk of bytes that were read elsewhere.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        Self {
            end: bytes.len(),
            bytes: Some(bytes.into()),
            start: 0,
            own: true,
        }
    }

    /// The whole buffer, to read into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.bytes.as_deref_mut().unwrap_or_default()
    }

    /// Says how many bytes were read into [`Chunk::space`].
    pub(crate) fn fill(&mut self, n: usize) {
        self.end = n;
    }

    /// What is not decoded yet.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        let (start, end) = (self.start, self.end);
        &mut self.space()[start..end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Says how much of [`Chunk::rest`] was decoded.
    pub(crate) fn advance(&mut self, n: usize) {
        self.start += n;
    }

    /// Prepares for a wait: keeps a copy of what is left, and gives the thread its buffer back.
    pub(crate) fn park(&mut self) {
        if !self.own {
            let copy = Self::copy_of(self.rest());
            *self = copy;
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if !self.own {
            SPARE.set(self.bytes.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_chunk_keeps_its_rest_and_returns_the_buffer() {
        let mut chunk = Chunk::take();
        let buffer = chunk.space().as_ptr().addr();
        chunk.space()[..5].copy_from_slice(b"hello");
        chunk.fill(5);
        chunk.advance(2);
        chunk.park();
        let mut other = Chunk::take();
        assert_eq!(other.space().as_ptr().addr(), buffer);
        other.space()[..5].fill(0);
        assert_eq!(chunk.rest(), b"llo");
    }
}
