//! The payload of a frame: a buffer of its own, a part of a shared one, or a prefix and a shared rest.
//!
//! Invariant: none is copied to be sent.

use std::ops::Deref;

use bytes::Bytes;

/// Two kinds, because making `Bytes` of a `Vec` with room to spare costs an allocation.
pub(super) enum Payload<P> {
    Owned(Vec<u8>),
    Shared(Bytes),
    /// Boxed, so that other frames pay nothing for it.
    Prefixed(Box<P>),
}

impl<P: Deref<Target = [u8]>> Deref for Payload<P> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
            Payload::Prefixed(prefixed) => prefixed,
        }
    }
}

impl<P> From<Vec<u8>> for Payload<P> {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Payload::Owned(bytes)
    }
}

impl<P> From<Bytes> for Payload<P> {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Payload::Shared(bytes)
    }
}
