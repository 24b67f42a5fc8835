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

    /// The report goes behind the response: on the other side, it says that the message was delivered.
    fn take_tracked(
        &mut self,
        request: u64,
        response: MaybeReady,
        number: u64,
        outcome: BoxFuture<WriteOutcome>,
    ) {
        let response = match response {
            MaybeReady::Ready(response) => response,
            MaybeReady::Later(response) => {
                let decided = response.map(move |response| {
                    let response = Box::new(MaybeReady::Ready(response));
                    let tracked = MaybeReady::Tracked {
                        response,
                        number,
                        outcome,
                    };
                    (request, tracked)
                });
                return self.pending.push(Box::pin(decided));
            }
            // Those of asks, which are not tracked.
            other => return self.take(request, other),
        };
        let is_delivered = response == DELIVERED;
        self.message.response(request, response, self.max_size);
        if !is_delivered {
            return;
        }
        if self.reports.len() >= MAX_REPORTS {
            let outcome = WriteOutcome::Unknown;
            let report = Response::Report { number, outcome };
            return self.message.response(request, report, self.max_size);
        }
        let report = outcome.map(move |outcome| (request, Response::Report { number, outcome }));
        self.reports.push(Box::pin(report));
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    const MAX_SIZE: usize = 1 << 20;

    /// A message that waits in its shard, what decides its delivery, and what becomes of it.
    fn undecided(
        number: u64,
        outcome: impl Future<Output = WriteOutcome> + Send + 'static,
    ) -> (oneshot::Sender<OutcomeCode>, MaybeReady) {
        let (sender, code) = oneshot::channel();
        let tracked = MaybeReady::Tracked {
            response: Box::new(MaybeReady::Later(Box::pin(async {
                Response::Code(code.await.unwrap())
            }))),
            number,
            outcome: Box::pin(outcome),
        };
        (sender, tracked)
    }

    fn poll(responses: &mut Responses) -> Option<proto::ResponseBatch> {
        responses.poll(&mut Context::from_waker(Waker::noop()));
        responses.take_message()
    }

    #[test]
    fn there_is_no_report_before_the_delivery_and_none_without() {
        let mut responses = Responses::new(MAX_SIZE);
        // Its sender is gone before the delivery is known, as where a connection refuses it.
        let gone = std::future::ready(WriteOutcome::Unknown);
        let (decide, tracked) = undecided(1, gone);
        responses.take(7, tracked);
        assert_eq!(poll(&mut responses), None);
        decide.send(OutcomeCode::NotHere).unwrap();
        let message = poll(&mut responses).unwrap();
        assert_eq!(message.outcomes[0].first, 7);
        assert_eq!(message.outcomes[0].codes[..], [OutcomeCode::NotHere as u8]);
        assert!(message.responses.is_empty(), "{message:?}");
        assert!(responses.is_settled());
    }

    #[test]
    fn so_many_reports_are_due_at_most_however_late_the_deliveries() {
        let mut responses = Responses::new(MAX_SIZE);
        let (mut delivered, mut reported) = (0, 0);
        for number in 0..=MAX_REPORTS as u64 {
            let (decide, tracked) = undecided(number, std::future::pending());
            responses.take(number, tracked);
            decide.send(OutcomeCode::Delivered).unwrap();
            let message = poll(&mut responses).unwrap();
            delivered += message.outcomes.len();
            reported += message.responses.len();
        }
        assert_eq!((delivered, reported), (MAX_REPORTS + 1, 1));
        assert_eq!(responses.reports.len(), MAX_REPORTS);
    }
}
