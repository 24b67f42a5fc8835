//! Frames that the server sends (RFC 6455, section 5.2), encoded once and shared.
//!
//! Knows no connection. Invariants: a frame is immutable and unmasked, as a server's frames must be, and
//! complete (FIN) unless it is a fragment; it keeps one compressed form; a [`Frame`] is a message, so that no caller who may
//! send messages can send a close or a ping.

mod convert;
mod fragment;
mod holders;
mod payload;
mod prefixed;
mod tagged;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::close_frame::{CONTROL_MAX, CloseFrame};
use crate::deflate::{self, Deflate};

use self::payload::Payload;

/// The kind of a frame (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// A close.
    Close,
    /// A part of a message.
    Fragment,
}

impl FrameKind {
    fn opcode(self) -> u8 {
        match self {
            FrameKind::Text => 0x1,
            FrameKind::Binary => 0x2,
            FrameKind::Close => 0x8,
            FrameKind::Ping => 0x9,
            FrameKind::Pong => 0xa,
            FrameKind::Fragment => 0x0,
        }
    }

    fn is_data(self) -> bool {
        matches!(self, FrameKind::Text | FrameKind::Binary)
    }
}

/// An encoded message, shared by any number of connections.
///
/// A clone increments a reference count; the handle is eight bytes. A frame takes the buffer of the
/// `String`, `Vec` or `Bytes` that it is made from, without a copy: echoing a message costs one
/// allocation for the message and one for the frame. Slices are copied; for text that is part of the
/// program there is [`Frame::from_static`].
///
/// ```
/// use tieline_websocket::Frame;
///
/// let frame = Frame::text("Hello");
/// let encoded = frame.encoded(None);
/// assert_eq!(encoded.header, b"\x81\x05");
/// assert_eq!(encoded.payload, b"Hello");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(AnyFrame);

/// An encoded frame of any kind, as it is sent: a message or a control frame.
///
/// For the queue of a connection, which holds both. A message converts into it, but not back:
/// whoever accepts a [`Frame`] is never given a control frame.
///
/// ```
/// use tieline_websocket::{AnyFrame, Frame};
///
/// let queue: [AnyFrame; 2] = [Frame::text("Hello").into(), AnyFrame::ping(b"")];
/// assert_eq!(queue[1].encoded(None).header, b"\x89\x00");
/// ```
///
/// ```compile_fail,E0277
/// # use tieline_websocket::{AnyFrame, Frame};
/// let message: Frame = AnyFrame::close(None).into();
/// ```
#[derive(Clone)]
pub struct AnyFrame(Arc<Inner>);

struct Inner {
    kind: FrameKind,
    header: Header,
    /// Length of header and payload uncompressed, or [`RARE`]: asked for several times while a frame waits, it is
    /// nearer here than behind the kinds of payload.
    plain_len: u32,
    /// Who counts the queues in which the frame waits, and how many there are, in 32 bits each; see
    /// [`AnyFrame::retain`].
    holders: AtomicU64,
    payload: Payload<Prefixed, Tagged>,
    /// The inner `None`: compression gains nothing. Boxed because most frames are never compressed.
    deflated: OnceLock<Option<Box<Deflated>>>,
}

/// The `plain_len` of frames that are longer, or have a prefix or a tag.
const RARE: u32 = u32::MAX;

/// A prefix and a shared rest; see `prefixed`.
struct Prefixed {
    head: Head,
    rest: Frame,
    /// The payload in one piece, if somebody has asked for it.
    joined: OnceLock<Vec<u8>>,
}

/// A frame, and what the owner of its queue knows it by; see `tagged`.
struct Tagged {
    frame: Frame,
    tag: Tag,
}

/// What the owner of a queue knows a frame by.
pub(crate) type Tag = Arc<dyn Any + Send + Sync>;

/// The bytes before the shared rest: a header, the header of a stored block, and the prefix.
struct Head {
    bytes: [u8; 10 + 5 + AnyFrame::MAX_PREFIX],
    len: u8,
    prefix: u8,
}

struct Deflated {
    header: Header,
    payload: Vec<u8>,
}

impl AnyFrame {
    /// A ping (RFC 6455, section 5.5.2). Cuts the payload to 125 bytes.
    pub fn ping(payload: &[u8]) -> Self {
        let payload = control_payload(payload);
        AnyFrame::new(FrameKind::Ping, payload.len(), payload)
    }

    /// A pong (RFC 6455, section 5.5.3). Cuts the payload to 125 bytes.
    pub fn pong(payload: &[u8]) -> Self {
        let payload = control_payload(payload);
        AnyFrame::new(FrameKind::Pong, payload.len(), payload)
    }

    /// A close (RFC 6455, section 5.5.1), with an empty payload for `None`. To close a connection,
    /// use [`Protocol::close`](crate::Protocol::close), which keeps the state of the close handshake.
    pub fn close(close: Option<&CloseFrame>) -> Self {
        let payload = close.map(CloseFrame::encode).unwrap_or_default();
        AnyFrame::new(FrameKind::Close, payload.len(), payload)
    }

    /// The length is passed, because reading it from a payload that was just put together stalls the processor.
    #[inline]
    fn new(kind: FrameKind, length: usize, payload: impl Into<Payload<Prefixed, Tagged>>) -> Self {
        let payload = payload.into();
        debug_assert_eq!(payload.len(), length);
        let header = Header::new(kind, false, length);
        AnyFrame(Arc::new(Inner {
            kind,
            plain_len: header.plain_len(length),
            header,
            holders: AtomicU64::new(0),
            payload,
            deflated: OnceLock::new(),
        }))
    }

    /// The kind of the frame.
    #[inline]
    pub fn kind(&self) -> FrameKind {
        self.0.kind
    }

    /// The payload, uncompressed.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.0.payload
    }

    /// The bytes to send.
    ///
    /// Pass `deflate` for a connection that negotiated permessage-deflate. The first such call
    /// compresses the payload, on the calling thread and with its settings, so make it before you
    /// take a lock; all later calls share the result. A call never waits for another thread: if two
    /// threads compress the same frame at the same time, one of the results is dropped. Control
    /// frames, payloads below [`Deflate::threshold`] and payloads that compression does not shorten
    /// are sent uncompressed; RFC 7692, section 6.1, leaves the choice to the sender of each message.
    #[inline]
    pub fn encoded(&self, deflate: Option<&Deflate>) -> EncodedFrame<'_> {
        let inner = &*self.0;
        let payload: &[u8] = match &inner.payload {
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
            Payload::Prefixed(prefixed) => return prefixed.encoded(),
            Payload::Tagged(tagged) => return tagged.frame.encoded(deflate),
        };
        if let Some(deflated) = deflate.and_then(|settings| inner.deflated(settings)) {
            return EncodedFrame {
                header: deflated.header.bytes(),
                payload: &deflated.payload,
            };
        }
        EncodedFrame {
            header: inner.header.bytes(),
            payload,
        }
    }

    /// The length of what [`AnyFrame::encoded`] returns, in bytes.
    #[inline]
    pub fn encoded_len(&self, deflate: Option<&Deflate>) -> usize {
        let length = self.0.plain_len;
        if length != RARE && deflate.is_none() {
            return length as usize;
        }
        self.encoded_len_of_rare(deflate)
    }

    /// Apart, so that the rest is small enough to be inlined.
    #[inline(never)]
    fn encoded_len_of_rare(&self, deflate: Option<&Deflate>) -> usize {
        self.encoded(deflate).len()
    }

    /// The compressed payload, if the frame was compressed.
    fn compressed(&self) -> Option<&[u8]> {
        if let Payload::Tagged(tagged) = &self.0.payload {
            return tagged.frame.compressed();
        }
        Some(&self.0.deflated.get()?.as_deref()?.payload)
    }
}

impl Inner {
    fn deflated(&self, settings: &Deflate) -> Option<&Deflated> {
        if !self.kind.is_data() || self.payload.len() < settings.threshold {
            return None;
        }
        if self.deflated.get().is_none() {
            // Not inside the cell's initializer, where other threads would wait for this one.
            let made = self.compress(settings);
            let _ = self.deflated.set(made);
        }
        self.deflated.get()?.as_deref()
    }

    fn compress(&self, settings: &Deflate) -> Option<Box<Deflated>> {
        let payload = deflate::compress(&self.payload, settings.level)?;
        let header = Header::new(self.kind, true, payload.len());
        Some(Box::new(Deflated { header, payload }))
    }
}

fn control_payload(payload: &[u8]) -> Vec<u8> {
    payload[..payload.len().min(CONTROL_MAX)].to_vec()
}

/// The bytes of a frame in two parts, in the order in which to write them.
///
/// Write both at once, with a vectored write or after copying them together: two small writes cost
/// two system calls, and two packets on a socket without Nagle's algorithm.
#[derive(Clone, Copy, Debug)]
pub struct EncodedFrame<'a> {
    /// The header, 2 to 10 bytes.
    pub header: &'a [u8],
    /// The payload, possibly compressed, possibly empty.
    pub payload: &'a [u8],
}

impl EncodedFrame<'_> {
    /// The length of header and payload together, in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// Always false: a frame has a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An unmasked header. Inline, because an allocation costs more than its ten bytes.
struct Header {
    bytes: [u8; 10],
    len: u8,
}

impl Header {
    /// The bit RSV1, which says that a message is compressed.
    const COMPRESSED: u8 = 0x40;

    /// Of a frame whose header is elsewhere.
    const NONE: Self = Header {
        bytes: [0; 10],
        len: 0,
    };

    #[inline]
    fn new(kind: FrameKind, compressed: bool, length: usize) -> Self {
        let mut bytes = [0; 10];
        let rsv1 = if compressed { Header::COMPRESSED } else { 0 };
        bytes[0] = 0x80 | rsv1 | kind.opcode();
        let length = length as u64;
        let len = if let Ok(short @ 0..=125) = u8::try_from(length) {
            bytes[1] = short;
            2
        } else if let Ok(length) = u16::try_from(length) {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            4
        } else {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&length.to_be_bytes());
            10
        };
        Header { bytes, len }
    }

    /// The length with a payload of this length, for [`Inner::plain_len`].
    #[inline]
    fn plain_len(&self, payload: usize) -> u32 {
        u32::try_from(payload + usize::from(self.len)).unwrap_or(RARE)
    }

    #[inline]
    fn is_compressed(&self) -> bool {
        self.bytes[0] & Header::COMPRESSED != 0
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The kind, the payload and the bytes to send.
impl Deref for Frame {
    type Target = AnyFrame;

    #[inline]
    fn deref(&self) -> &AnyFrame {
        &self.0
    }
}

impl From<Frame> for AnyFrame {
    #[inline]
    fn from(message: Frame) -> Self {
        message.0
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AnyFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be secret and long, so a log shows their length only.
        f.debug_struct("Frame")
            .field("kind", &self.kind())
            .field("len", &self.payload().len())
            .finish()
    }
}

/// Frames are equal if kind and uncompressed payload are equal.
impl PartialEq for AnyFrame {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.payload() == other.payload()
    }
}

impl Eq for AnyFrame {}
