//! The gRPC service on which peers open streams.
//!
//! Owns the greeting of a stream and its place among the streams of its process. Invariant: until the greeting
//! is complete, the caller is a stranger: it ends no stream, nothing of it is received, and it takes no place of
//! a peer.

use std::{future::ready, pin::Pin, sync::Arc};

use futures_util::{StreamExt, TryFutureExt, stream::once};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, codegen::tokio_stream::Stream};

use super::{
    epoch_guard::StreamEpochs,
    receiver::{PeerInfo, Receiver},
    stream::InboundStream,
};
use crate::link::{
    caller::{Caller, Warnings},
    config::{HANDSHAKE_TIMEOUT, LinkConfig},
    greeting::{self, Agreement, GreetingError},
    proto::{self, Hello, Refusal, link_server},
};

/// Accepts the streams of peers.
#[derive(Clone)]
pub(in crate::link) struct LinkService {
    pub(in crate::link) receiver: Arc<dyn Receiver>,
    pub(in crate::link) config: Arc<LinkConfig>,
    pub(in crate::link) epochs: Arc<StreamEpochs>,
    pub(in crate::link) warnings: Arc<Warnings>,
    pub(in crate::link) shutdown: CancellationToken,
}

/// A greeting that awaits its confirmation.
struct Greeting {
    theirs: Hello,
    ours: Hello,
    agreement: Agreement,
}

type Incoming = Streaming<proto::RequestBatch>;

#[tonic::async_trait]
impl link_server::Link for LinkService {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<proto::ResponseBatch, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let caller = Caller::of(request.extensions())
            .ok_or_else(|| Status::internal("the call did not pass the authorizer"))?;
        let mut incoming = request.into_inner();
        let theirs = next(&mut incoming)
            .await?
            .and_then(|first| first.hello)
            .ok_or(GreetingError::Missing)?;
        let (agreement, ours) =
            greeting::answer(&self.config, &theirs).map_err(|error| self.refuse(&caller, error))?;
        let is_probe = theirs.epoch == 0;
        let answer = once(ready(Ok(proto::ResponseBatch {
            hello: Some(ours.clone()),
            ..proto::ResponseBatch::default()
        })));
        if is_probe {
            return Ok(Response::new(Box::pin(answer)));
        }
        // After the confirmation, the peer takes its link as up.
        caller.check_room()?;
        let greeting = Greeting {
            theirs,
            ours,
            agreement,
        };
        let confirmed = self.clone().confirm(greeting, incoming, caller);
        let stream = answer.chain(confirmed.try_flatten_stream());
        Ok(Response::new(Box::pin(stream)))
    }
}

impl LinkService {
    async fn confirm(
        self,
        greeting: Greeting,
        mut incoming: Incoming,
        caller: Caller,
    ) -> Result<InboundStream, Status> {
        let second = self.shutdown.run_until_cancelled(next(&mut incoming)).await;
        let second = second.ok_or_else(|| Status::unavailable(proto::NODE_SHUTDOWN))??;
        let confirmation = second
            .and_then(|second| second.confirmation)
            .ok_or_else(|| Status::invalid_argument("the second message is no confirmation"))?;
        if confirmation.refusal() != Refusal::None {
            let name = confirmation.refusal().as_str_name();
            self.warnings.warn_once(
                caller.from,
                confirmation.refusal(),
                &format_args!("the caller refused this node: {name}; its log says what to do"),
            );
            return Err(Status::aborted("the caller refused the link"));
        }
        let (theirs, ours) = (&greeting.theirs, &greeting.ours);
        if !greeting::is_confirmed(&self.config, theirs, ours, &confirmation) {
            return Err(self.refuse(&caller, GreetingError::Secret));
        }
        self.open(&greeting, incoming, &caller)
            .inspect_err(|status| self.warnings.warn(caller.from, &status.message()))
    }

    fn open(
        &self,
        greeting: &Greeting,
        incoming: Incoming,
        caller: &Caller,
    ) -> Result<InboundStream, Status> {
        let Greeting {
            theirs, agreement, ..
        } = greeting;
        caller.admit()?;
        let guard = self
            .epochs
            .enter(agreement.process, theirs.epoch, &self.shutdown)
            .ok_or_else(|| Status::aborted("a newer stream of the same process is open"))?;
        let peer = PeerInfo {
            address: (!theirs.address.is_empty()).then(|| theirs.address.as_str().into()),
            process: agreement.process,
            version: agreement.version,
            knows_this_process: theirs.expected == self.config.process.as_bytes()[..],
        };
        let address = peer.address.as_deref().unwrap_or_default();
        let (from, version) = (caller.from, peer.version);
        tracing::info!(%from, address, process = %peer.process, version, "peer opened a stream");
        self.receiver.stream_opened(&peer);
        let max_size = theirs.max_request(self.config.max_message_size()).get();
        let receiver = Arc::clone(&self.receiver);
        let clock = self.config.clock.clone();
        Ok(InboundStream::new(
            receiver, peer, guard, incoming, max_size, clock,
        ))
    }

    fn refuse(&self, caller: &Caller, error: GreetingError) -> Status {
        self.warnings
            .warn_once(caller.from, error.refusal(), &error);
        error.into()
    }
}

/// The next message of a greeting.
async fn next(incoming: &mut Incoming) -> Result<Option<proto::RequestBatch>, Status> {
    let message = timeout(HANDSHAKE_TIMEOUT, incoming.message());
    let late = |_| Status::deadline_exceeded("no message of the greeting arrived in time");
    message.await.map_err(late)?
}
