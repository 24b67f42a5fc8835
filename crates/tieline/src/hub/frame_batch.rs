//! Frames that leave together, and their encoded bytes in one piece.
//!
//! Knows neither the receivers nor the outcomes: what the sender keeps with each frame is opaque here. The
//! bytes are joined once per batch, dialect and encoding, for the first receiver that can take them, and
//! written to each receiver as they are.

use std::cell::OnceCell;

use tieline_websocket::{Deflate, Frame};

use super::{
    content::Cast,
    dialect::{DialectId, Dialects, Rendered},
};

/// Maximum number of frames, and of bytes of payload, that are joined.
pub(super) const MAX_FRAMES: usize = 256;
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Consecutive messages for the same receivers, each with a `T` of its sender.
pub(super) struct FrameBatch<T> {
    entries: Vec<(Cast, T)>,
    plain: Joined,
    /// For the other dialects; most hubs have none.
    others: OnceCell<Box<[Joined]>>,
}

/// What the clients of one dialect get.
#[derive(Default)]
struct Joined {
    plain: OnceCell<Vec<u8>>,
    deflated: OnceCell<Vec<u8>>,
}

/// How a receiver reads.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) dialects: &'a Dialects,
    pub(super) dialect: DialectId,
    pub(super) deflate: Option<&'a Deflate>,
}

impl<T> FrameBatch<T> {
    pub(super) fn new(cast: Cast, tag: T) -> Self {
        Self {
            entries: vec![(cast, tag)],
            plain: Joined::default(),
            others: OnceCell::new(),
        }
    }

    pub(super) fn push(&mut self, cast: Cast, tag: T) {
        self.entries.push((cast, tag));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &(Cast, T)> {
        self.entries.iter()
    }

    /// What a receiver gets, with the places in the batch; what is not for its dialect is left out.
    pub(super) fn rendered<'a>(
        &'a self,
        reading: Reading<'a>,
    ) -> impl Iterator<Item = (usize, Rendered)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(move |(place, (cast, _))| {
            Some((place, cast.rendered(reading.dialects, reading.dialect)?))
        })
    }

    /// How many frames a receiver gets: all, if it reads plainly.
    pub(super) fn count(&self, reading: Reading<'_>) -> u64 {
        let count = match reading.dialect {
            DialectId::PLAIN => self.len(),
            _ => self.views(reading).count(),
        };
        count as u64
    }

    /// The same without clones: frames, and whether they are numbered.
    pub(super) fn views<'a>(
        &'a self,
        reading: Reading<'a>,
    ) -> impl Iterator<Item = (&'a Frame, bool)> {
        let entries = self.entries.iter();
        entries.filter_map(move |(cast, _)| cast.view(reading.dialects, reading.dialect))
    }

    /// The frames of what a receiver gets.
    pub(super) fn frames<'a>(&'a self, reading: Reading<'a>) -> impl Iterator<Item = &'a Frame> {
        self.views(reading).map(|(frame, _)| frame)
    }

    /// How many frames at the start have tags that fit; no fitting ones follow others.
    pub(super) fn partition_point(&self, fits: impl Fn(&T) -> bool) -> usize {
        self.entries.partition_point(|(_, tag)| fits(tag))
    }

    /// The encoded frames for a receiver in one piece; `None` if they are too long to be worth a copy, if
    /// there are none, or if the receiver gets numbers of its own.
    pub(super) fn joined(&self, reading: Reading<'_>) -> Option<&[u8]> {
        if reading.dialects.opening(reading.dialect).is_some() {
            return None;
        }
        let joined = self.of_dialect(reading)?;
        let joined = if reading.deflate.is_some() {
            &joined.deflated
        } else {
            &joined.plain
        };
        let bytes = joined.get_or_init(|| {
            let mut bytes = Vec::new();
            for frame in self.frames(reading) {
                let encoded = frame.encoded(reading.deflate);
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

    fn of_dialect(&self, reading: Reading<'_>) -> Option<&Joined> {
        let Some(other) = reading.dialect.index().checked_sub(1) else {
            return Some(&self.plain);
        };
        let others = || (1..reading.dialects.len()).map(|_| Joined::default());
        self.others.get_or_init(|| others().collect()).get(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(dialects: &Dialects) -> Reading<'_> {
        Reading {
            dialects,
            dialect: DialectId::PLAIN,
            deflate: None,
        }
    }

    #[test]
    fn frames_are_joined_in_order() {
        let dialects = Dialects::new();
        let mut batch = FrameBatch::new(Cast::Frame(Frame::text("a")), 1);
        batch.push(Cast::Frame(Frame::text("bc")), 2);
        let joined = batch.joined(reading(&dialects)).unwrap();
        assert_eq!(joined, b"\x81\x01a\x81\x02bc");
        assert!(batch.entries().map(|(_, tag)| tag).eq(&[1, 2]));
    }

    #[test]
    fn long_frames_are_not_copied() {
        let dialects = Dialects::new();
        let long = Frame::binary(vec![0; 2 * MAX_BYTES]);
        let batch = FrameBatch::new(Cast::Frame(long), ());
        assert_eq!(batch.joined(reading(&dialects)), None);
    }
}
