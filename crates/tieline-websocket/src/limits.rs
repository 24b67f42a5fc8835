//! What a client may make a connection hold. Only numbers; enforced by the decoder.

/// Bounds on what a client may send.
///
/// They are passed to [`Protocol::receive`](crate::Protocol::receive) by reference, so that a
/// connection holds no copy of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes, all fragments together; also the largest inflated size of a
    /// compressed one. A longer message ends the connection with 1009 as soon as a header
    /// declares it, before anything is stored. Default 1 MiB: what one client can make the
    /// server hold by not finishing a message.
    pub message: usize,
    /// The most frames that one message may consist of. One more ends the connection with 1009.
    /// Default 4,096. It bounds the work that empty fragments cause, which no byte limit sees.
    /// A message in a single frame always passes.
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
    /// The most compressed bytes of one message. Deflate makes incompressible data a little
    /// longer (five bytes per stored block), and a message at the very limit must still pass.
    pub(crate) fn compressed(&self) -> usize {
        self.message
            .saturating_add(self.message / 128)
            .saturating_add(64)
    }
}
