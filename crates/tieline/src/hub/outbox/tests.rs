use proptest::prelude::*;

use super::*;

/// A socket that takes bytes by a script of allowances, then blocks.
struct Socket {
    taken: Vec<u8>,
    allowances: Vec<usize>,
}

impl Socket {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(allowance) = self.allowances.pop() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
        let n = allowance.min(all.len());
        self.taken.extend_from_slice(&all[..n]);
        Ok(n)
    }
}

fn encoded(frame: &AnyFrame) -> Vec<u8> {
    let encoded = frame.encoded(None);
    [encoded.header, encoded.payload].concat()
}

fn flush_all(outbox: &mut Outbox) -> Vec<u8> {
    let mut taken = Vec::new();
    let flushed = outbox.flush(&mut |slices| {
        let before = taken.len();
        slices.iter().for_each(|s| taken.extend_from_slice(s));
        Ok(taken.len() - before)
    });
    assert_eq!(flushed.unwrap(), Flushed::Empty);
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_leave_whole_and_in_order(
        sizes in prop::collection::vec(prop_oneof![0..200usize, 15_000..18_000usize, 60_000..70_000usize], 1..20),
        allowances in prop::collection::vec(1..40_000usize, 0..60),
    ) {
        let frames: Vec<Frame> =
            sizes.iter().enumerate().map(|(i, n)| Frame::binary(vec![u8::try_from(i).unwrap(); *n])).collect();
        let mut outbox = Outbox::default();
        frames.iter().for_each(|f| outbox.push(f.clone()));
        let total: usize = frames.iter().map(|f| encoded(f).len()).sum();
        let mut socket = Socket { taken: Vec::new(), allowances };
        outbox.flush(&mut |s| socket.write(s)).unwrap();
        prop_assert_eq!(outbox.bytes, total - socket.taken.len());
        let rest = flush_all(&mut outbox);
        let expected: Vec<u8> = frames.iter().flat_map(|frame| encoded(frame)).collect();
        prop_assert_eq!([socket.taken, rest].concat(), expected);
        prop_assert_eq!(outbox.bytes, 0);
    }
}

#[test]
fn a_frame_that_began_to_leave_is_not_discarded() {
    let (a, b) = (Frame::text("first"), Frame::text("second"));
    let mut outbox = Outbox::default();
    outbox.push(a.clone());
    outbox.push(b);
    let mut socket = Socket {
        taken: Vec::new(),
        allowances: vec![3],
    };
    assert_eq!(
        outbox.flush(&mut |s| socket.write(s)).unwrap(),
        Flushed::Blocked
    );
    outbox.discard_waiting();
    assert!(!outbox.discard_oldest());
    assert_eq!([socket.taken, flush_all(&mut outbox)].concat(), encoded(&a));
}

#[test]
fn a_pong_goes_before_waiting_frames_and_is_replaced_by_a_newer_one() {
    let (a, b) = (Frame::text("first"), Frame::text("second"));
    let mut outbox = Outbox::default();
    outbox.push(a.clone());
    outbox.push(b.clone());
    let mut socket = Socket {
        taken: Vec::new(),
        allowances: vec![3],
    };
    outbox.flush(&mut |s| socket.write(s)).unwrap();
    outbox.set_pong(AnyFrame::pong(b"1"));
    outbox.set_pong(AnyFrame::pong(b"2"));
    let sent = [socket.taken, flush_all(&mut outbox)].concat();
    assert_eq!(
        sent,
        [encoded(&a), encoded(&AnyFrame::pong(b"2")), encoded(&b)].concat()
    );
}

#[test]
fn one_frame_always_fits_an_empty_outbox() {
    let mut outbox = Outbox::default();
    let frame = Frame::binary(vec![0; 100]);
    assert!(outbox.fits(&frame, 10, 1));
    outbox.push(frame.clone());
    assert!(!outbox.fits(&frame, 10, 1));
    assert!(outbox.fits(&frame, 204, 2));
    assert!(!outbox.fits(&frame, 203, 2));
}

#[test]
fn the_rest_of_a_begun_frame_leaves_first() {
    let frame = Frame::text("joined elsewhere");
    let mut outbox = Outbox::default();
    outbox.push_rest(frame.clone(), 4);
    outbox.push(frame.clone());
    assert_eq!(
        flush_all(&mut outbox),
        [&encoded(&frame)[4..], &encoded(&frame)].concat()
    );
}

#[test]
fn pings_without_reading_pile_nothing_up() {
    let mut outbox = Outbox::default();
    outbox.push(Frame::text("waiting"));
    for i in 0..1000 {
        outbox.set_pong(AnyFrame::pong(format!("{i}").as_bytes()));
        let blocked = outbox.flush(&mut |_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(blocked.unwrap(), Flushed::Blocked);
    }
    let (first, last) = (AnyFrame::pong(b"0"), AnyFrame::pong(b"999"));
    let expected = [
        encoded(&first),
        encoded(&Frame::text("waiting")),
        encoded(&last),
    ]
    .concat();
    assert_eq!(flush_all(&mut outbox), expected);
}
