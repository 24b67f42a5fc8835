//! The payload of a frame: a buffer of its own, a part of a shared one, a prefix and a shared rest, or that of
//! another frame, with a tag.
//!
//! Invariant: none is copied to be sent.

use std::ops::Deref;

use bytes::Bytes;

/// Two kinds, because making `Bytes` of a `Vec` with room to spare costs an allocation.
pub(super) enum Payload<P, T> {
    Owned(Vec<u8>),
    Shared(Bytes),
    /// Boxed, so that other frames pay nothing for it.
    Prefixed(Box<P>),
    /// No larger than the others.
    Tagged(T),
}

impl<P: Deref<Target = [u8]>, T: Deref<Target = [u8]>> Deref for Payload<P, T> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
            Payload::Prefixed(prefixed) => prefixed,
            Payload::Tagged(tagged) => tagged,
        }
    }
}

impl<P, T> From<Vec<u8>> for Payload<P, T> {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Payload::Owned(bytes)
    }
}

impl<P, T> From<Bytes> for Payload<P, T> {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Payload::Shared(bytes)
    }
}
