//! Bounds on the memory and work that a client can cause.
//!
//! Only numbers; the decoder enforces them.

/// Bounds on what a client may send.
///
/// Each call of [`Protocol::receive`](crate::Protocol::receive) takes them by reference, so that a
/// connection holds no copy.
///
/// ```
/// use tieline_websocket::Limits;
///
/// let limits = Limits { message: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.fragments, 4_096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes, all fragments together; also the largest inflated size of a
    /// compressed message. A longer message ends the connection with 1009 as soon as a header
    /// declares it, before any payload is stored. Default 1 MiB, which is the memory that one client
    /// can hold by not finishing a message.
    pub message: usize,
    /// The most frames in one message. One more ends the connection with 1009. Default 4,096. It
    /// bounds the work of empty fragments, which no byte limit covers. A message in a single frame
    /// always passes.
    pub fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 1 << 20,
            fragments: 4096,
        }
    }
}

impl Limits {
    /// The most compressed bytes of one message. Deflate makes incompressible data longer, by five
    /// bytes per stored block, and a message at the limit must still pass.
    pub(crate) fn compressed(&self) -> usize {
        self.message
            .saturating_add(self.message / 128)
            .saturating_add(64)
    }
}
