//! Watches: the events of a range of keys from a revision on, as they come.
//!
//! Owns the stream, and why it ends. Must not know what the keys mean. A watch is bound to one endpoint: it ends with
//! the connection, and a server that is silent is noticed by the pings of the connection.

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{
    Request, Streaming,
    client::Grpc,
    codegen::tokio_stream::{self, StreamExt},
};
use tonic_prost::ProstCodec;

use super::{
    call_error::CallError,
    client::EtcdClient,
    endpoints::ChosenEndpoint,
    rpc::{Event, WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion},
};

/// The largest response, in bytes. All keys of a lease are deleted at one revision, and so in one response: this is
/// enough for a million entries with names of 50 bytes.
const MAX_RESPONSE: usize = 256 << 20;

pub(super) struct Watch {
    endpoint: ChosenEndpoint,
    responses: Streaming<WatchResponse>,
}

impl EtcdClient {
    /// Watches a range from a revision on. The first [`Watch::next`] says whether it is kept still.
    pub(super) async fn watch(
        &self,
        (key, range_end): (Bytes, Bytes),
        start_revision: i64,
    ) -> Result<Watch, CallError> {
        let create = WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest {
                key,
                range_end,
                start_revision,
            })),
        };
        let endpoint = self.endpoints().choose();
        // etcd ends the watch with its requests.
        let requests = tokio_stream::once(create).chain(tokio_stream::pending());
        let mut head = Request::new(());
        self.authorize(head.metadata_mut());
        let mut grpc = Grpc::new(endpoint.channel.clone()).max_decoding_message_size(MAX_RESPONSE);
        let refused = |error| CallError::NotExecuted(format!("etcd at {}: {error}", endpoint.name));
        let opened = async {
            grpc.ready().await.map_err(refused)?;
            let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
            let codec = ProstCodec::<_, WatchResponse>::default();
            let opened = grpc.streaming(head.map(|()| requests), path, codec).await;
            opened.map_err(|status| CallError::from_status(&status, &endpoint.name))
        };
        match opened.await {
            Ok(responses) => Ok(Watch {
                responses: responses.into_inner(),
                endpoint,
            }),
            Err(error) => {
                if error.is_of_endpoint() {
                    self.endpoints().failed(&endpoint);
                }
                Err(error)
            }
        }
    }
}

impl Watch {
    /// The next events, in order; none, perhaps. Those of one revision come together. May be dropped at any time: no
    /// event is lost.
    pub(super) async fn next(&mut self) -> Result<Vec<Event>, CallError> {
        let name = &self.endpoint.name;
        let response = match self.responses.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return Err(ended(name, "the watch has ended")),
            Err(status) => return Err(CallError::from_status(&status, name)),
        };
        if response.compact_revision > 0 {
            return Err(CallError::RevisionGone);
        }
        if response.canceled {
            return Err(ended(name, &response.cancel_reason));
        }
        Ok(response.events)
    }

    /// Whether this is where calls go. Where they fail, they go elsewhere.
    pub(super) fn is_at(&self, client: &EtcdClient) -> bool {
        self.endpoint.is_same(&client.endpoints().choose())
    }
}

fn ended(endpoint: &str, why: &str) -> CallError {
    CallError::Unknown(format!("etcd at {endpoint}: {why}"))
}
