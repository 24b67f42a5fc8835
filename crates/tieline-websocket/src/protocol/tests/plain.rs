//! The fast path takes what it is for, and decodes it like the general path.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// A frame as a client may send it, right or wrong.
#[derive(Clone, Debug)]
struct ClientFrame {
    first: u8,
    mask: [u8; 4],
    payload: Vec<u8>,
    /// 0 for the shortest form of the length, 1 for 16 bits, 2 for 64 bits.
    length_form: u8,
}

impl ClientFrame {
    fn encode(&self) -> Vec<u8> {
        let length = self.payload.len();
        let mut bytes = match self.length_form {
            1 if length <= 0xffff => [self.first, 0xfe, (length >> 8) as u8, length as u8].to_vec(),
            2 => [&[self.first, 0xff][..], &(length as u64).to_be_bytes()].concat(),
            _ => {
                let mut header = header(self.first, length as u64);
                header.truncate(header.len() - MASK.len());
                header
            }
        };
        bytes.extend(self.mask);
        let keys = self.mask.iter().cycle();
        bytes.extend(self.payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
        bytes
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let length = select(vec![
        0, 1, 31, 32, 125, 126, 127, 1000, 1001, 0xffff, 0x1_0000,
    ]);
    prop_oneof![
        4 => "[a-cü€😀]{0,60}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..300),
        // Text that ends within a character.
        1 => "[a-c€]{0,40}".prop_map(|text| [text.as_bytes(), b"\xe2\x82"].concat()),
        2 => (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        1 => Just(vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
    ]
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    let first = prop_oneof![
        6 => select(vec![0x81, 0x82]),
        3 => select(vec![0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0xc1, 0xc2, 0x41]),
        1 => any::<u8>(),
    ];
    let mask = prop_oneof![4 => any::<[u8; 4]>(), 1 => Just([0; 4])];
    let length_form = prop_oneof![8 => Just(0_u8), 1 => 1_u8..3];
    (first, mask, payload(), length_form).prop_map(|(first, mask, payload, length_form)| {
        ClientFrame {
            first,
            mask,
            payload,
            length_form,
        }
    })
}

/// What a client sends: frames, some of their bytes flipped.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop::collection::vec(client_frame(), 0..8);
    // In front, where they are likely to hit a header.
    let flips = prop::collection::vec((0_usize..16, any::<Index>(), any::<u8>()), 0..2);
    (frames, flips).prop_map(|(frames, flips)| {
        let mut frames: Vec<_> = frames.iter().map(ClientFrame::encode).collect();
        for (at, frame, flip) in flips {
            if !frames.is_empty()
                && let Some(byte) = frame.get_mut(&mut frames).get_mut(at)
            {
                *byte ^= flip;
            }
        }
        frames.concat()
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let message = select(vec![0, 10, 31, 125, 126, 1000, 0xffff, usize::MAX]);
    let fragments = select(vec![0, 2, 4096]);
    (message, fragments).prop_map(|(message, fragments)| Limits { message, fragments })
}

/// The sizes of reads, repeated until the input ends.
fn reads() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        2 => Just(vec![usize::MAX]),
        1 => prop::collection::vec(1_usize..12, 1..20),
        2 => prop::collection::vec(1_usize..300, 1..20),
    ]
}

/// Where each read of `input` begins and ends.
fn portions(length: usize, reads: &[usize]) -> Vec<Range<usize>> {
    let mut sizes = reads.iter().cycle();
    let mut start = 0;
    std::iter::from_fn(|| {
        let end = start + (*sizes.next()?).min(length - start);
        let portion = start..end;
        start = end;
        (!portion.is_empty()).then_some(portion)
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_paths_decode_the_same(
        input in input(),
        reads in reads(),
        limits in limits(),
        inflate: bool,
        close_before in prop::option::weighted(0.2, any::<Index>()),
        take_pongs: bool,
    ) {
        let (mut fast, mut general) = (Protocol::new(inflate), Protocol::new(inflate));
        let portions = portions(input.len(), &reads);
        let close_before = close_before.map(|it| it.index(portions.len().max(1)));
        for (i, portion) in portions.into_iter().enumerate() {
            if close_before == Some(i) {
                prop_assert_eq!(fast.close(None), general.close(None));
            }
            let (mut left, mut right) = (input[portion.clone()].to_vec(), input[portion].to_vec());
            let mut start = 0;
            while start < left.len() {
                let received = fast.receive(&limits, &mut left[start..]);
                prop_assert_eq!(&received, &general.receive_any(&limits, &mut right[start..]));
                prop_assert_eq!(fast.state(), general.state());
                prop_assert_eq!(fast.in_message(), general.in_message());
                if take_pongs {
                    prop_assert_eq!(fast.take_pong(), general.take_pong());
                }
                start += received.consumed;
            }
            prop_assert_eq!(left, right, "the paths changed the input in different ways");
        }
        prop_assert_eq!(fast.take_pong(), general.take_pong());
    }
}

/// Whether the fast path takes the start of `bytes`.
fn is_taken(bytes: &[u8], limit: usize) -> bool {
    PlainFrame::find(&mut bytes.to_vec(), limit).is_some()
}

#[test]
fn the_fast_path_takes_plain_messages_of_every_length_below_64_kib() {
    for first in [0x81, 0x82] {
        for length in [0, 1, 125, 126, 127, 0xffff] {
            let bytes = frame(first, &vec![b'a'; length]);
            assert!(is_taken(&bytes, usize::MAX), "{length}");
            assert!(
                is_taken(&[&bytes[..], b"next"].concat(), length),
                "{length}"
            );
            assert!(!is_taken(&bytes[..bytes.len() - 1], usize::MAX), "{length}");
            assert!(length == 0 || !is_taken(&bytes, length - 1), "{length}");
        }
        assert!(!is_taken(&frame(first, &vec![b'a'; 0x1_0000]), usize::MAX));
    }
}

#[test]
fn the_fast_path_leaves_all_else_to_the_general_one() {
    for first in [
        0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xc1, 0xc2, 0x91, 0xa1,
    ] {
        assert!(
            !is_taken(&frame(first, b"payload"), usize::MAX),
            "{first:x}"
        );
    }
    let unmasked = b"\x81\x07payload and more";
    assert!(!is_taken(unmasked, usize::MAX));
    let long_form = [&[0x81, 0xfe, 0, 125][..], &MASK, &[0; 125]].concat();
    assert!(!is_taken(&long_form, usize::MAX));
}
