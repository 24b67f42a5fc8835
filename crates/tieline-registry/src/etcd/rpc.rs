//! etcd's messages, and the calls that take them.
//!
//! Owns the generated types, their paths, and short words for the parts of a transaction. Must not
//! know what the keys mean.

use bytes::Bytes;
use prost::Message;

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

/// A request that names its call.
pub(super) trait Call: Message + Clone + 'static {
    type Answer: Message + Default + 'static;
    const PATH: &'static str;
}

macro_rules! calls {
    ($($request:ident => $answer:ident, $path:literal;)*) => {
        $(impl Call for $request {
            type Answer = $answer;
            const PATH: &'static str = concat!("/etcdserverpb.", $path);
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
    // A stream, of which one message each way is used: to etcd that looks like any short stream.
    LeaseKeepAliveRequest => LeaseKeepAliveResponse, "Lease/LeaseKeepAlive";
    LeaseTimeToLiveRequest => LeaseTimeToLiveResponse, "Lease/LeaseTimeToLive";
    AuthenticateRequest => AuthenticateResponse, "Auth/Authenticate";
}

/// The key was last written at this revision; 0 where it must not exist.
pub(super) fn modified(key: impl Into<Bytes>, revision: i64) -> Compare {
    compare(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
}

/// The key has this value.
pub(super) fn equals(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Compare {
    compare(key, CompareTarget::Value, TargetUnion::Value(value.into()))
}

/// What never holds.
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

/// Reads a key from the nearest server, which may lag behind.
pub(super) fn get_nearby(key: impl Into<Bytes>) -> RequestOp {
    op(Request::Range(RangeRequest {
        key: key.into(),
        serializable: true,
        ..RangeRequest::default()
    }))
}

/// Writes a key that goes with a lease.
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

/// A transaction inside of another.
pub(super) fn nested(txn: TxnRequest) -> RequestOp {
    op(Request::Txn(txn))
}

/// Deletes a key that has this value.
pub(super) fn delete_if(key: Bytes, value: impl Into<Bytes>) -> RequestOp {
    nested(TxnRequest {
        compare: vec![equals(key.clone(), value)],
        success: vec![delete(key)],
        failure: Vec::new(),
    })
}

impl TxnResponse {
    /// The revision at which it was carried out.
    pub(super) fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// The nested transactions' answers, in order.
    pub(super) fn nested(self) -> impl Iterator<Item = TxnResponse> {
        self.responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(Response::Txn(txn)) => Some(txn),
                _ => None,
            })
    }

    /// What was read, in the order of the reads: `None` for a key that does not exist.
    pub(super) fn reads(self) -> impl Iterator<Item = Option<KeyValue>> {
        self.responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(Response::Range(range)) => Some(range.kvs.into_iter().next()),
                _ => None,
            })
    }

    /// Whether anything was deleted, in it or in what is nested in it.
    pub(super) fn deleted(&self) -> bool {
        self.responses.iter().any(|op| match &op.response {
            Some(Response::DeleteRange(range)) => range.deleted > 0,
            Some(Response::Txn(txn)) => txn.deleted(),
            _ => false,
        })
    }
}
