//! A client's side of the protocol, written by hand for what no other implementation offers:
//! compression, any fragmentation, any mask.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;
use tieline_websocket::{AnyFrame, FrameKind, Message};

/// A frame from a client; the test chooses every field.
#[derive(Clone, Debug)]
pub(crate) struct ClientFrame {
    pub(crate) first: u8,
    pub(crate) mask: [u8; 4],
    pub(crate) payload: Vec<u8>,
}

impl ClientFrame {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.first);
        match self.payload.len() {
            length @ 0..=125 => out.push(0x80 | u8::try_from(length).unwrap()),
            length @ 126..=0xffff => {
                out.push(0xfe);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                out.push(0xff);
                out.extend((length as u64).to_be_bytes());
            }
        }
        out.extend(self.mask);
        let mask = self.mask.iter().cycle();
        out.extend(self.payload.iter().zip(mask).map(|(byte, key)| byte ^ key));
    }
}

/// How a message is sent: its fragments and the control frames between them.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) message: Message,
    pub(crate) compressed: bool,
    pub(crate) cuts: Vec<prop::sample::Index>,
    pub(crate) controls: Vec<Option<(bool, Vec<u8>)>>,
    pub(crate) mask: [u8; 4],
}

impl Transfer {
    /// The frames of the message.
    pub(crate) fn frames(&self) -> Vec<ClientFrame> {
        let payload = if self.compressed {
            deflate(self.message.as_bytes())
        } else {
            self.message.as_bytes().to_vec()
        };
        let mut cuts: Vec<usize> = self
            .cuts
            .iter()
            .map(|it| it.index(payload.len() + 1))
            .collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let opcode = 1 + u8::from(self.message.as_text().is_none());
        let last = cuts.len() - 2;
        let mut frames = Vec::new();
        for (i, window) in cuts.windows(2).enumerate() {
            let first = if i == 0 {
                opcode | (u8::from(self.compressed) << 6)
            } else {
                0
            };
            if let Some(Some((ping, payload))) = self.controls.get(i) {
                let first = if *ping { 0x89 } else { 0x8a };
                frames.push(self.frame(first, payload));
            }
            let first = first | if i == last { 0x80 } else { 0 };
            frames.push(self.frame(first, &payload[window[0]..window[1]]));
        }
        frames
    }

    fn frame(&self, first: u8, payload: &[u8]) -> ClientFrame {
        ClientFrame {
            first,
            mask: self.mask,
            payload: payload.to_vec(),
        }
    }
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<String>().prop_map(Message::Text),
        "[a-cü€😀]{0,400}".prop_map(Message::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Message::Binary),
        (0_usize..70_000, any::<u8>()).prop_map(|(n, byte)| Message::Binary(vec![byte; n])),
    ]
}

/// Any message in any fragments, compressed at random if `deflate` is set.
pub(crate) fn transfer(deflate: bool) -> impl Strategy<Value = Transfer> {
    let control = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=125));
    (
        message(),
        any::<bool>(),
        prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        prop::collection::vec(prop::option::of(control), 0..6),
        any::<[u8; 4]>(),
    )
        .prop_map(
            move |(message, compressed, cuts, controls, mask)| Transfer {
                message,
                compressed: compressed && deflate,
                cuts,
                controls,
                mask,
            },
        )
}

/// The payload of a compressed message (RFC 7692, section 7.2.1).
pub(crate) fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 100);
    Compress::new(Compression::new(4), false)
        .compress_vec(payload, &mut out, FlushCompress::Sync)
        .unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// Decodes a frame from the server as a client does: whether it is compressed, and the payload.
pub(crate) fn decode(frame: &AnyFrame, encoded: &[u8]) -> (bool, Vec<u8>) {
    let opcode = match frame.kind() {
        FrameKind::Text => 1,
        FrameKind::Binary => 2,
        FrameKind::Close => 8,
        FrameKind::Ping => 9,
        FrameKind::Pong => 10,
        FrameKind::Fragment => 0,
    };
    assert_eq!(encoded[0] & 0x8f, 0x80 | opcode);
    let (length, payload) = match encoded[1] {
        126 => (
            u16::from_be_bytes(encoded[2..4].try_into().unwrap()).into(),
            &encoded[4..],
        ),
        127 => (
            u64::from_be_bytes(encoded[2..10].try_into().unwrap()),
            &encoded[10..],
        ),
        short => (u64::from(short), &encoded[2..]),
    };
    assert_eq!(length, payload.len() as u64);
    if encoded[0] & 0x40 == 0 {
        return (false, payload.to_vec());
    }
    let compressed = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut out = Vec::with_capacity(frame.payload().len() + 100);
    Decompress::new(false)
        .decompress_vec(&compressed, &mut out, FlushDecompress::Sync)
        .unwrap();
    (true, out)
}
