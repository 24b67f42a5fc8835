//! etcd's messages and calls.
//!
//! Owns the generated types, how each call is made, and short constructors for the parts of a transaction.
//! Must not know what the keys mean.

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{Status, client::Grpc, codegen::tokio_stream, transport::Channel};
use tonic_prost::ProstCodec;

use self::{
    compare::{CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};

#[expect(
    clippy::pedantic,
    clippy::doc_markdown,
    unreachable_pub,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
}

pub(super) use self::generated::*;

/// A call: what is sent, the response, and how.
pub(super) trait RpcRequest: Clone + Send + 'static {
    type Response;

    /// Makes the call with this head: deadline and metadata.
    fn send(
        self,
        grpc: Grpc<Channel>,
        head: tonic::Request<()>,
    ) -> impl Future<Output = Result<Self::Response, Status>> + Send;
}

macro_rules! calls {
    ($($request:ident => $response:ident, $path:literal;)*) => {
        $(impl RpcRequest for $request {
            type Response = $response;

            async fn send(
                self,
                mut grpc: Grpc<Channel>,
                head: tonic::Request<()>,
            ) -> Result<Self::Response, Status> {
                let path = PathAndQuery::from_static(concat!("/etcdserverpb.", $path));
                let response = grpc.unary(head.map(|()| self), path, ProstCodec::default());
                response.await.map(tonic::Response::into_inner)
            }
        })*
    };
}

calls! {
    RangeRequest => RangeResponse, "KV/Range";
    PutRequest => PutResponse, "KV/Put";
    DeleteRangeRequest => DeleteRangeResponse, "KV/DeleteRange";
    TxnRequest => TxnResponse, "KV/Txn";
    LeaseGrantRequest => LeaseGrantResponse, "Lease/LeaseGrant";
    LeaseRevokeRequest => LeaseRevokeResponse, "Lease/LeaseRevoke";
    LeaseTimeToLiveRequest => LeaseTimeToLiveResponse, "Lease/LeaseTimeToLive";
    AuthenticateRequest => AuthenticateResponse, "Auth/Authenticate";
}

/// Renews several leases on one stream. The response has how many seconds each lives from now, in order; 0
/// for one that has ended.
#[derive(Debug, Clone)]
pub(super) struct KeepAlives(pub(super) Vec<i64>);

impl RpcRequest for KeepAlives {
    type Response = Vec<i64>;

    async fn send(
        self,
        mut grpc: Grpc<Channel>,
        head: tonic::Request<()>,
    ) -> Result<Self::Response, Status> {
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let count = self.0.len();
        let requests = self.0.into_iter().map(|id| LeaseKeepAliveRequest { id });
        let requests = head.map(|()| tokio_stream::iter(requests));
        let codec = ProstCodec::<_, LeaseKeepAliveResponse>::default();
        let mut responses = grpc.streaming(requests, path, codec).await?.into_inner();
        let mut ttls = Vec::with_capacity(count);
        while let Some(response) = responses.message().await? {
            ttls.push(response.ttl);
        }
        if ttls.len() != count {
            return Err(Status::unknown("etcd did not answer for every lease"));
        }
        Ok(ttls)
    }
}

/// Holds if the key was last written at this revision; 0 if it must not exist.
pub(super) fn revision_is(key: impl Into<Bytes>, revision: i64) -> Compare {
    compare(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
}

/// Holds if the key has this value.
pub(super) fn value_is(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Compare {
    compare(key, CompareTarget::Value, TargetUnion::Value(value.into()))
}

/// Never holds.
pub(super) fn never(key: impl Into<Bytes>) -> Compare {
    let impossible = TargetUnion::Version(i64::MAX);
    compare(key, CompareTarget::Version, impossible)
}

fn compare(key: impl Into<Bytes>, target: CompareTarget, union: TargetUnion) -> Compare {
    Compare {
        result: compare::CompareResult::Equal.into(),
        target: target.into(),
        key: key.into(),
        target_union: Some(union),
    }
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

/// Reads a key.
pub(super) fn get(key: impl Into<Bytes>) -> RequestOp {
    op(Request::Range(RangeRequest {
        key: key.into(),
        ..RangeRequest::default()
    }))
}

/// Reads the first key of a range.
pub(super) fn first_of((key, range_end): (Bytes, Bytes)) -> RequestOp {
    range(RangeRequest {
        key,
        range_end,
        limit: 1,
        ..RangeRequest::default()
    })
}

/// Reads a range.
pub(super) fn range(range: RangeRequest) -> RequestOp {
    op(Request::Range(range))
}

/// Reads a key from the endpoint itself, which may lag behind.
pub(super) fn get_stale(key: impl Into<Bytes>) -> RequestOp {
    op(Request::Range(RangeRequest {
        key: key.into(),
        serializable: true,
        ..RangeRequest::default()
    }))
}

/// Writes a key, bound to a lease; 0 is none.
pub(super) fn put(key: impl Into<Bytes>, value: impl Into<Bytes>, lease: i64) -> RequestOp {
    op(Request::Put(PutRequest {
        key: key.into(),
        value: value.into(),
        lease,
    }))
}

/// Deletes a key.
pub(super) fn delete(key: impl Into<Bytes>) -> RequestOp {
    op(Request::DeleteRange(DeleteRangeRequest { key: key.into() }))
}

/// A transaction inside another.
pub(super) fn nested(txn: TxnRequest) -> RequestOp {
    op(Request::Txn(txn))
}

/// Deletes a key if it has this value.
pub(super) fn delete_if(key: Bytes, value: impl Into<Bytes>) -> RequestOp {
    nested(TxnRequest {
        compare: vec![value_is(key.clone(), value)],
        success: vec![delete(key)],
        failure: Vec::new(),
    })
}

impl RangeResponse {
    /// The revision at which it was read.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// Where the next page begins; `None` after the last one.
    pub(super) fn next_key(&self) -> Option<Bytes> {
        let last = self.kvs.last().filter(|_| self.more)?;
        Some([&last.key[..], b"\0"].concat().into())
    }
}

impl TxnResponse {
    /// The revision at which the transaction was carried out.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// The responses of the nested transactions, in order.
    pub(super) fn nested(self) -> impl Iterator<Item = TxnResponse> {
        self.responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(Response::Txn(txn)) => Some(txn),
                _ => None,
            })
    }

    /// The ranges that were read, in order.
    pub(super) fn ranges(self) -> impl Iterator<Item = RangeResponse> {
        self.responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(Response::Range(range)) => Some(range),
                _ => None,
            })
    }

    /// The keys that were read, in the order of the reads; `None` for a key that does not exist.
    pub(super) fn reads(self) -> impl Iterator<Item = Option<KeyValue>> {
        self.ranges().map(|range| range.kvs.into_iter().next())
    }

    /// Whether this transaction, or one nested in it, deleted anything.
    pub(super) fn deleted(&self) -> bool {
        self.responses.iter().any(|op| match &op.response {
            Some(Response::DeleteRange(range)) => range.deleted > 0,
            Some(Response::Txn(txn)) => txn.deleted(),
            _ => false,
        })
    }
}
