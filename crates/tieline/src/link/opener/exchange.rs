//! One stream: hello, then what the peer decides.

use std::sync::Arc;

use tokio::time::{Instant, timeout};
use tonic::{Code, Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};

use super::{Known, Shared, Standing, drive::Ended, next_epoch, sending::Sending, tell};
use crate::link::{
    outcome::Ticket,
    posting::BatchCodec,
    settings::{GREETING_WITHIN, largest_post},
    transport::Connection,
    wire::{self, HelloError},
};

/// The call that the stream is.
const EXCHANGE: &str = "/tieline.link.v1.Link/Exchange";

/// Exchanges until the stream ends.
pub(super) async fn exchange<T: Ticket>(shared: &Arc<Shared<T>>, connection: &Connection) -> Ended {
    let epoch = next_epoch();
    shared.state.lock().open(epoch, connection.tasks());
    let greeting = timeout(GREETING_WITHIN, greet(shared, connection, epoch)).await;
    let (mut incoming, hello) = match greeting {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(status)) => return refusal(&status),
        Err(_) => return Ended::Broken("the peer does not greet".into()),
    };
    if let Err(error) = shared.greeted(&hello) {
        return Ended::Refused(error.to_string());
    }
    let mut told = Vec::new();
    loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                let is_sound = shared.heard(message, &mut told);
                tell(&mut told);
                if !is_sound {
                    return Ended::Refused("the peer answers what it was not sent".into());
                }
            }
            Ok(None) => return Ended::Broken("the peer ended the stream".into()),
            Err(status) if status.message() == wire::NODE_ENDS => return Ended::Left,
            Err(status) => return Ended::Broken(status.message().to_owned()),
        }
    }
}

async fn greet<T: Ticket>(
    shared: &Arc<Shared<T>>,
    connection: &Connection,
    epoch: u64,
) -> Result<(Streaming<wire::Incoming>, wire::Hello), Status> {
    let mut request = Request::new(Sending::new(Arc::clone(shared), epoch));
    shared.settings.trust.show(request.metadata_mut());
    let mut client = Grpc::with_origin(connection.requests.clone(), connection.origin.clone())
        .max_decoding_message_size(shared.settings.largest());
    let is_ready = client.ready().await;
    is_ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let answered = client
        .streaming(request, PathAndQuery::from_static(EXCHANGE), BatchCodec)
        .await;
    let mut incoming = answered?.into_inner();
    let hello = incoming.message().await?.and_then(|first| first.hello);
    Ok((incoming, hello.ok_or(HelloError::Missing)?))
}

fn refusal(status: &Status) -> Ended {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unimplemented => Ended::Foreign,
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied => Ended::Refused(why),
        _ => Ended::Broken(why),
    }
}

impl<T: Ticket> Shared<T> {
    fn greeted(&self, hello: &wire::Hello) -> Result<(), HelloError> {
        let (process, version) = hello.agree(&self.settings)?;
        *self.known.write() = Known::of(process);
        let largest = largest_post(hello, &self.settings);
        let sender = self.state.lock().greet(largest, Instant::now());
        if let Some(sender) = sender {
            sender.wake();
        }
        // The timer slept while nothing was up.
        self.busy.notify_one();
        self.announce(Standing::Up);
        tracing::info!(peer = %self.address, %process, version, "link up");
        Ok(())
    }

    /// Takes in one message; false if it makes no sense.
    fn heard(&self, message: wire::Incoming, told: &mut super::Told<T>) -> bool {
        let seen = message.interest.as_ref().map(|news| {
            self.known.write().learn(news);
            news.version
        });
        let mut state = self.state.lock();
        let recovered = state.heard(Instant::now());
        let is_sound = state.decide(message, told);
        // Interest is gone by from here on: only now the peer hears so.
        let sender = seen
            .filter(|version| *version > 0)
            .and_then(|version| state.saw(version));
        if recovered {
            self.announce(Standing::Up);
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
