//! Read buffers that belong to threads, not to connections.
//!
//! Owns one buffer per thread. A connection takes it to read and returns it before it waits, so that an idle
//! connection owns no buffer. Must not know what the bytes mean. Invariant: what a [`ReadBuffer`] holds
//! while its connection waits is the connection's own copy.

use std::{cell::Cell, task::Poll};

/// Bytes of one read. Larger reads save system calls on large messages but cost cache.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The bytes of one read, not yet decoded; empty while the connection waits for more.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    /// The thread's buffer, or a copy of what was left of it. Told apart by their length: a flag would take a
    /// word of each connection.
    bytes: Option<Box<[u8]>>,
    start: u32,
    end: u32,
}

impl ReadBuffer {
    /// Bytes that were read elsewhere.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        Self {
            end: offset(bytes.len()),
            bytes: (!bytes.is_empty()).then(|| bytes.into()),
            start: 0,
        }
    }

    /// Takes the thread's buffer, lets `read` fill it, and returns it if nothing came.
    pub(crate) fn read<E>(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Poll<Result<usize, E>>,
    ) -> Poll<Result<usize, E>> {
        let mut bytes = SPARE
            .take()
            .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
        let polled = read(&mut bytes);
        *self = Self {
            bytes: Some(bytes),
            start: 0,
            end: if let Poll::Ready(Ok(n)) = polled {
                offset(n)
            } else {
                0
            },
        };
        if self.is_empty() {
            self.clear();
        }
        polled
    }

    /// The bytes that are not decoded yet.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        let (start, end) = (self.start, self.end);
        &mut self.bytes.as_deref_mut().unwrap_or_default()[start as usize..end as usize]
    }

    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Skips the first `n` bytes of [`ReadBuffer::rest`], which were decoded. When none are left, the buffer
    /// is returned to the thread.
    pub(crate) fn advance(&mut self, n: usize) {
        self.start += offset(n);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Prepares for a wait: keeps a copy of what is left, and returns the buffer to the thread. If all of it is left,
    /// the connection keeps the buffer, and the thread makes itself another.
    pub(crate) fn keep_rest(&mut self) {
        if self.is_borrowed() && self.len() < SIZE {
            let copy = Self::copy_of(self.rest());
            *self = copy;
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the bytes are a thread's, or can be given to one.
    fn is_borrowed(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| bytes.len() == SIZE)
    }
}

/// 32 bits suffice, and every idle connection holds two offsets.
fn offset(n: usize) -> u32 {
    u32::try_from(n).expect("a buffer holds one read, or what came with a request")
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if self.is_borrowed() {
            SPARE.set(self.bytes.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffer: &mut ReadBuffer, text: &[u8]) -> usize {
        let mut address = 0;
        let polled = buffer.read(|space| {
            address = space.as_ptr().addr();
            space[..text.len()].copy_from_slice(text);
            Poll::Ready(Ok::<_, ()>(text.len()))
        });
        assert_eq!(polled, Poll::Ready(Ok(text.len())));
        address
    }

    #[test]
    fn a_kept_rest_is_a_copy_and_the_thread_gets_its_buffer_back() {
        let (mut buffer, mut other) = (ReadBuffer::default(), ReadBuffer::default());
        let address = read(&mut buffer, b"hello");
        buffer.advance(2);
        buffer.keep_rest();
        assert_eq!(read(&mut other, b"world"), address);
        assert_eq!(buffer.rest(), b"llo");
    }

    #[test]
    fn a_full_buffer_is_kept_without_a_copy_and_becomes_a_threads_later() {
        let (mut buffer, mut other) = (ReadBuffer::default(), ReadBuffer::default());
        let full = vec![7; SIZE];
        let address = read(&mut buffer, &full);
        buffer.keep_rest();
        assert_ne!(read(&mut other, b"world"), address);
        assert_eq!(other.rest(), b"world");
        assert_eq!(buffer.rest(), full);
        buffer.advance(SIZE);
        assert_eq!(read(&mut buffer, b"hello"), address);
    }

    #[test]
    fn a_decoded_buffer_returns_that_of_the_thread() {
        let (mut buffer, mut other) = (ReadBuffer::default(), ReadBuffer::default());
        let address = read(&mut buffer, b"hello");
        buffer.advance(5);
        assert_eq!(read(&mut other, b"world"), address);
        assert!(buffer.bytes.is_none());
    }

    #[test]
    fn nothing_read_keeps_no_buffer() {
        let mut buffer = ReadBuffer::default();
        assert!(
            buffer
                .read(|_| Poll::<Result<usize, ()>>::Pending)
                .is_pending()
        );
        assert!(buffer.bytes.is_none() && buffer.is_empty());
    }
}
