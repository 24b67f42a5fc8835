//! The cost of decoding messages from clients and of encoding messages for them.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use tieline_websocket::{Action, Deflate, Frame, Limits, Protocol};

const KIB: usize = 1024;
const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const FIN: u8 = 0x80;

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    let length = payload.len() as u64;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => bytes.push(0x80 | length),
        (_, Ok(length)) => {
            bytes.push(0xfe);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// A message in fragments of this length.
fn fragments(opcode: u8, payload: &[u8], length: usize) -> Vec<u8> {
    let last = payload.len().div_ceil(length) - 1;
    let fragment = |(i, part)| {
        let fin = if i == last { FIN } else { 0 };
        frame(fin | if i == 0 { opcode } else { CONTINUATION }, part)
    };
    payload
        .chunks(length)
        .enumerate()
        .flat_map(fragment)
        .collect()
}

/// Decodes reads of this length and frees the messages; yields how many there were.
fn decode(input: &mut [u8], read: usize) -> usize {
    let (mut protocol, limits) = (Protocol::new(false), Limits::default());
    let mut messages = 0;
    for mut rest in input.chunks_mut(read) {
        while !rest.is_empty() {
            let received = protocol.receive(&limits, rest);
            messages += usize::from(matches!(received.action, Some(Action::Message(_))));
            rest = &mut rest[received.consumed..];
        }
    }
    messages
}

/// One case of the decoder. Each run gets a copy of the input, because it is unmasked in place.
fn case(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    throughput: Throughput,
    (input, read, messages): (&[u8], usize, usize),
) {
    assert_eq!(decode(&mut input.to_vec(), read), messages, "{name}");
    let size = if input.len() > 16 * KIB {
        BatchSize::LargeInput
    } else {
        BatchSize::SmallInput
    };
    group.throughput(throughput);
    group.bench_function(name, |bencher| {
        bencher.iter_batched_ref(|| input.to_vec(), |input| decode(input, read), size);
    });
}

fn decoder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let whole = usize::MAX;
    let small = frame(FIN | TEXT, &[b'x'; 64]);
    let messages = Throughput::Elements;
    let bytes = Throughput::Bytes;
    case(&mut group, "text_64", messages(1), (&small, whole, 1));
    let many = small.repeat(16);
    case(
        &mut group,
        "text_64_16_in_one_read",
        messages(16),
        (&many, whole, 16),
    );
    case(
        &mut group,
        "text_64_byte_by_byte",
        messages(1),
        (&small, 1, 1),
    );
    let large = vec![b'x'; 64 * KIB];
    let binary = frame(FIN | BINARY, &large);
    case(
        &mut group,
        "binary_64k",
        bytes(64 * 1024),
        (&binary, whole, 1),
    );
    case(
        &mut group,
        "binary_64k_in_reads_of_1k",
        bytes(64 * 1024),
        (&binary, KIB, 1),
    );
    let torn = fragments(BINARY, &large, KIB);
    case(
        &mut group,
        "binary_64k_in_fragments_of_1k",
        bytes(64 * 1024),
        (&torn, whole, 1),
    );
    group.finish();
}

/// Text of the same length, ASCII and not. Compare with `decode/binary_64k` for the cost of checking
/// UTF-8, at once and as fragments arrive.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    let greek = "ένα μήνυμα ".repeat(64 * KIB / 20);
    for (name, text) in [
        ("ascii", "a message. ".repeat(64 * KIB / 11)),
        ("greek", greek),
    ] {
        let bytes = Throughput::Bytes(text.len() as u64);
        let whole = frame(FIN | TEXT, text.as_bytes());
        case(
            &mut group,
            &format!("{name}_64k"),
            bytes.clone(),
            (&whole, usize::MAX, 1),
        );
        // An odd length, so that characters are split.
        let torn = fragments(TEXT, text.as_bytes(), KIB + 1);
        case(
            &mut group,
            &format!("{name}_64k_in_fragments_of_1k"),
            bytes,
            (&torn, usize::MAX, 1),
        );
    }
    group.finish();
}

fn encoder(criterion: &mut Criterion) {
    // Measured in frames: the payload is not copied, so its length costs nothing.
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    for (name, size) in [("64", 64), ("1k", KIB), ("64k", 64 * KIB)] {
        let payload = vec![b'x'; size];
        group.bench_function(format!("binary_{name}"), |bencher| {
            let encode = |payload| {
                let frame = Frame::binary(payload);
                black_box(frame.encoded(None).header);
                frame
            };
            bencher.iter_batched(|| payload.clone(), encode, BatchSize::SmallInput);
        });
    }
    let frame = Frame::text("x".repeat(64));
    group.bench_function("for_one_more_receiver", |bencher| {
        bencher.iter(|| frame.clone().encoded(None).len());
    });
    group.finish();
}

fn deflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deflate");
    let settings = Deflate::default();
    for (name, size) in [("512", 512), ("4k", 4 * KIB), ("64k", 64 * KIB)] {
        let text = records(size);
        let packed = Frame::text(text.as_str()).encoded(Some(&settings)).len();
        assert!(packed < size, "{name} does not shrink");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("text_{name}"), |bencher| {
            let encode = |frame: &mut Frame| frame.encoded(Some(&settings)).len();
            bencher.iter_batched_ref(|| Frame::text(text.as_str()), encode, BatchSize::SmallInput);
        });
    }
    let frame = Frame::text(records(4 * KIB));
    group.throughput(Throughput::Elements(1));
    group.bench_function("for_one_more_receiver", |bencher| {
        bencher.iter(|| frame.clone().encoded(Some(&settings)).len());
    });
    group.finish();
}

/// JSON records, cut to this many bytes.
fn records(size: usize) -> String {
    let record = |i: u64| {
        let price = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        format!(
            "{{\"id\":{i},\"symbol\":\"S{}\",\"price\":{price}}},",
            i % 97
        )
    };
    let mut text: String = (0..).map(record).take(size / 16).collect();
    text.truncate(size);
    text
}

criterion_group!(benches, decoder, utf8, encoder, deflate);
criterion_main!(benches);
