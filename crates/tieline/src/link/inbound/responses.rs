//! What a stream owes its peer: the responses that are ready, and those that come later.
//!
//! Owns when each of them goes into the next message. Must not know requests. Invariant: an answer that takes its
//! time holds up neither the stream nor any other response.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, Sleep, sleep};

use super::{
    receiver::{BoxFuture, MaybeReady, Response},
    response::ResponseBuilder,
};
use crate::{
    link::proto::{self, OutcomeCode},
    written::WriteOutcome,
};

/// Responses that may be pending at once; beyond it the stream is not read. Most are messages to many
/// clients, and the queues of the shards are shorter than this.
const MAX_PENDING: usize = 4_096;
/// Reports that may be due at once: of clients that do not read. Beyond it there is none, and the stream goes on.
const MAX_REPORTS: usize = 4_096;
/// Size of one message, unless a single response is larger.
const MESSAGE_BYTES: usize = 256 << 10;

/// How long the outcome of an ask waits for its answer, which stands for it, up to twice as long: nearly every callback
/// is quicker, and the two travel as one.
const OUTCOME_DELAY: Duration = Duration::from_millis(20);

const DELIVERED: Response = Response::Code(OutcomeCode::Delivered);

/// Responses by the number of their request.
type Numbered<T> = FuturesUnordered<BoxFuture<(u64, T)>>;

pub(super) struct Responses {
    pub(super) message: ResponseBuilder,
    /// The largest message that the peer accepts.
    max_size: usize,
    pending: Numbered<MaybeReady>,
    /// Of callbacks, whose number the node bounds.
    answers: Numbered<Response>,
    /// On messages that have not left.
    reports: Numbered<Response>,
    /// Asks whose outcome has not been sent.
    begun: VecDeque<u64>,
    /// The first of them that have waited since the last tick; at the next they are sent.
    due: usize,
    tick: Option<Pin<Box<Sleep>>>,
    /// An answer that did not fit the last message.
    deferred: Option<(u64, Response)>,
}

impl Responses {
    pub(super) fn new(max_size: usize) -> Self {
        Self {
            message: ResponseBuilder::default(),
            max_size,
            pending: Numbered::new(),
            answers: Numbered::new(),
            reports: Numbered::new(),
            begun: VecDeque::new(),
            due: 0,
            tick: None,
            deferred: None,
        }
    }

    /// Whether the next message takes more.
    pub(super) fn has_room(&self) -> bool {
        // One response always fits an empty message.
        self.message.is_empty() || self.message.size() < MESSAGE_BYTES.min(self.max_size / 4)
    }

    /// Whether further requests are to be read.
    pub(super) fn takes_requests(&self) -> bool {
        self.pending.len() < MAX_PENDING && self.has_room()
    }

    /// Whether everything that was received is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
            && self.answers.is_empty()
            && self.reports.is_empty()
            && self.deferred.is_none()
    }

    /// Takes the response to the request with this number.
    pub(super) fn take(&mut self, number: u64, response: MaybeReady) {
        match response {
            MaybeReady::Ready(response) => self.message.response(number, response, self.max_size),
            MaybeReady::Later(response) => {
                let response = response.map(move |r| (number, MaybeReady::Ready(r)));
                self.pending.push(Box::pin(response));
            }
            MaybeReady::Undecided(response) => {
                let response = response.map(move |response| (number, response));
                self.pending.push(Box::pin(response));
            }
            MaybeReady::Begun(answer) => {
                self.begun.push_back(number);
                let answer = answer.map(move |answer| (number, answer));
                self.answers.push(Box::pin(answer));
            }
            MaybeReady::Tracked {
                response,
                number: report,
                outcome,
            } => self.take_tracked(number, *response, report, outcome),
        }
    }

    fn take_tracked(
        &mut self,
        request: u64,
        response: MaybeReady,
        number: u64,
        outcome: BoxFuture<WriteOutcome>,
    ) {
        let is_delivered = match &response {
            MaybeReady::Ready(response) => Some(*response == DELIVERED),
            _ => None,
        };
        self.take(request, response);
        match is_delivered {
            Some(false) => {}
            Some(true) if self.reports.len() >= MAX_REPORTS => {
                let outcome = WriteOutcome::Unknown;
                let report = Response::Report { number, outcome };
                self.message.response(request, report, self.max_size);
            }
            // Of those that are undecided, there is a bounded number.
            Some(true) | None => {
                let report =
                    outcome.map(move |outcome| (request, Response::Report { number, outcome }));
                self.reports.push(Box::pin(report));
            }
        }
    }

    /// Takes in what is ready by now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        while self.has_room()
            && let Poll::Ready(Some((number, response))) = self.pending.poll_next_unpin(cx)
        {
            self.take(number, response);
        }
        while self.has_room()
            && let Some((number, answer)) = self.next_answer(cx)
        {
            if !self.message.has_room_for(&answer, self.max_size) {
                self.deferred = Some((number, answer));
                return;
            }
            self.on_answer(number);
            self.message.response(number, answer, self.max_size);
        }
        while self.has_room()
            && let Poll::Ready(Some((number, report))) = self.reports.poll_next_unpin(cx)
        {
            self.message.response(number, report, self.max_size);
        }
        self.poll_outcomes(cx);
    }

    /// Sends the outcomes of asks whose answers take longer.
    fn poll_outcomes(&mut self, cx: &mut Context<'_>) {
        if self.begun.is_empty() {
            return;
        }
        let tick = self
            .tick
            .get_or_insert_with(|| Box::pin(sleep(OUTCOME_DELAY)));
        while tick.poll_unpin(cx).is_ready() {
            tick.as_mut().reset(Instant::now() + OUTCOME_DELAY);
            for number in self.begun.drain(..self.due) {
                self.message.response(number, DELIVERED, self.max_size);
            }
            self.due = self.begun.len();
        }
    }

    /// The answer stands for the outcome, unless that was sent.
    fn on_answer(&mut self, number: u64) {
        if let Some(index) = self.begun.iter().position(|begun| *begun == number) {
            self.begun.remove(index);
            self.due -= usize::from(index < self.due);
        }
    }

    fn next_answer(&mut self, cx: &mut Context<'_>) -> Option<(u64, Response)> {
        self.deferred
            .take()
            .or_else(|| match self.answers.poll_next_unpin(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending => None,
            })
    }

    pub(super) fn take_message(&mut self) -> Option<proto::ResponseBatch> {
        self.message.take()
    }
}
