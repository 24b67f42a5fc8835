//! Frames that leave together, and their encoded bytes in one piece.
//!
//! Knows neither the receivers nor the outcomes: what the sender keeps with each frame is opaque here. The
//! bytes are joined once per batch and encoding, for the first receiver that can take them, and written to
//! each receiver as they are.

use std::cell::OnceCell;

use tieline_websocket::{Deflate, Frame};

/// Maximum number of frames, and of bytes of payload, that are joined.
pub(super) const MAX_FRAMES: usize = 256;
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Consecutive frames for the same receivers, each with a `T` of its sender.
pub(super) struct FrameBatch<T> {
    entries: Vec<(Frame, T)>,
    plain: OnceCell<Vec<u8>>,
    deflated: OnceCell<Vec<u8>>,
}

impl<T> FrameBatch<T> {
    pub(super) fn new(frame: Frame, tag: T) -> Self {
        Self {
            entries: vec![(frame, tag)],
            plain: OnceCell::new(),
            deflated: OnceCell::new(),
        }
    }

    pub(super) fn push(&mut self, frame: Frame, tag: T) {
        self.entries.push((frame, tag));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.entries.iter().map(|(frame, _)| frame)
    }

    /// How many frames at the start have tags that fit; no fitting ones follow others.
    pub(super) fn partition_point(&self, fits: impl Fn(&T) -> bool) -> usize {
        self.entries.partition_point(|(_, tag)| fits(tag))
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, tag)| tag)
    }

    /// The encoded frames in one piece; `None` if they are too long to be worth a copy.
    pub(super) fn joined(&self, deflate: Option<&Deflate>) -> Option<&[u8]> {
        let joined = if deflate.is_some() {
            &self.deflated
        } else {
            &self.plain
        };
        let bytes = joined.get_or_init(|| {
            let mut bytes = Vec::new();
            for frame in self.frames() {
                let encoded = frame.encoded(deflate);
                if bytes.len() + encoded.len() > 2 * MAX_BYTES {
                    return Vec::new();
                }
                bytes.extend_from_slice(encoded.header);
                bytes.extend_from_slice(encoded.payload);
            }
            bytes
        });
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Whether this many bytes are all of [`FrameBatch::joined`].
    pub(super) fn is_whole(&self, written: usize, deflate: Option<&Deflate>) -> bool {
        written > 0 && self.joined(deflate).map(<[u8]>::len) == Some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_in_order() {
        let mut batch = FrameBatch::new(Frame::text("a"), 1);
        batch.push(Frame::text("bc"), 2);
        let joined = batch.joined(None).unwrap();
        assert_eq!(joined, b"\x81\x01a\x81\x02bc");
        assert!(batch.is_whole(joined.len(), None));
        assert!(!batch.is_whole(joined.len() - 1, None));
        assert!(batch.tags().eq(&[1, 2]));
    }

    #[test]
    fn long_frames_are_not_copied() {
        let batch = FrameBatch::new(Frame::binary(vec![0; 2 * MAX_BYTES]), ());
        assert_eq!(batch.joined(None), None);
        assert!(!batch.is_whole(0, None));
    }
}
