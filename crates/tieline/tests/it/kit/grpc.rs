//! gRPC calls without generated code: messages that the crate does not export, and a client for any
//! method.

use std::{net::SocketAddr, time::Duration};

use futures_util::{Stream, stream};
use tonic::{
    Request, Response, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EmitRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OnlineRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BroadcastRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) data: Vec<u8>,
}

/// An emit's success, or whether a client is online.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct YesNo {
    #[prost(bool, tag = "1")]
    pub(crate) yes: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Count {
    #[prost(int64, tag = "1")]
    pub(crate) count: i64,
}

/// The first message of a link.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) oldest: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) process: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(crate) epoch: u64,
    #[prost(string, tag = "7")]
    pub(crate) cluster: String,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) expected: Vec<u8>,
}

/// The second message of a link.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Confirmation {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) proof: Vec<u8>,
}

/// The part of a link's messages that the tests send.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    #[prost(message, optional, tag = "1")]
    pub(crate) hello: Option<Hello>,
    #[prost(message, optional, tag = "5")]
    pub(crate) confirmation: Option<Confirmation>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Reflect {
    #[prost(string, tag = "7")]
    pub(crate) list_services: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Reflected {
    #[prost(message, optional, tag = "6")]
    pub(crate) services: Option<Services>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Services {
    #[prost(message, repeated, tag = "1")]
    pub(crate) service: Vec<Service>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Service {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// A connection that is opened by its first call.
pub(crate) fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint
        .connect_timeout(Duration::from_secs(1))
        .connect_lazy()
}

fn with_secret<M>(message: M, secret: Option<&str>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(secret) = secret {
        let bearer: MetadataValue<_> = format!("Bearer {secret}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    request
}

fn codec<M, R>() -> ProstCodec<M, R> {
    ProstCodec::default()
}

async fn ready(channel: Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(grpc)
}

/// One call.
pub(crate) async fn call<M, R>(
    channel: Channel,
    method: &'static str,
    message: M,
    secret: Option<&str>,
) -> Result<R, Status>
where
    M: prost::Message + 'static,
    R: prost::Message + Default + 'static,
{
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static(method);
    let answer = grpc
        .unary(with_secret(message, secret), path, codec())
        .await;
    answer.map(Response::into_inner)
}

/// A stream that sends these messages, and then stays open until it is dropped.
pub(crate) async fn stream<M, R>(
    address: SocketAddr,
    method: &'static str,
    messages: Vec<M>,
    secret: Option<&str>,
) -> Result<Streaming<R>, Status>
where
    M: prost::Message + 'static,
    R: prost::Message + Default + 'static,
{
    let mut grpc = ready(channel(&address.to_string())).await?;
    let path = PathAndQuery::from_static(method);
    let messages = with_secret(endless(messages), secret);
    grpc.streaming(messages, path, codec())
        .await
        .map(Response::into_inner)
}

fn endless<M>(messages: Vec<M>) -> impl Stream<Item = M> {
    use futures_util::StreamExt;
    stream::iter(messages).chain(stream::pending())
}
