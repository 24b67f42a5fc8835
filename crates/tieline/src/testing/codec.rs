//! The frames of a client: masked ones out, unmasked ones in (RFC 6455, section 5).
//!
//! Owns what has arrived of a frame and of a message in fragments. Must not know streams or tests.
//!
//! `tieline-websocket` is the server's side alone. A client library such as `tungstenite` would do, but every
//! application would compile it for its tests, and it answers pings and reads on its own terms: clients that
//! ignore pings or stop reading would need as much code around it as the frames take here.

use tieline_websocket::{AnyFrame, CloseCode, CloseFrame, FrameKind, Message};

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// In the place of a length: it follows in 16 or 64 bits.
const LENGTH_16: u8 = 0x7e;
const LENGTH_64: u8 = 0x7f;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Protects proxies from what a page makes a browser send; between two ends of a test any value will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Message(Message),
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseFrame>),
}

/// A complete frame, masked.
pub(super) fn encode(frame: &AnyFrame) -> Vec<u8> {
    let opcode = match frame.kind() {
        FrameKind::Text => TEXT,
        FrameKind::Binary => BINARY,
        FrameKind::Ping => PING,
        FrameKind::Pong => PONG,
        FrameKind::Close => CLOSE,
        FrameKind::Fragment => CONTINUATION,
    };
    let payload = frame.payload();
    let mut bytes = vec![FIN | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => bytes.push(MASKED | length),
        (_, Ok(length)) => {
            bytes.push(MASKED | LENGTH_16);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | LENGTH_64);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    let mask = MASK.iter().cycle();
    bytes.extend(payload.iter().zip(mask).map(|(byte, key)| byte ^ key));
    bytes
}

/// What has arrived and is not decoded yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// The opcode and the fragments of a message that is not complete.
    partial: Option<(u8, Vec<u8>)>,
}

impl Decoder {
    /// Where further bytes belong.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The next frame or message that is complete; `Err` says which rule the server broke.
    pub(super) fn decode(&mut self) -> Result<Option<Received>, &'static str> {
        while let Some((first, payload)) = self.take_frame()? {
            let opcode = first & 0x0f;
            let received = match (opcode, first & FIN != 0) {
                (PING, true) => Some(Received::Ping(payload)),
                (PONG, true) => Some(Received::Pong),
                (CLOSE, true) => Some(Received::Close(close_frame(&payload)?)),
                (CONTINUATION | TEXT | BINARY, is_final) => {
                    self.add_fragment(opcode, is_final, payload)?
                }
                _ => return Err("the server sent an invalid opcode"),
            };
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    /// The first byte and the payload of a complete frame.
    fn take_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, &'static str> {
        let [first, second, rest @ ..] = &self.buffer[..] else {
            return Ok(None);
        };
        if first & 0x70 != 0 || second & MASKED != 0 {
            return Err("the server sent a frame with a reserved bit or a mask");
        }
        let length = match second {
            &LENGTH_16 => rest
                .first_chunk()
                .map(|b| (4, u16::from_be_bytes(*b).into())),
            &LENGTH_64 => rest.first_chunk().map(|b| (10, u64::from_be_bytes(*b))),
            short => Some((2, u64::from(*short))),
        };
        let Some((header, length)) = length else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| "the server sent too long a frame")?;
        if self.buffer.len() - header < length {
            return Ok(None);
        }
        let first = *first;
        let mut frame = self.buffer.drain(..header + length);
        let payload = frame.by_ref().skip(header).collect();
        drop(frame);
        Ok(Some((first, payload)))
    }

    fn add_fragment(
        &mut self,
        opcode: u8,
        is_final: bool,
        payload: Vec<u8>,
    ) -> Result<Option<Received>, &'static str> {
        let (kind, data) = match (self.partial.take(), opcode) {
            (Some((kind, mut data)), CONTINUATION) => {
                data.extend(payload);
                (kind, data)
            }
            (None, TEXT | BINARY) => (opcode, payload),
            _ => return Err("the server sent fragments in the wrong order"),
        };
        if !is_final {
            self.partial = Some((kind, data));
            return Ok(None);
        }
        let message = if kind == TEXT {
            Message::Text(text(data)?)
        } else {
            Message::Binary(data)
        };
        Ok(Some(Received::Message(message)))
    }
}

fn close_frame(payload: &[u8]) -> Result<Option<CloseFrame>, &'static str> {
    let [high, low, reason @ ..] = payload else {
        return match payload {
            [] => Ok(None),
            _ => Err("the server sent half a close code"),
        };
    };
    let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
    let code = code.ok_or("the server sent an invalid close code")?;
    Ok(Some(CloseFrame::new(code, text(reason.to_vec())?)))
}

fn text(bytes: Vec<u8>) -> Result<String, &'static str> {
    String::from_utf8(bytes).map_err(|_| "the server sent text that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Received>, &'static str> {
        let mut decoder = Decoder::default();
        let (last, all_but_last) = bytes.split_last().unwrap();
        decoder.buffer().extend(all_but_last);
        assert_eq!(decoder.decode(), Ok(None), "one byte is missing");
        decoder.buffer().push(*last);
        decoder.decode()
    }

    #[test]
    fn messages_of_each_length_are_decoded_when_they_are_complete() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let frame = tieline_websocket::Frame::from(&payload[..]);
            let encoded = frame.encoded(None);
            let bytes = [encoded.header, encoded.payload].concat();
            let message = Received::Message(Message::Binary(payload));
            assert_eq!(decode(&bytes), Ok(Some(message)));
        }
    }

    #[test]
    fn fragments_become_one_message() {
        let hello = Received::Message(Message::Text("hello".into()));
        assert_eq!(decode(b"\x01\x03hel\x80\x02lo"), Ok(Some(hello)));
    }

    #[test]
    fn what_breaks_the_rules_is_named() {
        for bytes in [
            &b"\x81\x80"[..],    // masked
            b"\xc1\x00",         // compressed, which the client did not offer
            b"\x83\x00",         // unknown opcode
            b"\x80\x00",         // a continuation of nothing
            b"\x81\x01\xff",     // not UTF-8
            b"\x88\x02\x03\xed", // 1005 must not be sent
        ] {
            let mut decoder = Decoder::default();
            decoder.buffer().extend(bytes);
            decoder.decode().unwrap_err();
        }
    }
}
