//! The encoding of requests on their way out.
//!
//! A request is encoded once, straight into the queue of its link, and the stream carries the queue's bytes
//! unchanged: no message is built for prost and no batch is encoded again. This avoids two allocations per
//! request. Must not know links. Invariant: the bytes are those that prost produces for
//! [`proto::RequestBatch`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, decode_varint, encode_key, encode_varint, encoded_len_varint},
};
use tieline_registry::DEFAULT_NAMESPACE;
use tonic::{
    Status,
    codec::{Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::proto::{self, RequestKind};

/// Field numbers of link.proto.
const BATCH_REQUESTS: u32 = 2;
const REQUEST_EMIT: u32 = 1;
const REQUEST_NAMESPACE: u32 = 9;
const EMIT_ID: u32 = 1;
const EMIT_DATA: u32 = 2;
const EMIT_BINARY: u32 = 3;
const EMIT_KIND: u32 = 4;
const EMIT_ABOUT: u32 = 5;
const EMIT_REPORT: u32 = 6;

/// A request that can be sent to a peer.
pub(crate) trait EncodeRequest {
    /// Length of the encoded request, in bytes.
    fn encoded_len(&self) -> usize;
    /// Appends the encoded request.
    fn encode(&self, into: &mut BytesMut);
    /// The namespace that its names are in.
    fn namespace(&self) -> &str {
        DEFAULT_NAMESPACE
    }
}

/// In the default namespace.
impl EncodeRequest for RequestKind {
    fn encoded_len(&self) -> usize {
        Self::encoded_len(self)
    }

    fn encode(&self, into: &mut BytesMut) {
        Self::encode(self, into);
    }
}

/// A request about names of a namespace.
pub(crate) struct NamespacedRef<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) request: &'a RequestKind,
}

impl EncodeRequest for NamespacedRef<'_> {
    fn encoded_len(&self) -> usize {
        self.request.encoded_len() + field_len(self.namespace.as_bytes())
    }

    fn encode(&self, into: &mut BytesMut) {
        self.request.encode(into);
        put_field(REQUEST_NAMESPACE, self.namespace.as_bytes(), into);
    }

    fn namespace(&self) -> &str {
        self.namespace
    }
}

/// An emit that borrows its parts. Nearly all requests are emits.
#[derive(Clone, Copy)]
pub(crate) struct EmitRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) binary: bool,
    pub(crate) kind: u32,
    pub(crate) about: &'a [u8],
    /// 0 for none.
    pub(crate) report: u64,
}

impl EmitRef<'_> {
    /// Length of the encoded fields; protobuf leaves out empty ones.
    fn encoded_len(&self) -> usize {
        let number = |field: u64| match field {
            0 => 0,
            number => 1 + encoded_len_varint(number),
        };
        let binary = 2 * usize::from(self.binary);
        let bytes = field_len(self.id.as_bytes()) + field_len(self.data) + field_len(self.about);
        bytes + binary + number(self.kind.into()) + number(self.report)
    }
}

/// A request to emit.
pub(crate) struct EmitRequest<'a> {
    namespace: &'a str,
    emit: EmitRef<'a>,
    /// The length of the encoded emit: counted once, and needed twice.
    emit_len: usize,
}

impl<'a> EmitRequest<'a> {
    pub(crate) fn new(namespace: &'a str, emit: EmitRef<'a>) -> Self {
        Self {
            namespace,
            emit,
            emit_len: emit.encoded_len(),
        }
    }
}

impl EncodeRequest for EmitRequest<'_> {
    fn encoded_len(&self) -> usize {
        delimited_len(self.emit_len) + field_len(self.namespace.as_bytes())
    }

    fn encode(&self, into: &mut BytesMut) {
        let emit = &self.emit;
        put_header(REQUEST_EMIT, self.emit_len, into);
        put_field(EMIT_ID, emit.id.as_bytes(), into);
        put_field(EMIT_DATA, emit.data, into);
        if emit.binary {
            encode_key(EMIT_BINARY, WireType::Varint, into);
            into.put_u8(1);
        }
        if emit.kind > 0 {
            encode_key(EMIT_KIND, WireType::Varint, into);
            encode_varint(emit.kind.into(), into);
        }
        put_field(EMIT_ABOUT, emit.about, into);
        if emit.report > 0 {
            encode_key(EMIT_REPORT, WireType::Varint, into);
            encode_varint(emit.report, into);
        }
        put_field(REQUEST_NAMESPACE, self.namespace.as_bytes(), into);
    }

    fn namespace(&self) -> &str {
        self.namespace
    }
}

/// Encoded length of a length-delimited field with this many bytes. Its field number must be below 16.
fn delimited_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Encoded length of a field of bytes; protobuf leaves out an empty one.
fn field_len(bytes: &[u8]) -> usize {
    match bytes.len() {
        0 => 0,
        length => delimited_len(length),
    }
}

/// Appends a field of bytes.
fn put_field(field: u32, bytes: &[u8], into: &mut BytesMut) {
    if !bytes.is_empty() {
        put_header(field, bytes.len(), into);
        into.put_slice(bytes);
    }
}

/// Appends the key and the length of a length-delimited field.
fn put_header(field: u32, length: usize, into: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, into);
    encode_varint(length as u64, into);
}

/// Bytes that a request of this encoded length takes in a batch.
pub(super) fn len_in_batch(length: usize) -> usize {
    delimited_len(length)
}

/// Appends a request of this encoded length to a batch.
pub(super) fn append_to_batch(request: &impl EncodeRequest, length: usize, into: &mut BytesMut) {
    into.reserve(len_in_batch(length));
    put_header(BATCH_REQUESTS, length, into);
    request.encode(into);
}

/// The client to which the first request of a batch sends; `None` if that request is not an emit.
pub(super) fn first_recipient(mut batch: &[u8]) -> Option<&[u8]> {
    enter_field(&mut batch, BATCH_REQUESTS)?;
    enter_field(&mut batch, REQUEST_EMIT)?;
    // Protobuf leaves out an empty id.
    Some(enter_field(&mut batch, EMIT_ID).map_or(&[], |length| &batch[..length]))
}

/// Whether the first request of a batch is in a namespace, which follows its kind.
pub(super) fn is_namespaced(mut batch: &[u8]) -> bool {
    let Some(length) = enter_field(&mut batch, BATCH_REQUESTS) else {
        return false;
    };
    let mut request = &batch[..length];
    let kind = |request: &mut &[u8]| {
        decode_varint(request).ok()?;
        usize::try_from(decode_varint(request).ok()?).ok()
    };
    kind(&mut request).is_some_and(|kind| kind < request.len())
}

/// Steps into a field if it comes next, and returns its length.
fn enter_field(batch: &mut &[u8], field: u32) -> Option<usize> {
    let key = (field << 3) | WireType::LengthDelimited as u32;
    if u32::from(*batch.first()?) != key {
        return None;
    }
    batch.advance(1);
    let length = usize::try_from(decode_varint(batch).ok()?).ok()?;
    (length <= batch.len()).then_some(length)
}

/// Decodes the first request of a batch.
pub(super) fn decode_first(batch: Bytes) -> Option<RequestKind> {
    let batch = proto::RequestBatch::decode(batch).ok()?;
    batch
        .requests
        .into_iter()
        .next()
        .and_then(|request| request.kind)
}

/// The next message of the stream.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Everything but the requests.
    pub(super) control: proto::RequestBatch,
    /// The requests, as encoded in a [`proto::RequestBatch`].
    pub(super) requests: Bytes,
}

/// Encodes [`Batch`]; decodes with prost.
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

    fn prost_encoded(namespace: &str, request: RequestKind) -> Vec<u8> {
        let requests = vec![PeerRequest {
            kind: Some(request),
            namespace: namespace.to_owned().into(),
        }];
        proto::RequestBatch {
            requests,
            ..proto::RequestBatch::default()
        }
        .encode_to_vec()
    }

    proptest! {
        #[test]
        fn an_emit_is_encoded_as_prost_encodes_it(
            id in ".{0,200}",
            data in proptest::collection::vec(any::<u8>(), 0..20_000),
            binary: bool,
            kind in prop_oneof![Just(0), 0_u32..300],
            about in proptest::collection::vec(any::<u8>(), 0..300),
            report in prop_oneof![Just(0), any::<u64>()],
            namespace in ".{0,60}",
        ) {
            let mut bytes = BytesMut::new();
            let emit = EmitRef {
                id: &id,
                data: &data,
                binary,
                kind,
                about: &about,
                report,
            };
            let emit = EmitRequest::new(&namespace, emit);
            append_to_batch(&emit, emit.encoded_len(), &mut bytes);
            prop_assert_eq!(bytes.len(), len_in_batch(emit.encoded_len()));
            let same = RequestKind::Emit(proto::Emit {
                id: id.clone().into_bytes().into(),
                data: data.into(),
                binary,
                kind,
                about: about.into(),
                report,
            });
            prop_assert_eq!(&bytes[..], prost_encoded(&namespace, same.clone()));
            prop_assert_eq!(is_namespaced(&bytes), !namespace.is_empty());
            prop_assert_eq!(first_recipient(&bytes), Some(id.as_bytes()));
            prop_assert_eq!(decode_first(bytes.freeze()), Some(same));
        }

        #[test]
        fn garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            first_recipient(&bytes);
            is_namespaced(&bytes);
        }
    }

    /// An emit as a node knows it that knows no notes.
    #[derive(PartialEq, Message)]
    struct OlderEmit {
        #[prost(bytes = "vec", tag = "1")]
        id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        data: Vec<u8>,
        #[prost(bool, tag = "3")]
        binary: bool,
    }

    #[test]
    fn an_older_node_reads_the_data_of_a_note_and_is_read() {
        let note = proto::Emit {
            id: "gil".into(),
            data: "hello".into(),
            binary: true,
            kind: 2,
            about: "ada".into(),
            report: 7,
        };
        let older = OlderEmit::decode(&note.encode_to_vec()[..]).unwrap();
        assert_eq!((&*older.data, older.binary), (&b"hello"[..], true));
        let frame = proto::Emit::decode(&older.encode_to_vec()[..]).unwrap();
        assert_eq!((frame.kind, frame.about.len(), frame.report), (0, 0, 0));
    }

    #[test]
    fn any_request_is_encoded_as_prost_encodes_it() {
        let multicast = RequestKind::Multicast(proto::Multicast {
            scope: 2,
            name: "hall".into(),
            data: vec![7; 300].into(),
            binary: true,
            except: vec!["a".into(), "b".into()],
            kind: 200,
            about: "x".into(),
            filter: "y".into(),
        });
        let query = RequestKind::Query(proto::Query::default());
        for (namespace, kind) in [
            ("", multicast.clone()),
            ("chat", multicast),
            ("chat", query),
        ] {
            let mut bytes = BytesMut::new();
            let request = NamespacedRef {
                namespace,
                request: &kind,
            };
            append_to_batch(&request, request.encoded_len(), &mut bytes);
            assert_eq!(bytes.len(), len_in_batch(request.encoded_len()));
            assert_eq!(bytes[..], prost_encoded(namespace, kind.clone()));
            assert_eq!(is_namespaced(&bytes), !namespace.is_empty());
            assert_eq!(first_recipient(&bytes), None);
            assert_eq!(decode_first(bytes.freeze()), Some(kind));
        }
    }
}
