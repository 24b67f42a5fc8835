//! One stream: the hello of each side, then the outcomes that the peer sends.
//!
//! Owns the order of a stream's messages, and what a gRPC status means for the link. Must not know how
//! connections are dialed or what is queued. Invariants: nothing is sent or read before both sides know that
//! they belong together; an outcome for a request that was not sent ends the stream.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tonic::{Code, Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};

use super::{
    end::LinkEnd, peer_view::PeerView, queue::UnknownNumber, shared::Shared, stream::OutboundStream,
};
use crate::link::{
    codec::BatchCodec,
    config::HANDSHAKE_TIMEOUT,
    greeting::{self, Agreement, GreetingError},
    outcome::Completion,
    proto::{self, Confirmation, Hello, Refusal},
    transport::Connection,
};

/// The path of the gRPC method.
const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

/// How long a refused peer may take to learn why.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs one stream until it ends.
pub(super) async fn exchange<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
) -> LinkEnd {
    let epoch = next_epoch();
    shared.with_state(|state| state.on_connect(epoch, connection.tasks()));
    let ours = shared.hello(epoch);
    let (verdict, confirmation) = oneshot::channel();
    let outgoing = OutboundStream::new(Arc::clone(shared), ours.clone(), confirmation);
    let opening = timeout(HANDSHAKE_TIMEOUT, open(shared, connection, outgoing)).await;
    let (mut incoming, theirs) = match opening {
        Ok(Ok(opened)) => opened,
        Ok(Err(status)) => return on_refusal(&shared.address, &status),
        Err(_) => return LinkEnd::Broken("the peer's hello timed out".into()),
    };
    match greeting::check_answer(&shared.config, &shared.address, &ours, &theirs) {
        Ok((agreement, confirmation)) => {
            // Only an ended stream does not take it.
            drop(verdict.send(confirmation));
            shared.on_hello(agreement, &theirs);
        }
        Err(error) => {
            let refusal = Confirmation {
                refusal: error.refusal().into(),
                ..Confirmation::default()
            };
            drop(verdict.send(refusal));
            // The peer ends the stream once it has logged the reason.
            drop(timeout(REFUSAL_TIMEOUT, incoming.message()).await);
            return on_refusal(&shared.address, &error.into());
        }
    }
    loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                if shared.on_message(message).is_err() {
                    let why = "the peer answered a request that was not sent";
                    return LinkEnd::Refused(why.into());
                }
            }
            Ok(None) => return LinkEnd::Broken("the peer ended the stream".into()),
            Err(status) if status.message() == proto::NODE_SHUTDOWN => return LinkEnd::Shutdown,
            Err(status) => return LinkEnd::Broken(status.message().to_owned()),
        }
    }
}

/// Streams of this process are numbered in ascending order.
fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}

async fn open<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    outgoing: OutboundStream<T>,
) -> Result<(Streaming<proto::ResponseBatch>, Hello), Status> {
    let mut client = Grpc::with_origin(connection.requests.clone(), connection.origin.clone())
        .max_decoding_message_size(shared.config.max_message_size());
    let is_ready = client.ready().await;
    is_ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(EXCHANGE);
    let response = client.streaming(Request::new(outgoing), path, BatchCodec);
    let mut incoming = response.await?.into_inner();
    let hello = incoming.message().await?.and_then(|first| first.hello);
    Ok((incoming, hello.ok_or(GreetingError::Missing)?))
}

/// What a refusal of either side means for the link to this address.
fn on_refusal(address: &str, status: &Status) -> LinkEnd {
    let why = status.message().to_owned();
    match (greeting::refusal(status), status.code()) {
        (Refusal::Process | Refusal::Myself | Refusal::Address, _) => {
            match greeting::address_of_answerer(status) {
                Some(other) if *other != *address => LinkEnd::Alias(other),
                _ => LinkEnd::Replaced,
            }
        }
        (Refusal::None, Code::Unimplemented) => LinkEnd::UnaryOnly,
        // A peer of this version says why in a form that programs understand.
        (
            Refusal::None,
            Code::FailedPrecondition | Code::InvalidArgument | Code::Unauthenticated,
        ) => LinkEnd::Refused(format!(
            "{why}; the peer may run an older version of Tieline: run versions that have a version of the \
             link protocol in common"
        )),
        (Refusal::None, Code::PermissionDenied) => LinkEnd::Refused(why),
        (Refusal::None, _) => LinkEnd::Broken(why),
        _ => LinkEnd::Refused(why),
    }
}

impl<T: Completion> Shared<T> {
    fn hello(&self, epoch: u64) -> Hello {
        let expected = *self.expected.lock();
        let expected = expected.map_or_else(Bytes::new, |process| {
            Bytes::copy_from_slice(process.as_bytes())
        });
        Hello {
            expected,
            ..self.config.hello(epoch)
        }
    }

    fn on_hello(&self, agreement: Agreement, theirs: &Hello) {
        let Agreement { process, version } = agreement;
        self.set_view(PeerView::stream(process, version));
        let max_request = theirs.max_request(self.config.max_message_size());
        self.with_state(|state| state.on_hello(max_request, agreement.version, Instant::now()));
        tracing::info!(peer = %self.address, %process, version, "link up");
    }

    fn on_message(&self, mut message: proto::ResponseBatch) -> Result<(), UnknownNumber> {
        let mut reports = Vec::new();
        for response in &mut message.responses {
            match &mut response.kind {
                Some(proto::response::Kind::Answer(answer)) => {
                    let answer = std::mem::take(answer);
                    self.config.answers.answer(answer.ask, answer.answered());
                }
                Some(proto::response::Kind::Report(report)) => reports.push(*report),
                _ => {}
            }
        }
        let mut applied = None;
        if let Some(change) = &message.interest {
            self.peer_view.write().apply(change);
            applied = NonZeroU64::new(change.version);
        }
        let (recovered, result) = self.with_state(|state| {
            let now = Instant::now();
            let recovered = state.on_received(now);
            state.on_pong(message.pong, now);
            let result = state.on_outcomes(message);
            // Acknowledged after the change is applied, so that the peer may rely on it.
            if let Some(version) = applied {
                state.acknowledge_interest(version);
            }
            (recovered, result)
        });
        // After the outcomes: what was not delivered has none.
        for report in reports {
            self.config.reports.on_report(&self.address, &report);
        }
        if recovered {
            tracing::info!(peer = %self.address, "peer responding again");
        }
        result
    }
}
