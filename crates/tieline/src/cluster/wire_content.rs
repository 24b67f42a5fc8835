//! Content as it travels between nodes.
//!
//! Owns the numbers of a note's kind in link.proto. Must not know requests. Invariants: a note travels once,
//! with its data where a node that knows no notes looks for the payload of a frame; what cannot be read is
//! no content.

use bytes::Bytes;
use tieline_websocket::{Frame, FrameKind};

use crate::{
    hub::{Cast, Note, NoteKind},
    link::proto,
};

/// The numbers of `kind`. Sent on the wire: never change them.
const FRAME: u32 = 0;
const TEXT: u32 = 1;
const BINARY: u32 = 2;
/// The first kind of the application.
const OTHER: u32 = 3;

/// The fields of a request that sends something.
pub(super) struct WireContent<'a> {
    pub(super) data: &'a [u8],
    /// Whether a client of the plain dialect gets a binary message.
    pub(super) binary: bool,
    pub(super) kind: u32,
    pub(super) about: &'a [u8],
}

impl<'a> WireContent<'a> {
    pub(super) fn of(cast: &'a Cast) -> Self {
        match cast {
            // The filter has a field of its own.
            Cast::Filtered(filtered) => Self::of(&filtered.0),
            // So has the number of the tracker.
            Cast::Tracked(tracked) => Self::of(&tracked.0),
            Cast::Frame(frame) => Self {
                data: frame.payload(),
                binary: frame.kind() == FrameKind::Binary,
                kind: FRAME,
                about: &[],
            },
            Cast::Note(cast) => {
                let note = cast.note();
                let (binary, kind) = match note.kind() {
                    NoteKind::Text => (false, TEXT),
                    NoteKind::Binary => (true, BINARY),
                    NoteKind::Other(kind) => (true, OTHER + u32::from(kind)),
                };
                Self {
                    data: note.data(),
                    binary,
                    kind,
                    about: note.about(),
                }
            }
        }
    }

    pub(super) fn of_emit(emit: &'a proto::Emit) -> Self {
        Self {
            data: &emit.data,
            binary: emit.binary,
            kind: emit.kind,
            about: &emit.about,
        }
    }

    /// The content that a peer has sent; `None` for text that is not UTF-8, and for an unknown kind.
    pub(super) fn read(&self) -> Option<Cast> {
        let text = || std::str::from_utf8(self.data).ok();
        let note = match self.kind {
            FRAME if self.binary => return Some(Cast::Frame(Frame::binary(self.data))),
            FRAME => return Some(Cast::Frame(Frame::text(text()?))),
            TEXT => Note::text(text()?),
            // Copied, so that a note that waits does not keep the whole batch in memory.
            BINARY => Note::binary(Bytes::copy_from_slice(self.data)),
            kind => {
                let kind = u8::try_from(kind - OTHER).ok()?;
                Note::other(kind, Bytes::copy_from_slice(self.data))
            }
        };
        Some(note.with_about(Bytes::copy_from_slice(self.about)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(cast: &Cast) -> &Note {
        match cast {
            Cast::Note(cast) => cast.note(),
            _ => panic!("no note"),
        }
    }

    #[test]
    fn content_arrives_as_it_was_sent() {
        for frame in [Frame::text("a"), Frame::binary([1])] {
            let cast = Cast::Frame(frame.clone());
            let read = WireContent::of(&cast).read().unwrap();
            assert!(matches!(read, Cast::Frame(read) if read == frame));
        }
        for sent in [
            Note::text("é").with_about("x"),
            Note::binary(vec![255]),
            Note::other(0, "{}"),
            Note::other(255, "").with_about(vec![0]),
        ] {
            let cast = Cast::from(sent.clone());
            let read = WireContent::of(&cast).read().unwrap();
            assert_eq!(*note(&read), sent);
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_content() {
        for (kind, data) in [(FRAME, &[255][..]), (TEXT, &[255]), (OTHER + 256, b"a")] {
            let wire = WireContent {
                data,
                binary: false,
                kind,
                about: &[],
            };
            assert!(wire.read().is_none(), "{kind}");
        }
    }
}
