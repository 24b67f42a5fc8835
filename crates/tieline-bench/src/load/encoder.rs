//! Encodes the frames to send, once each: only the stamp differs from message to message.
//!
//! Owns the encoded frames and the sequence numbers of one kind of messages. Must not know when or why a message
//! is sent. Invariant: sequence numbers are consecutive, and wrap at 2^32.

use crate::{frame, partition::Partition, plan::Plan, stamp::Stamp, template::Template};

/// The frames of a process.
#[derive(Debug)]
pub(super) struct MessageEncoder {
    first: usize,
    /// One for all connections if the template is common, else one for each, encoded when it first
    /// sends.
    frames: Vec<Option<EncodedTemplate>>,
    template: Template,
    opcode: u8,
    size: usize,
    sequence: u32,
}

#[derive(Debug)]
struct EncodedTemplate {
    bytes: Vec<u8>,
    /// The position of the payload.
    payload: usize,
}

impl MessageEncoder {
    pub(super) fn new(partition: &Partition, send: &str) -> Self {
        let Plan { binary, room, .. } = &partition.plan;
        let template = Template::parse(send, *room);
        let count = if template.is_common() {
            1
        } else {
            partition.connections
        };
        Self {
            first: partition.first,
            frames: (0..count).map(|_| None).collect(),
            opcode: if *binary { frame::BINARY } else { frame::TEXT },
            size: partition.plan.size,
            sequence: 0,
            template,
        }
    }

    /// The number of the next message.
    pub(super) fn next_sequence(&self) -> u32 {
        self.sequence
    }

    /// Appends the next message of a connection, scheduled for `time`.
    #[inline]
    pub(super) fn append(&mut self, out: &mut Vec<u8>, at: usize, time: u64) {
        let index = if self.frames.len() == 1 { 0 } else { at };
        let number = self.first + at;
        let frame = self.frames[index].get_or_insert_with(|| {
            EncodedTemplate::new(&self.template, number, self.size, self.opcode)
        });
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

impl EncodedTemplate {
    fn new(template: &Template, number: usize, size: usize, opcode: u8) -> Self {
        let (text, payload) = template.fill(number, size);
        let mut bytes = Vec::new();
        frame::header(&mut bytes, opcode, text.len(), true);
        let payload = bytes.len() + payload.start;
        bytes.extend_from_slice(text.as_bytes());
        Self { bytes, payload }
    }
}
