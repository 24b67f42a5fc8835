//! Frames with a tag, by which the owner of a queue knows one that leaves it.
//!
//! Must not know what the tag means. Invariant: a tagged frame is sent and counted as the frame without the tag,
//! with which it shares everything; a frame that has none pays nothing.

use std::ops::Deref;
use std::sync::{Arc, OnceLock, atomic::AtomicU64};

use super::payload::Payload;
use super::{AnyFrame, Frame, Header, Inner, RARE, Tag, Tagged};

impl Frame {
    /// The same frame with a tag, for one receiver. It shares the payload and its compressed form.
    ///
    /// For owners of queues that want to know what becomes of a frame: [`AnyFrame::tag`].
    #[doc(hidden)]
    pub fn tagged(&self, tag: Tag) -> Self {
        let frame = self.clone();
        Frame(AnyFrame(Arc::new(Inner {
            kind: self.kind(),
            header: Header::NONE,
            plain_len: RARE,
            holders: AtomicU64::new(0),
            payload: Payload::Tagged(Tagged { frame, tag }),
            deflated: OnceLock::new(),
        })))
    }
}

impl AnyFrame {
    /// The tag, if the frame has one, or the part that it shares with others.
    #[doc(hidden)]
    #[inline]
    pub fn tag(&self) -> Option<&Tag> {
        if self.0.plain_len == RARE {
            self.tag_of_rare()
        } else {
            None
        }
    }

    fn tag_of_rare(&self) -> Option<&Tag> {
        match &self.0.payload {
            Payload::Owned(_) | Payload::Shared(_) => None,
            Payload::Prefixed(prefixed) => prefixed.rest.tag(),
            Payload::Tagged(tagged) => Some(&tagged.tag),
        }
    }

    /// The frame without its tag.
    pub(super) fn untagged(&self) -> &Self {
        match &self.0.payload {
            Payload::Tagged(tagged) => tagged.frame.untagged(),
            _ => self,
        }
    }
}

impl Deref for Tagged {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.frame.payload()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::deflate::Deflate;
    use crate::frame::Prefixed;

    fn bytes(frame: &AnyFrame, deflate: Option<&Deflate>) -> Vec<u8> {
        let encoded = frame.encoded(deflate);
        [encoded.header, encoded.payload].concat()
    }

    #[test]
    fn a_tagged_frame_is_sent_as_without_its_tag() {
        let settings = Deflate::default();
        for text in ["short".to_owned(), "all work and no play ".repeat(100)] {
            let frame = Frame::text(text);
            let tag: Tag = Arc::new(7);
            let tagged = frame.tagged(Arc::clone(&tag));
            for deflate in [None, Some(&settings)] {
                assert_eq!(bytes(&tagged, deflate), bytes(&frame, deflate));
                let numbered = AnyFrame::prefixed(b"{1,", &tagged, deflate);
                let expected = AnyFrame::prefixed(b"{1,", &frame, deflate);
                assert_eq!(bytes(&numbered, deflate), bytes(&expected, deflate));
                assert!(numbered.tag().is_some_and(|found| Arc::ptr_eq(found, &tag)));
            }
            assert_eq!(tagged, frame);
            assert!(tagged.tag().is_some_and(|found| Arc::ptr_eq(found, &tag)));
            assert!(frame.tag().is_none());
        }
    }

    #[test]
    fn a_frame_and_its_tagged_one_count_once() {
        let frame = Frame::text("hello");
        let tagged = frame.tagged(Arc::new(()));
        assert!(frame.retain(1));
        assert!(!tagged.retain(1));
        assert!(!frame.release(1));
        assert!(tagged.release(1));
        assert_eq!(tagged.own_len(), 5);
    }

    #[test]
    fn other_frames_are_no_larger_for_it() {
        let without = size_of::<Payload<Prefixed, Bytes>>();
        assert!(size_of::<Payload<Prefixed, Tagged>>() <= without);
    }
}
