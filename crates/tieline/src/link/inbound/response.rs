//! The message that goes back next: outcomes run-length, answers, interest, a pong.

use bytes::Bytes;

use super::receiver::Response;
use crate::link::proto::{self, OutcomeCode};

/// What one of a message's parts costs beside its content.
const PART: usize = 32;
/// The same of a name.
const NAME: usize = 6;

#[derive(Default)]
pub(super) struct ResponseBuilder {
    message: proto::ResponseBatch,
    /// The run of outcomes that grows.
    first: u64,
    codes: Vec<u8>,
    /// An upper bound of the encoded size.
    bytes: usize,
}

impl ResponseBuilder {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one answer. A listing is cut to what the peer reads.
    pub(super) fn answer(&mut self, number: u64, answer: Response, largest: usize) {
        let what = match answer {
            Response::Code(code) => return self.code(number, code),
            Response::Reached(reached) => proto::response::Kind::Reached(reached.into()),
            Response::Listing { names, more } => {
                proto::response::Kind::Listing(self.listing(names, more, largest))
            }
        };
        self.bytes += PART;
        self.message.responses.push(proto::Response {
            number,
            kind: Some(what),
        });
    }

    fn code(&mut self, number: u64, code: OutcomeCode) {
        if self.codes.is_empty() || self.first + self.codes.len() as u64 != number {
            self.end_run();
            self.first = number;
            self.bytes += PART;
        }
        self.codes.push(code as u8);
        self.bytes += 1;
    }

    fn end_run(&mut self) {
        if !self.codes.is_empty() {
            self.message.outcomes.push(proto::Outcomes {
                first: self.first,
                codes: std::mem::take(&mut self.codes).into(),
            });
        }
    }

    fn listing(&mut self, mut names: Vec<Bytes>, more: bool, largest: usize) -> proto::Listing {
        let room = largest.saturating_sub(self.bytes + 4 * PART);
        let mut size = 0;
        let fitting = names
            .iter()
            .take_while(|name| {
                size += name.len() + NAME;
                size <= room
            })
            .count();
        let is_cut = fitting < names.len();
        names.truncate(fitting);
        self.bytes += size.min(room);
        proto::Listing {
            names,
            more: more || is_cut,
        }
    }

    pub(super) fn interest(&mut self, news: proto::Interest) {
        self.bytes += PART + 8 * (news.gained.len() + news.lost.len());
        self.message.interest = Some(news);
    }

    pub(super) fn pong(&mut self, number: u64) {
        self.bytes += PART;
        self.message.pong = number;
    }

    /// The message, if there is anything to say.
    pub(super) fn take(&mut self) -> Option<proto::ResponseBatch> {
        if self.bytes == 0 {
            return None;
        }
        self.end_run();
        self.bytes = 0;
        Some(std::mem::take(&mut self.message))
    }
}
