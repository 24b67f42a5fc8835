//! One stream: hello, then what the peer decides.

use std::sync::Arc;

use tokio::time::{Instant, timeout};
use tonic::{Code, Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};

use super::{
    link::{LinkStatus, PeerView, Shared, complete_all, next_epoch},
    queue::Completions,
    run::LinkEnd,
    stream::OutboundStream,
};
use crate::link::{
    codec::BatchCodec,
    config::{GREETING_WITHIN, largest_post},
    outcome::Completion,
    proto::{self, HelloError},
    transport::Connection,
};

/// The call that the stream is.
const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

/// Exchanges until the stream ends.
pub(super) async fn exchange<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
) -> LinkEnd {
    let epoch = next_epoch();
    shared.state.lock().open(epoch, connection.tasks());
    let greeting = timeout(GREETING_WITHIN, greet(shared, connection, epoch)).await;
    let (mut incoming, hello) = match greeting {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(status)) => return refusal(&status),
        Err(_) => return LinkEnd::Broken("the peer does not greet".into()),
    };
    if let Err(error) = shared.greeted(&hello) {
        return LinkEnd::Refused(error.to_string());
    }
    let mut completions = Vec::new();
    loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                let is_sound = shared.heard(message, &mut completions);
                complete_all(&mut completions);
                if !is_sound {
                    return LinkEnd::Refused("the peer answers what it was not sent".into());
                }
            }
            Ok(None) => return LinkEnd::Broken("the peer ended the stream".into()),
            Err(status) if status.message() == proto::NODE_ENDS => return LinkEnd::Left,
            Err(status) => return LinkEnd::Broken(status.message().to_owned()),
        }
    }
}

async fn greet<T: Completion>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    epoch: u64,
) -> Result<(Streaming<proto::ResponseBatch>, proto::Hello), Status> {
    let mut request = Request::new(OutboundStream::new(Arc::clone(shared), epoch));
    shared.config.trust.attach_secret(request.metadata_mut());
    let mut client = Grpc::with_origin(connection.requests.clone(), connection.origin.clone())
        .max_decoding_message_size(shared.config.largest());
    let is_ready = client.ready().await;
    is_ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let answered = client
        .streaming(request, PathAndQuery::from_static(EXCHANGE), BatchCodec)
        .await;
    let mut incoming = answered?.into_inner();
    let hello = incoming.message().await?.and_then(|first| first.hello);
    Ok((incoming, hello.ok_or(HelloError::Missing)?))
}

fn refusal(status: &Status) -> LinkEnd {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unimplemented => LinkEnd::Foreign,
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied => LinkEnd::Refused(why),
        _ => LinkEnd::Broken(why),
    }
}

impl<T: Completion> Shared<T> {
    fn greeted(&self, hello: &proto::Hello) -> Result<(), HelloError> {
        let (process, version) = hello.agree(&self.config)?;
        *self.known.write() = PeerView::of(process);
        let largest = largest_post(hello, &self.config);
        let sender = self.state.lock().greet(largest, Instant::now());
        if let Some(sender) = sender {
            sender.wake();
        }
        // The timer slept while nothing was up.
        self.busy.notify_one();
        self.announce(LinkStatus::Up);
        tracing::info!(peer = %self.address, %process, version, "link up");
        Ok(())
    }

    /// Takes in one message; false if it makes no sense.
    fn heard(&self, message: proto::ResponseBatch, completions: &mut Completions<T>) -> bool {
        let seen = message.interest.as_ref().map(|news| {
            self.known.write().learn(news);
            news.version
        });
        let mut state = self.state.lock();
        let recovered = state.heard(Instant::now());
        let is_sound = state.decide(message, completions);
        // Interest is gone by from here on: only now the peer hears so.
        let sender = seen
            .filter(|version| *version > 0)
            .and_then(|version| state.saw(version));
        if recovered {
            self.announce(LinkStatus::Up);
        }
        drop(state);
        if let Some(sender) = sender {
            sender.wake();
        }
        if recovered {
            tracing::info!(peer = %self.address, "the peer answers again");
        }
        is_sound
    }
}
