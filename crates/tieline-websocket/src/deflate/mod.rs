//! permessage-deflate (RFC 7692): compresses and inflates messages.
//!
//! Knows no frames. Each message is compressed independently (`no_context_takeover` in both
//! directions), so zlib's state belongs to the thread and is reset for each message: a connection
//! holds none, and one compressed form serves all receivers.

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::ProtocolError;
use crate::message::Message;
use crate::message_buffer::MessageBuffer;

/// The bytes that a sender removes from the end of each message, and a receiver appends (section
/// 7.2.1).
const TRAILER: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The size of an inflated chunk, in bytes. The limit is checked after each, so a decompression bomb
/// stops at most this far beyond it.
const CHUNK: usize = 16 * 1024;

/// How often one message may end its DEFLATE stream (BFINAL) and begin another. A client asks for a
/// restart with two bytes, which cost the server far more.
const MAX_RESTARTS: u32 = 1024;

/// How the server compresses messages.
///
/// Always with `server_no_context_takeover` and a window of 2^15 bytes. The defaults balance a cost
/// per message against bytes saved per receiver; the figures below are for JSON on one core.
///
/// ```
/// use tieline_websocket::{Deflate, Frame};
///
/// let deflate = Deflate { threshold: 100, ..Deflate::default() };
/// let frame = Frame::text("again and again ".repeat(100));
/// assert!(frame.encoded(Some(&deflate)).len() < frame.encoded(None).len() / 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// zlib's level, 1 (fast) to 9 (small); other values are clamped. Default 3: 64 KiB take 0.43 ms
    /// and shrink to 21 %. Level 6 takes twice the time for 20 %, level 1 half the time for 31 %. At
    /// 4 KiB and below, levels 3 and 6 hardly differ.
    pub level: u32,
    /// Payloads shorter than this many bytes are sent uncompressed. Default 256, where compression
    /// saves half; it saves a fifth at 128 bytes and nothing at 64, and takes at least 8 µs at any
    /// length.
    pub threshold: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Deflate {
            level: 3,
            threshold: 256,
        }
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater::new());
}

/// The compressed form of `payload` (section 7.2.1), or `None` if it would be no shorter.
pub(crate) fn compress(payload: &[u8], level: u32) -> Option<Vec<u8>> {
    let level = level.clamp(1, 9);
    COMPRESSOR.with_borrow_mut(|cached| {
        let state = match cached {
            Some((cached_level, state)) if *cached_level == level => {
                state.reset();
                state
            }
            _ => {
                let state = Compress::new(Compression::new(level), false);
                &mut cached.insert((level, state)).1
            }
        };
        compress_with(state, payload)
    })
}

fn compress_with(state: &mut Compress, payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(payload.len() / 4 + 64);
    let mut rest = payload;
    loop {
        let before = state.total_in();
        state
            .compress_vec(rest, &mut out, FlushCompress::Sync)
            .ok()?;
        let consumed = usize::try_from(state.total_in() - before).ok()?;
        rest = &rest[consumed..];
        // Room left over means that zlib has flushed everything.
        if rest.is_empty() && out.len() < out.capacity() {
            break;
        }
        if out.len() >= payload.len() + TRAILER.len() {
            return None;
        }
        out.reserve(out.len().max(64));
    }
    if !out.ends_with(&TRAILER) {
        return None;
    }
    out.truncate(out.len() - TRAILER.len());
    out.shrink_to_fit();
    (out.len() < payload.len()).then_some(out)
}

/// Inflates a message (section 7.2.2) of at most `limit` bytes; `text` is its kind.
pub(crate) fn inflate(
    compressed: &[u8],
    limit: usize,
    text: bool,
) -> Result<Message, ProtocolError> {
    let mut buffer = MessageBuffer::of(text);
    INFLATER.with_borrow_mut(|inflater| {
        inflater.begin();
        inflater.feed(compressed, limit, &mut buffer)?;
        inflater.feed(&TRAILER, limit, &mut buffer)
    })?;
    buffer.finish()
}

struct Inflater {
    state: Decompress,
    chunk: Box<[u8]>,
    restarts: u32,
}

impl Inflater {
    fn new() -> Self {
        Inflater {
            state: Decompress::new(false),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            restarts: 0,
        }
    }

    fn begin(&mut self) {
        self.state.reset(false);
        self.restarts = 0;
    }

    fn feed(
        &mut self,
        mut input: &[u8],
        limit: usize,
        buffer: &mut MessageBuffer,
    ) -> Result<(), ProtocolError> {
        loop {
            let (consumed, produced, status) = self.inflate_chunk(input)?;
            input = &input[consumed..];
            if buffer.len() + produced > limit {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            buffer.push(&self.chunk[..produced])?;
            if status == Status::StreamEnd {
                self.restart()?;
            } else if produced < self.chunk.len() {
                // zlib stopped because it needs more input; it will never take what it leaves.
                return match input {
                    [] => Ok(()),
                    _ => Err(ProtocolError::Inflate),
                };
            }
        }
    }

    fn inflate_chunk(&mut self, input: &[u8]) -> Result<(usize, usize, Status), ProtocolError> {
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let status = self
            .state
            .decompress(input, &mut self.chunk, FlushDecompress::Sync)
            .map_err(|_| ProtocolError::Inflate)?;
        let consumed = usize::try_from(self.state.total_in() - before_in);
        let produced = usize::try_from(self.state.total_out() - before_out);
        match (consumed, produced) {
            (Ok(consumed), Ok(produced)) => Ok((consumed, produced, status)),
            _ => Err(ProtocolError::Inflate),
        }
    }

    /// A block with BFINAL set ends zlib's stream, but not the message (section 7.2.3.4). The next
    /// stream cannot refer to the one before, which no known client does.
    fn restart(&mut self) -> Result<(), ProtocolError> {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            return Err(ProtocolError::Inflate);
        }
        self.state.reset(false);
        Ok(())
    }
}
