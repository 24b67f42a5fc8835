//! The application's end of a message that is sent in pieces.
//!
//! Owns the form of the fragments, and that a text is valid. Must not know outboxes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tieline_websocket::{AnyFrame, FrameKind};
use tokio::task::AbortHandle;

use super::{inner::ConnectionInner, pieces::Fragment, room::SendError};

/// The longest fragment: a longer piece is sent as several, so that pings and pongs have their turn.
const MAX_FRAGMENT: usize = 64 * 1024;

/// One message that is sent in pieces, as long as the application likes:
/// [`Connection::stream_text`](crate::Connection::stream_text) and
/// [`Connection::stream_binary`](crate::Connection::stream_binary) begin one. The client gets one message, in fragments.
///
/// Dropping it before [`finish`](Self::finish) closes the connection with code 1011, because a client that has a part
/// of a message cannot be sent anything else.
#[must_use = "dropping it closes the connection, unless nothing was written"]
pub struct MessageWriter {
    conn: Arc<ConnectionInner>,
    kind: FrameKind,
    /// For text.
    check: TextCheck,
    has_begun: bool,
    is_interrupted: bool,
    is_finished: bool,
    /// Closes the connection if nothing is written for too long.
    watch: AbortHandle,
}

impl MessageWriter {
    /// A writer for the message that has begun on this connection.
    pub(super) fn new(conn: Arc<ConnectionInner>, kind: FrameKind, watch: AbortHandle) -> Self {
        Self {
            conn,
            kind,
            check: TextCheck::default(),
            has_begun: false,
            is_interrupted: false,
            is_finished: false,
            watch,
        }
    }

    /// Sends a piece when the client's outbox has room, as [`Connection::send`](crate::Connection::send) does. Takes a `String`, a `Vec`,
    /// [`Bytes`] or a static `&str` without a copy. A text may be cut within a character. Where pieces are cut means
    /// nothing to the client; an empty one is not sent.
    ///
    /// Not cancel-safe: once the future was polled and is dropped before it is ready, a part may have been sent, and
    /// the message can only be given up.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection closes first; [`SendError::InvalidText`] if the text is no UTF-8, and
    /// then nothing of the piece is sent; [`SendError::Interrupted`] after a `write` that was dropped.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let piece = piece.into();
        if self.is_interrupted {
            return Err(SendError::Interrupted);
        }
        if self.kind == FrameKind::Text {
            self.check = self.check.then(&piece).ok_or(SendError::InvalidText)?;
        }
        self.is_interrupted = true;
        let sent = self.write_fragments(piece).await;
        self.is_interrupted = false;
        sent
    }

    async fn write_fragments(&mut self, mut rest: Bytes) -> Result<(), SendError> {
        while !rest.is_empty() {
            let payload = rest.split_to(rest.len().min(MAX_FRAGMENT));
            let fragment = AnyFrame::fragment(self.kind, !self.has_begun, false, payload);
            Fragment::new(&self.conn, fragment).await?;
            self.has_begun = true;
        }
        Ok(())
    }

    /// Ends the message. What has waited for that goes behind it. A message to which nothing was written is empty.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closed. [`SendError::InvalidText`] if a text ends within a
    /// character, and [`SendError::Interrupted`] after a `write` that was dropped: then the connection closes.
    pub fn finish(mut self) -> Result<(), SendError> {
        let last = self.last_fragment()?;
        // Another message may begin from here on.
        self.is_finished = true;
        self.conn.end_message(last)
    }

    /// Ends the message, and begins another of the same kind directly behind it: what has waited goes on waiting, now
    /// for the end of that one. For messages that belong together.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); after an error, the message can only be given up.
    pub fn next_message(&mut self) -> Result<(), SendError> {
        let last = self.last_fragment()?;
        self.conn.end_and_begin(last)?;
        self.has_begun = false;
        Ok(())
    }

    fn last_fragment(&self) -> Result<AnyFrame, SendError> {
        if self.is_interrupted {
            return Err(SendError::Interrupted);
        }
        if self.check.is_partial() {
            return Err(SendError::InvalidText);
        }
        let is_first = !self.has_begun;
        Ok(AnyFrame::fragment(self.kind, is_first, true, Bytes::new()))
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        self.watch.abort();
        if !self.is_finished {
            self.conn.abandon_message();
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("id", &self.conn.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Whether pieces together are valid UTF-8 so far: the first bytes of a character whose last have not come.
#[derive(Debug, Clone, Copy, Default)]
struct TextCheck {
    bytes: [u8; 4],
    len: usize,
}

impl TextCheck {
    /// The check after a further piece; `None` if it is not valid.
    fn then(mut self, mut piece: &[u8]) -> Option<Self> {
        while self.len > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Some(self);
            };
            piece = rest;
            self.bytes[self.len] = *first;
            self.len += 1;
            if partial(&self.bytes[..self.len])?.is_empty() {
                self.len = 0;
            }
        }
        let partial = partial(piece)?;
        self.bytes[..partial.len()].copy_from_slice(partial);
        self.len = partial.len();
        Some(self)
    }

    fn is_partial(&self) -> bool {
        self.len > 0
    }
}

/// The partial character at the end, of at most three bytes; `None` if the bytes before it are not valid.
fn partial(bytes: &[u8]) -> Option<&[u8]> {
    match str::from_utf8(bytes) {
        Ok(_) => Some(&[]),
        Err(error) if error.error_len().is_none() => Some(&bytes[error.valid_up_to()..]),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pieces: &[&[u8]]) -> bool {
        let mut check = TextCheck::default();
        for piece in pieces {
            match check.then(piece) {
                Some(next) => check = next,
                None => return false,
            }
        }
        !check.is_partial()
    }

    proptest! {
        #[test]
        fn a_text_is_valid_however_it_is_cut(
            bytes in prop_oneof![
                ".{0,20}".prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xbf_u8, Just(0xf0), Just(0xe2)], 0..8),
            ],
            size in 1..5_usize,
        ) {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(check(&pieces), str::from_utf8(&bytes).is_ok());
        }
    }
}
