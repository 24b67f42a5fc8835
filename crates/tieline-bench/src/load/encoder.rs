//! The frames that are sent, encoded once: what remains for each message is its stamp.

use crate::{frame, partition::Share, plan::Plan, stamp::Stamp, template::Template};

/// The messages of a process.
#[derive(Debug)]
pub(super) struct Messages {
    first: usize,
    /// One for all, where the template does not tell connections apart; else one for each, made
    /// when it first sends.
    frames: Vec<Option<Encoded>>,
    template: Template,
    opcode: u8,
    size: usize,
    sequence: u32,
}

#[derive(Debug)]
struct Encoded {
    bytes: Vec<u8>,
    /// Where the payload stands.
    payload: usize,
}

impl Messages {
    pub(super) fn new(share: &Share) -> Self {
        let Plan { send, binary, .. } = &share.plan;
        let template = Template::parse(send);
        let kinds = if template.is_common() {
            1
        } else {
            share.connections
        };
        Self {
            first: share.first,
            frames: (0..kinds).map(|_| None).collect(),
            opcode: if *binary { frame::BINARY } else { frame::TEXT },
            size: share.plan.size,
            sequence: 0,
            template,
        }
    }

    /// How many were made: the next one's number.
    pub(super) fn made(&self) -> u32 {
        self.sequence
    }

    /// Appends the next message of a connection, which should leave at `time`.
    #[inline]
    pub(super) fn append(&mut self, out: &mut Vec<u8>, at: usize, time: u64) {
        let kind = if self.frames.len() == 1 { 0 } else { at };
        let number = self.first + at;
        let frame = self.frames[kind]
            .get_or_insert_with(|| Encoded::new(&self.template, number, self.size, self.opcode));
        let payload = out.len() + frame.payload;
        out.extend_from_slice(&frame.bytes);
        let stamp = Stamp {
            time,
            sequence: self.sequence,
            from: u32::try_from(number).unwrap_or(u32::MAX),
        };
        stamp.write(&mut out[payload..]);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

impl Encoded {
    fn new(template: &Template, number: usize, size: usize, opcode: u8) -> Self {
        let (text, payload) = template.fill(number, size);
        let mut bytes = Vec::new();
        frame::header(&mut bytes, opcode, text.len(), true);
        let payload = bytes.len() + payload.start;
        bytes.extend_from_slice(text.as_bytes());
        Self { bytes, payload }
    }
}
