//! The header of a frame from a client (RFC 6455, section 5.2).
//!
//! Knows neither payloads nor limits. Invariant: the checks run in the order of the bytes, each as
//! soon as its byte has arrived, so the same bytes give the same error for every split.

use crate::error::ProtocolError;

/// The longest header of a masked frame, in bytes: 2 + 8 (length) + 4 (mask).
pub(crate) const HEADER_MAX: usize = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// The state that decides which headers are legal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// A fragmented message is incomplete.
    pub(crate) fragmented: bool,
    /// permessage-deflate was negotiated.
    pub(crate) inflate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// RSV1: the message that begins with this frame is compressed.
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: [u8; 4],
    /// Bytes of payload, below 2^63.
    pub(crate) length: u64,
}

/// Parses the header at the start of `bytes`: yields it and its length, or `None` if it is
/// incomplete.
pub(crate) fn parse(
    bytes: &[u8],
    context: Context,
) -> Result<Option<(Header, usize)>, ProtocolError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let opcode = check_first(first, context)?;
    let Some((&second, rest)) = rest.split_first() else {
        return Ok(None);
    };
    if second & 0x80 == 0 {
        return Err(ProtocolError::Unmasked);
    }
    let short = second & 0x7f;
    if opcode.is_control() && short > 125 {
        return Err(ProtocolError::ControlTooLong);
    }
    // A code has two bytes, so one byte of payload can never become valid.
    if opcode == Opcode::Close && short == 1 {
        return Err(ProtocolError::InvalidClosePayload);
    }
    let Some((length, rest)) = parse_length(short, rest)? else {
        return Ok(None);
    };
    let Some((&mask, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let header = Header {
        fin: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode,
        mask,
        length,
    };
    Ok(Some((header, bytes.len() - rest.len())))
}

/// Checks FIN, the reserved bits and the opcode.
fn check_first(first: u8, context: Context) -> Result<Opcode, ProtocolError> {
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        reserved => return Err(ProtocolError::ReservedOpcode(reserved)),
    };
    let starts_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    let allowed = if context.inflate && starts_message {
        0x40
    } else {
        0
    };
    if first & 0x70 & !allowed != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    if opcode.is_control() && first & 0x80 == 0 {
        return Err(ProtocolError::FragmentedControl);
    }
    if opcode == Opcode::Continuation && !context.fragmented {
        return Err(ProtocolError::UnexpectedContinuation);
    }
    if starts_message && context.fragmented {
        return Err(ProtocolError::UnfinishedMessage);
    }
    Ok(opcode)
}

/// Reads the extended length that `short` announces; `None` if it is incomplete.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (length, rest, min) = match short {
        126 => match rest.split_first_chunk::<2>() {
            Some((&bytes, rest)) => (u64::from(u16::from_be_bytes(bytes)), rest, 126),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((&bytes, rest)) => (u64::from_be_bytes(bytes), rest, 1 << 16),
            None => return Ok(None),
        },
        short => (u64::from(short), rest, 0),
    };
    if length >> 63 != 0 {
        return Err(ProtocolError::LengthOverflow);
    }
    if length < min {
        return Err(ProtocolError::NonMinimalLength);
    }
    Ok(Some((length, rest)))
}
