//! The payload of a frame: a buffer of its own, or a part of a shared one.
//!
//! Knows no frame. Invariant: neither is copied.

use std::ops::Deref;

use bytes::Bytes;

/// Two kinds, because making `Bytes` of a `Vec` with room to spare costs an allocation.
pub(super) enum Payload {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Payload {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Payload::Owned(bytes)
    }
}

impl From<Bytes> for Payload {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Payload::Shared(bytes)
    }
}
