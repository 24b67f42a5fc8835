//! What has arrived, by its stamp: in the message itself, or, if it is a response, that of the request.
//!
//! Owns the requests without a response, what their receivers get, and the check of the first messages. Must not
//! know what an arrival means. Invariant: responses come in the order of the requests of their connection, as in HTTP/1.1.

use std::collections::VecDeque;

use crate::{
    http::Response,
    partition::Partition,
    plan::Plan,
    stamp::{Hint, Stamp},
    template::Template,
    wire::MessageCheck,
};

/// Identifies what arrives in a process.
#[derive(Debug)]
pub(super) enum Reader {
    /// Messages.
    Messages {
        hint: Hint,
        check: Option<MessageCheck>,
    },
    /// Responses.
    Responses {
        status: u16,
        /// The stamps of the requests of each connection, oldest first.
        requests: Vec<VecDeque<Stamp>>,
        /// Where the last stamp was, if there are receivers: their numbers follow those of the connections.
        receivers: Option<Hint>,
    },
}

/// What has arrived.
pub(super) enum Incoming {
    /// A measured message.
    Stamped(Stamp),
    /// What a request has sent, at the receiver of this connection.
    Delivered(usize, Stamp),
    /// Nothing that is measured.
    Other,
    /// The answer to a measured message, but not the right one, and why.
    Unexpected(Option<Stamp>, String),
}

impl Reader {
    pub(super) fn new(partition: &Partition) -> Self {
        let plan = &partition.plan;
        if let Some(request) = &plan.request {
            return Self::Responses {
                status: request.status,
                requests: vec![VecDeque::new(); partition.connections],
                receivers: plan.receiver_url().map(|_| Hint::default()),
            };
        }
        Self::Messages {
            hint: Hint::default(),
            check: check(plan),
        }
    }

    /// A connection sends a message, or a request; yields how many receivers get what it sends.
    #[inline]
    pub(super) fn on_sent(&mut self, sender: usize, stamp: Stamp) -> u64 {
        let Self::Responses {
            requests,
            receivers,
            ..
        } = self
        else {
            return 0;
        };
        requests[sender].push_back(stamp);
        receivers.is_some().into()
    }

    /// Identifies what has arrived at a connection.
    #[inline]
    pub(super) fn read(&mut self, at: usize, bytes: &[u8]) -> Incoming {
        match self {
            Self::Messages { hint, check } => {
                let Some(stamp) = Stamp::find(bytes, hint) else {
                    return Incoming::Other;
                };
                match check
                    .as_mut()
                    .map(|check| check.check(bytes, stamp.from as usize))
                {
                    Some(Err(why)) => Incoming::Unexpected(Some(stamp), why),
                    _ => Incoming::Stamped(stamp),
                }
            }
            Self::Responses {
                status,
                requests,
                receivers,
            } => {
                let connections = requests.len();
                match (requests.get_mut(at), receivers) {
                    (Some(requests), _) => match requests.pop_front() {
                        Some(stamp) if Response::status(bytes) == Some(*status) => {
                            Incoming::Stamped(stamp)
                        }
                        stamp => Incoming::Unexpected(stamp, describe(bytes)),
                    },
                    (None, Some(hint)) => match Stamp::find(bytes, hint) {
                        Some(stamp) => Incoming::Delivered(at - connections, stamp),
                        None => Incoming::Other,
                    },
                    (None, None) => Incoming::Other,
                }
            }
        }
    }
}

fn check(plan: &Plan) -> Option<MessageCheck> {
    let broadcast = plan.broadcast.as_ref().map(|flow| &flow.send);
    let sends = [&plan.send].into_iter().chain(broadcast);
    let sends = sends.map(|send| Template::parse(send, plan.room)).collect();
    MessageCheck::new(plan.wire, sends, plan.wire.payload(plan.size, plan.binary))
}

#[cold]
fn describe(bytes: &[u8]) -> String {
    match Response::at(bytes, 0) {
        Ok(Some(response)) => format!("unexpected response: {}", response.describe(bytes)),
        _ => "unexpected response".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::RequestPlan, validate::tests::plan};

    fn stamp(sequence: u32) -> Stamp {
        Stamp {
            time: 5,
            sequence,
            from: 0,
        }
    }

    #[test]
    fn responses_answer_the_requests_of_their_connection_in_order() {
        let mut plan = plan();
        plan.request = Some(RequestPlan {
            content_type: "text/plain".into(),
            status: 202,
            receiver_url: Some("ws://h:1/?id={id}".into()),
        });
        let mut reader = Reader::new(&Partition::whole(&plan));
        for (sender, sequence) in [(0, 1), (1, 2), (0, 3)] {
            assert_eq!(reader.on_sent(sender, stamp(sequence)), 1);
        }
        let accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        for (at, sequence) in [(1, 2), (0, 1)] {
            let Incoming::Stamped(found) = reader.read(at, accepted) else {
                panic!("it is expected");
            };
            assert_eq!(found, stamp(sequence));
        }
        let refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nkey";
        let Incoming::Unexpected(found, why) = reader.read(0, refused) else {
            panic!("it is unexpected");
        };
        assert_eq!(found, Some(stamp(3)));
        assert!(why.contains("401: key"), "{why}");
        assert!(matches!(
            reader.read(0, accepted),
            Incoming::Unexpected(None, _)
        ));
        let sent = b"payload: zt00000000000000050000000100000000";
        let received = reader.read(3, sent);
        assert!(matches!(received, Incoming::Delivered(1, found) if found == stamp(1)));
        assert!(matches!(reader.read(3, b"welcome"), Incoming::Other));
    }
}
