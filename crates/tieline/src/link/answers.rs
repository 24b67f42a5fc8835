//! Asks that wait for their answers.
//!
//! Owns the number of each ask of this process, and who waits for its answer. Must not know requests. Invariant:
//! each ask gets one answer at most; one whose link has broken after its node began to answer gets it at once.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::proto::{Answer, AnswerKind};
use crate::ask::AskError;

/// What an ask yields.
pub(crate) type Answered = Result<Bytes, AskError>;

/// The asks of this process that have no answer yet.
#[derive(Default)]
pub(crate) struct Answers {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    sender: oneshot::Sender<Answered>,
    /// The peer that answers, once it has begun to.
    peer: Option<Arc<str>>,
}

impl Answers {
    /// A new ask, and its answer.
    pub(crate) fn expect(self: &Arc<Self>) -> (u64, PendingAnswer) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { sender, peer: None };
        self.waiting.lock().insert(number, waiting);
        let answers = Arc::clone(self);
        let pending = PendingAnswer {
            answers,
            number,
            answer,
        };
        (number, pending)
    }

    /// The answer to an ask. Whoever asked may have stopped waiting.
    pub(crate) fn answer(&self, number: u64, answer: Answered) {
        let waiting = self.waiting.lock().remove(&number);
        if let Some(waiting) = waiting {
            let _ = waiting.sender.send(answer);
        }
    }

    /// A peer has begun to answer.
    pub(crate) fn begun(&self, number: u64, peer: &Arc<str>) {
        if let Some(waiting) = self.waiting.lock().get_mut(&number) {
            waiting.peer = Some(Arc::clone(peer));
        }
    }

    /// The stream to a peer has ended, and what was sent there has its outcome: what the peer was about to answer is
    /// lost.
    pub(super) fn on_stream_end(&self, peer: &str) {
        let mut all = self.waiting.lock();
        let lost = all.extract_if(|_, waiting| waiting.peer.as_deref() == Some(peer));
        let lost: Vec<_> = lost.collect();
        drop(all);
        for (_, waiting) in lost {
            let _ = waiting.sender.send(Err(AskError::Unknown));
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

/// An answer that is waited for; dropped, nobody does any more.
#[derive(Debug)]
pub(crate) struct PendingAnswer {
    answers: Arc<Answers>,
    number: u64,
    answer: oneshot::Receiver<Answered>,
}

impl Future for PendingAnswer {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        // The sender is dropped only with the whole node.
        let answer = Pin::new(&mut self.answer).poll(cx);
        answer.map(|answer| answer.unwrap_or(Err(AskError::Unknown)))
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        self.answers.waiting.lock().remove(&self.number);
    }
}

impl Answer {
    /// The answer to the ask with this number, as the other side sees it.
    pub(super) fn new(ask: u64, answer: Answered) -> Self {
        let (kind, data) = match answer {
            Ok(reply) => (AnswerKind::Reply, reply),
            Err(AskError::Refused(why)) => (AnswerKind::Declined, why.into()),
            Err(AskError::Failed(why)) => (AnswerKind::Failed, why.into()),
            Err(AskError::Unsupported) => (AnswerKind::Unsupported, Bytes::new()),
            Err(AskError::TooLarge) => (AnswerKind::TooLarge, Bytes::new()),
            Err(_) => (AnswerKind::TimedOut, Bytes::new()),
        };
        let kind = kind.into();
        Self { ask, kind, data }
    }

    /// What whoever asked gets.
    pub(super) fn answered(self) -> Answered {
        let why = || String::from_utf8_lossy(&self.data).into_owned();
        Err(match AnswerKind::try_from(self.kind) {
            Ok(AnswerKind::Reply) => return Ok(self.data),
            Ok(AnswerKind::Declined) => AskError::Refused(why()),
            Ok(AnswerKind::Failed) => AskError::Failed(why()),
            Ok(AnswerKind::Unsupported) => AskError::Unsupported,
            Ok(AnswerKind::TimedOut) => AskError::TimedOut,
            Ok(AnswerKind::TooLarge) => AskError::TooLarge,
            // A kind of a later version.
            Err(_) => {
                AskError::Failed("the node answers in a way that this version does not know".into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_same_on_the_other_side() {
        let answers = [
            Ok(Bytes::from_static(b"yes")),
            Err(AskError::Refused("no".into())),
            Err(AskError::Failed("cannot".into())),
            Err(AskError::Unsupported),
            Err(AskError::TimedOut),
            Err(AskError::TooLarge),
        ];
        for answer in answers {
            assert_eq!(Answer::new(7, answer.clone()).answered(), answer);
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_fails_what_its_peer_answers_and_nothing_else() {
        let answers = Arc::new(Answers::default());
        let ((_, waiting), (lost, broken)) = (answers.expect(), answers.expect());
        let (other, theirs) = answers.expect();
        answers.begun(lost, &"a:1".into());
        answers.begun(other, &"b:1".into());
        answers.on_stream_end("a:1");
        assert_eq!(broken.await, Err(AskError::Unknown));
        answers.answer(other, Ok(Bytes::new()));
        assert_eq!(theirs.await, Ok(Bytes::new()));
        assert_eq!(answers.waiting.lock().len(), 1);
        drop(waiting);
        assert!(answers.waiting.lock().is_empty());
    }
}
