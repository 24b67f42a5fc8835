//! Builds the next message to the peer: run-length outcomes, responses, interest, a pong.
//!
//! Owns the size of the message: the outcomes of consecutive requests share one part, and a listing is
//! truncated to fit. Must not know streams. Invariant: `size` is an upper bound of the encoded size.

use bytes::Bytes;

use super::receiver::Response;
use crate::{
    ask::AskError,
    link::proto::{self, OutcomeCode},
};

/// Upper bound of the encoded size of one part beside its content.
const PART_OVERHEAD: usize = 32;
/// The same for one name of a listing.
const NAME_OVERHEAD: usize = 6;

#[derive(Default)]
pub(super) struct ResponseBuilder {
    message: proto::ResponseBatch,
    /// The number of the first of `codes`.
    first: u64,
    /// Outcomes of consecutive requests, not yet in `message`.
    codes: Vec<u8>,
    /// An upper bound of the encoded size.
    size: usize,
}

impl ResponseBuilder {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Adds the response to one request. A listing is truncated so that the message stays below `max_size`.
    pub(super) fn response(&mut self, number: u64, response: Response, max_size: usize) {
        let kind = match response {
            Response::Code(code) => return self.code(number, code),
            Response::Reached(reached) => proto::response::Kind::Reached(reached.into()),
            Response::Listing { names, more } => {
                proto::response::Kind::Listing(self.listing(names, more, max_size))
            }
            Response::Counts(counts) => proto::response::Kind::Counts(counts.into()),
            Response::Codes(codes) => {
                self.size += codes.len();
                proto::response::Kind::Codes(proto::Codes {
                    codes: codes.into(),
                })
            }
            Response::Answer { ask, answer } => {
                proto::response::Kind::Answer(self.answer(ask, answer, max_size))
            }
            Response::Report { number, outcome } => {
                proto::response::Kind::Report(proto::Report::new(number, outcome))
            }
        };
        self.size += PART_OVERHEAD;
        self.message.responses.push(proto::Response {
            number,
            kind: Some(kind),
        });
    }

    fn code(&mut self, number: u64, code: OutcomeCode) {
        if self.codes.is_empty() || self.first + self.codes.len() as u64 != number {
            self.finish_codes();
            self.first = number;
            self.size += PART_OVERHEAD;
        }
        self.codes.push(code as u8);
        self.size += 1;
    }

    fn finish_codes(&mut self) {
        if !self.codes.is_empty() {
            self.message.outcomes.push(proto::Outcomes {
                first: self.first,
                codes: std::mem::take(&mut self.codes).into(),
            });
        }
    }

    fn listing(&mut self, mut names: Vec<Bytes>, more: bool, max_size: usize) -> proto::Listing {
        let room = max_size.saturating_sub(self.size + 4 * PART_OVERHEAD);
        let mut size = 0;
        let fitting = names
            .iter()
            .take_while(|name| {
                size += name.len() + NAME_OVERHEAD;
                size <= room
            })
            .count();
        let is_truncated = fitting < names.len();
        names.truncate(fitting);
        self.size += size.min(room);
        proto::Listing {
            names,
            more: more || is_truncated,
        }
    }

    /// Whether an answer fits this message. One that fits no message does: it is replaced.
    pub(super) fn has_room_for(&self, response: &Response, max_size: usize) -> bool {
        let Response::Answer { answer, .. } = response else {
            return true;
        };
        let length = answer.as_ref().map_or(0, Bytes::len);
        self.is_empty() || self.size + length + 4 * PART_OVERHEAD <= max_size
    }

    fn answer(
        &mut self,
        ask: u64,
        answer: Result<Bytes, AskError>,
        max_size: usize,
    ) -> proto::Answer {
        let is_too_large = |reply: &Bytes| reply.len() + 8 * PART_OVERHEAD > max_size;
        let answer = match answer {
            Ok(reply) if is_too_large(&reply) => Err(AskError::TooLarge),
            answer => answer,
        };
        let answer = proto::Answer::new(ask, answer);
        self.size += PART_OVERHEAD + answer.data.len();
        answer
    }

    pub(super) fn interest(&mut self, interest: proto::Interest) {
        self.size += PART_OVERHEAD + 8 * (interest.gained.len() + interest.lost.len());
        self.message.interest = Some(interest);
    }

    pub(super) fn pong(&mut self, number: u64) {
        self.size += PART_OVERHEAD;
        self.message.pong = number;
    }

    /// The message, unless it is empty.
    pub(super) fn take(&mut self) -> Option<proto::ResponseBatch> {
        if self.is_empty() {
            return None;
        }
        self.finish_codes();
        self.size = 0;
        Some(std::mem::take(&mut self.message))
    }
}
