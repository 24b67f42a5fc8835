use proptest::prelude::*;

use tieline_websocket::Frame;

use super::{
    bounds::{AllBounds, OutboxBounds},
    *,
};
use crate::{
    config::SlowConsumer,
    hub::{
        budget::{FRAME_OVERHEAD, OutboxBudget},
        counters::Counters,
    },
};

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

fn rules() -> OutboxRules {
    within(usize::MAX, usize::MAX)
}

fn within(bytes: usize, frames: usize) -> OutboxRules {
    let budget = OutboxBudget::new(usize::MAX);
    let bounds = OutboxBounds {
        bytes,
        frames,
        policy: SlowConsumer::Disconnect,
    };
    OutboxRules {
        counters: Counters::new(),
        bounds: AllBounds::new(bounds),
        budget,
        deflate: None,
    }
}

/// Writes until nothing is left, or the socket is full.
fn flush(outbox: &mut Outbox, write: Write<'_>) -> io::Result<Written> {
    loop {
        match outbox.write(&rules(), &mut Reports::default(), write)? {
            Written::Some => {}
            written => return Ok(written),
        }
    }
}

fn flush_all(outbox: &mut Outbox) -> Vec<u8> {
    let mut taken = Vec::new();
    let flushed = flush(outbox, &mut |slices| {
        let before = taken.len();
        slices.iter().for_each(|s| taken.extend_from_slice(s));
        Ok(taken.len() - before)
    });
    assert_eq!(flushed.unwrap(), Written::All);
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
        frames.iter().for_each(|f| outbox.push(f.clone(), &rules()));
        let total: usize = frames.iter().map(|f| encoded(f).len()).sum();
        let mut socket = Socket { taken: Vec::new(), allowances };
        flush(&mut outbox, &mut |s| socket.write(s)).unwrap();
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
    outbox.push(a.clone(), &rules());
    outbox.push(b, &rules());
    let mut socket = Socket {
        taken: Vec::new(),
        allowances: vec![3],
    };
    assert_eq!(
        flush(&mut outbox, &mut |s| socket.write(s)).unwrap(),
        Written::Blocked
    );
    outbox.discard_waiting(&rules(), &mut Reports::default());
    assert!(!outbox.discard_oldest(&rules(), &mut Reports::default()));
    assert_eq!([socket.taken, flush_all(&mut outbox)].concat(), encoded(&a));
}

#[test]
fn a_pong_goes_before_waiting_frames_and_is_replaced_by_a_newer_one() {
    let (a, b) = (Frame::text("first"), Frame::text("second"));
    let mut outbox = Outbox::default();
    outbox.push(a.clone(), &rules());
    outbox.push(b.clone(), &rules());
    let mut socket = Socket {
        taken: Vec::new(),
        allowances: vec![3],
    };
    flush(&mut outbox, &mut |s| socket.write(s)).unwrap();
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
    assert!(outbox.fits(&frame, &within(10, 1)));
    outbox.push(frame.clone(), &rules());
    assert!(!outbox.fits(&frame, &within(10, 1)));
    assert!(outbox.fits(&frame, &within(204, 2)));
    assert!(!outbox.fits(&frame, &within(203, 2)));
}

#[test]
fn the_rest_of_a_begun_frame_leaves_first() {
    let frame = Frame::text("joined elsewhere");
    let mut outbox = Outbox::default();
    outbox.push_rest(frame.clone().into(), 4, &rules());
    outbox.push(frame.clone(), &rules());
    assert_eq!(
        flush_all(&mut outbox),
        [&encoded(&frame)[4..], &encoded(&frame)].concat()
    );
}

#[test]
fn pings_without_reading_pile_nothing_up() {
    let mut outbox = Outbox::default();
    outbox.push(Frame::text("waiting"), &rules());
    for i in 0..1000 {
        outbox.set_pong(AnyFrame::pong(format!("{i}").as_bytes()));
        let blocked = flush(&mut outbox, &mut |_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(blocked.unwrap(), Written::Blocked);
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

#[test]
fn what_waits_counts_against_the_budget_until_it_has_left() {
    let rules = within(usize::MAX, usize::MAX);
    let counted = |frames: &[&AnyFrame]| -> usize {
        let sizes = frames.iter().map(|frame| frame.payload().len());
        sizes.map(|length| length + FRAME_OVERHEAD).sum()
    };
    let [a, b, c] = ["first", "second", "third"].map(Frame::text);
    let pong = AnyFrame::pong(b"pong");
    let mut outbox = Outbox::default();
    outbox.push(a.clone(), &rules);
    outbox.push(b.clone(), &rules);
    assert_eq!(rules.budget.waiting(), 0, "it may leave at once");
    outbox.count(&rules);
    outbox.push(c.clone(), &rules);
    assert_eq!(rules.budget.waiting(), counted(&[&a, &b, &c]));
    outbox.set_pong(pong.clone());
    let mut socket = Socket {
        taken: Vec::new(),
        allowances: vec![3],
    };
    let mut write = |slices: &[IoSlice<'_>]| socket.write(slices);
    assert_eq!(
        outbox
            .write(&rules, &mut Reports::default(), &mut write)
            .unwrap(),
        Written::Some
    );
    assert_eq!(rules.budget.waiting(), counted(&[&a, &b, &c, &pong]));
    assert!(
        outbox.discard_oldest(&rules, &mut Reports::default()),
        "the second is left out"
    );
    let mut all = |slices: &[IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
    while outbox
        .write(&rules, &mut Reports::default(), &mut all)
        .unwrap()
        == Written::Some
    {}
    assert_eq!(rules.budget.waiting(), 0);
    outbox.push(b, &rules);
    assert_eq!(rules.budget.waiting(), 0, "nothing waits any more");
    outbox.count(&rules);
    outbox.clear(&rules, &mut Reports::default());
    assert_eq!(rules.budget.waiting(), 0);
}

#[test]
fn a_full_outbox_allows_reading_again_once_half_of_it_has_left() {
    let rules = within(200, 1000);
    let frame = Frame::binary(vec![0; 48]);
    let mut outbox = Outbox::default();
    let fill = |outbox: &mut Outbox| {
        while outbox.fits(&frame, &rules) {
            outbox.push(frame.clone(), &rules);
        }
    };
    fill(&mut outbox);
    assert!(!outbox.allows_reading(&rules));
    for left in [50, 100] {
        let mut write = |_: &[IoSlice<'_>]| Ok(50);
        assert_eq!(
            outbox
                .write(&rules, &mut Reports::default(), &mut write)
                .unwrap(),
            Written::Some
        );
        fill(&mut outbox);
        assert_eq!(outbox.allows_reading(&rules), left == 100);
    }
    outbox.note_reading();
    assert!(!outbox.allows_reading(&rules));
}
