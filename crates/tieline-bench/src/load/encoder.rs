//! Encodes the frames or requests to send, once each: only the stamp differs from message to message.
//!
//! Owns the encoded messages and the sequence numbers of one kind of messages. Must not know when or why a message
//! is sent. Invariant: sequence numbers are consecutive, and wrap at 2^32.

use std::fmt;

use crate::{
    frame, http::Requests, partition::Partition, plan::Plan, stamp::Stamp, template::Template,
    wire::pusher::SignedRequest,
};

/// The messages of a process.
#[derive(Debug)]
pub(super) struct MessageEncoder {
    first: usize,
    /// One for all connections if it is common, else one for each, encoded when it first sends.
    messages: Vec<Option<EncodedTemplate>>,
    template: Template,
    payload: String,
    envelope: Envelope,
    sequence: u32,
}

/// What a message is in.
#[derive(Debug)]
enum Envelope {
    /// A frame with this opcode.
    Frame(u8),
    /// A request.
    Request(Requests),
}

impl MessageEncoder {
    pub(super) fn new(partition: &Partition, send: &str) -> anyhow::Result<Self> {
        let plan = &partition.plan;
        let template = Template::parse(send, plan.room);
        let envelope = match Requests::new(partition)? {
            Some(requests) => Envelope::Request(requests),
            None => Envelope::Frame(opcode(plan)),
        };
        // The URL of a request is its connection's.
        let is_common = template.is_common() && matches!(envelope, Envelope::Frame(_));
        let count = if is_common { 1 } else { partition.connections };
        Ok(Self {
            first: partition.first,
            messages: (0..count).map(|_| None).collect(),
            payload: plan.wire.payload(plan.size, plan.binary),
            template,
            envelope,
            sequence: 0,
        })
    }

    /// The number of the next message.
    pub(super) fn next_sequence(&self) -> u32 {
        self.sequence
    }

    /// Appends the next message of a connection, scheduled for `time`; yields its stamp.
    #[inline]
    pub(super) fn append(&mut self, out: &mut Vec<u8>, at: usize, time: u64) -> Stamp {
        let index = if self.messages.len() == 1 { 0 } else { at };
        let number = self.first + at;
        let message = self.messages[index].get_or_insert_with(|| {
            let (text, payload) = self.template.fill(number, &self.payload);
            self.envelope.encode(at, &text, payload.start)
        });
        let start = out.len();
        let payload = start + message.payload;
        out.extend_from_slice(&message.bytes);
        let stamp = Stamp {
            time,
            sequence: self.sequence,
            from: u32::try_from(number).unwrap_or(u32::MAX),
        };
        stamp.write(&mut out[payload..]);
        if let Some(signed) = &message.signed {
            signed.sign(&mut out[start..]);
        }
        self.sequence = self.sequence.wrapping_add(1);
        stamp
    }
}

struct EncodedTemplate {
    bytes: Vec<u8>,
    /// The position of the payload.
    payload: usize,
    /// How the request is signed, if its body is.
    signed: Option<SignedRequest>,
}

/// Without the bytes: those of a request have its token.
impl fmt::Debug for EncodedTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodedTemplate")
    }
}

fn opcode(plan: &Plan) -> u8 {
    if plan.binary && plan.wire.has_binary_frames() {
        frame::BINARY
    } else {
        frame::TEXT
    }
}

impl Envelope {
    /// The message of a connection, whose payload is at `payload` of the text.
    fn encode(&self, at: usize, text: &str, payload: usize) -> EncodedTemplate {
        let (mut bytes, mut signed) = (Vec::new(), None);
        match self {
            Self::Frame(opcode) => frame::header(&mut bytes, *opcode, text.len(), true),
            Self::Request(requests) => {
                let head = requests.head(at, text.len());
                signed = requests.signed(&head);
                bytes.extend(head.bytes());
            }
        }
        let payload = bytes.len() + payload;
        bytes.extend_from_slice(text.as_bytes());
        EncodedTemplate {
            bytes,
            payload,
            signed,
        }
    }
}
