//! Posts as they leave: in their wire form from the moment at which they are posted.
//!
//! Owns the encoding. A post is encoded once, straight into the queue of its link, and the stream carries
//! the queue's bytes: building a message first, and having it encoded by the batch, took two allocations
//! and some 200 ns more for each message to one client, a tenth of what it costs to cross nodes. Must not
//! know links. Invariant: the bytes are those that prost would make of [`proto::RequestBatch`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, decode_varint, encode_key, encode_varint, encoded_len_varint},
};
use tonic::{
    Status,
    codec::{Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::proto::{self, RequestKind};

/// Field numbers of link.proto.
const POSTS: u32 = 2;
const EMIT: u32 = 1;
const ID: u32 = 1;
const DATA: u32 = 2;
const BINARY: u32 = 3;

/// What can be posted to a peer.
pub(crate) trait EncodeRequest {
    /// Length of the encoded post, in bytes.
    fn length(&self) -> usize;
    /// Appends the encoded post.
    fn encode(&self, into: &mut BytesMut);
}

/// Any post.
impl EncodeRequest for RequestKind {
    fn length(&self) -> usize {
        self.encoded_len()
    }

    fn encode(&self, into: &mut BytesMut) {
        Self::encode(self, into);
    }
}

/// A message to one client, which is what nearly all posts are.
pub(crate) struct RequestRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) binary: bool,
}

impl RequestRef<'_> {
    fn fields(&self) -> usize {
        let bytes = |field: &[u8]| match field.len() {
            0 => 0,
            length => delimited(length),
        };
        bytes(self.id.as_bytes()) + bytes(self.data) + 2 * usize::from(self.binary)
    }
}

impl EncodeRequest for RequestRef<'_> {
    fn length(&self) -> usize {
        delimited(self.fields())
    }

    fn encode(&self, into: &mut BytesMut) {
        begin(EMIT, self.fields(), into);
        for (field, bytes) in [(ID, self.id.as_bytes()), (DATA, self.data)] {
            if !bytes.is_empty() {
                begin(field, bytes.len(), into);
                into.put_slice(bytes);
            }
        }
        if self.binary {
            encode_key(BINARY, WireType::Varint, into);
            into.put_u8(1);
        }
    }
}

/// What a field of this many bytes takes with its key, whose number is below 16, and its length.
fn delimited(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn begin(field: u32, length: usize, into: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, into);
    encode_varint(length as u64, into);
}

/// What a post of this length takes in a batch, in bytes.
pub(super) fn entry(length: usize) -> usize {
    delimited(length)
}

/// Appends a post of this length as one of a batch.
pub(super) fn append(request: &impl EncodeRequest, length: usize, into: &mut BytesMut) {
    into.reserve(entry(length));
    begin(POSTS, length, into);
    request.encode(into);
}

/// The client that the first post of a batch is a message to; `None` if it is another kind of post.
pub(super) fn recipient(mut batch: &[u8]) -> Option<&[u8]> {
    enter(&mut batch, POSTS)?;
    enter(&mut batch, EMIT)?;
    // An empty id is left out.
    Some(enter(&mut batch, ID).map_or(&[], |length| &batch[..length]))
}

/// Steps into a field if it comes next; its length.
fn enter(batch: &mut &[u8], field: u32) -> Option<usize> {
    let key = (field << 3) | WireType::LengthDelimited as u32;
    if u32::from(*batch.first()?) != key {
        return None;
    }
    batch.advance(1);
    let length = usize::try_from(decode_varint(batch).ok()?).ok()?;
    (length <= batch.len()).then_some(length)
}

/// A post of a batch, read again.
pub(super) fn read(entry: Bytes) -> Option<RequestKind> {
    let batch = proto::RequestBatch::decode(entry).ok()?;
    batch
        .requests
        .into_iter()
        .next()
        .and_then(|request| request.kind)
}

/// What the stream carries next.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// All but the posts.
    pub(super) control: proto::RequestBatch,
    pub(super) requests: Bytes,
}

/// Batches out, prost in.
#[derive(Debug, Default)]
pub(super) struct BatchCodec;

#[derive(Debug)]
pub(super) struct BatchEncoder;

impl Codec for BatchCodec {
    type Encode = Batch;
    type Decode = proto::ResponseBatch;
    type Encoder = BatchEncoder;
    type Decoder = ProstDecoder<proto::ResponseBatch>;

    fn encoder(&mut self) -> BatchEncoder {
        BatchEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<proto::RequestBatch, proto::ResponseBatch>::default().decoder()
    }
}

impl Encoder for BatchEncoder {
    type Item = Batch;
    type Error = Status;

    fn encode(&mut self, batch: Batch, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(batch.control.encoded_len() + batch.requests.len());
        batch.control.encode_raw(into);
        into.put(batch.requests);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::proto::PeerRequest;

    fn by_prost(request: RequestKind) -> Vec<u8> {
        let requests = vec![PeerRequest {
            kind: Some(request),
        }];
        proto::RequestBatch {
            requests,
            ..proto::RequestBatch::default()
        }
        .encode_to_vec()
    }

    proptest! {
        #[test]
        fn a_message_to_one_is_encoded_as_prost_does(
            id in ".{0,200}",
            data in proptest::collection::vec(any::<u8>(), 0..20_000),
            binary: bool,
        ) {
            let mut bytes = BytesMut::new();
            let emit = RequestRef { id: &id, data: &data, binary };
            append(&emit, emit.length(), &mut bytes);
            prop_assert_eq!(bytes.len(), entry(emit.length()));
            let same = RequestKind::Emit(proto::Emit {
                id: id.clone().into_bytes().into(),
                data: data.into(),
                binary,
            });
            prop_assert_eq!(&bytes[..], by_prost(same.clone()));
            prop_assert_eq!(recipient(&bytes), Some(id.as_bytes()));
            prop_assert_eq!(read(bytes.freeze()), Some(same));
        }

        #[test]
        fn garbage_is_for_nobody(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            recipient(&bytes);
        }
    }

    #[test]
    fn any_post_is_encoded_as_prost_does() {
        let many = RequestKind::Multicast(proto::Multicast {
            scope: 2,
            name: "hall".into(),
            data: vec![7; 300].into(),
            binary: true,
            except: vec!["a".into(), "b".into()],
        });
        let ask = RequestKind::Query(proto::Query::default());
        for request in [many, ask] {
            let mut bytes = BytesMut::new();
            append(&request, request.length(), &mut bytes);
            assert_eq!(bytes.len(), entry(request.length()));
            assert_eq!(bytes[..], by_prost(request.clone()));
            assert_eq!(recipient(&bytes), None);
            assert_eq!(read(bytes.freeze()), Some(request));
        }
    }
}
