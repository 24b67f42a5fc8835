//! Members against a model: each message reaches exactly those who were members when it was queued.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;

/// What happens between two steps of the worker.
#[derive(Debug, Clone, Copy)]
enum Event {
    Join(u8),
    Leave(u8),
    /// A member leaves, and its connection ends.
    End(u8),
    Queue,
    /// The worker takes this many of the messages that wait, if it has none, or goes on by a slice.
    Work(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => any::<u8>().prop_map(Event::Join),
        4 => any::<u8>().prop_map(Event::Leave),
        1 => any::<u8>().prop_map(Event::End),
        3 => Just(Event::Queue),
        6 => (1..5_u8).prop_map(Event::Work),
    ];
    prop::collection::vec(event, 0..400)
}

/// The members, a worker, and what each member should have received and has.
struct World {
    members: Members<usize>,
    /// Some members who stay, so that there are several slices and parts.
    crowd: usize,
    known: BTreeMap<usize, Arc<usize>>,
    present: BTreeSet<usize>,
    queued: Number,
    begun: Number,
    done: Number,
    due: BTreeMap<usize, Vec<Number>>,
    received: BTreeMap<usize, Vec<Number>>,
    remembered: usize,
}

impl World {
    fn new(crowd: usize) -> Self {
        let mut world = Self {
            members: Members::new(),
            crowd,
            known: BTreeMap::new(),
            present: BTreeSet::new(),
            queued: 0,
            begun: 0,
            done: 0,
            due: BTreeMap::new(),
            received: BTreeMap::new(),
            remembered: 0,
        };
        (0..crowd).for_each(|i| world.join(1000 + i));
        world
    }

    fn join(&mut self, who: usize) {
        if self.present.insert(who) {
            let member = self.known.entry(who).or_insert_with(|| Arc::new(who));
            self.members
                .insert(address_hash(member), Arc::clone(member), address_hash);
        }
    }

    fn leave(&mut self, who: usize) {
        let member = self.known.get(&who).map(Arc::clone);
        let removed = member.map_or(Removed::NotAMember, |member| {
            self.members.remove(address_hash(&member), &member, true)
        });
        assert_eq!(removed != Removed::NotAMember, self.present.remove(&who));
        self.remembered += usize::from(removed == Removed::Remembered);
    }

    /// Who has ended gets nothing any more.
    fn end(&mut self, who: usize) {
        self.leave(who);
        self.known.remove(&who);
        self.due.remove(&who);
        self.received.remove(&who);
    }

    fn queue(&mut self) {
        self.queued += 1;
        self.members.on_queued(self.queued);
        for who in &self.present {
            self.due.entry(*who).or_default().push(self.queued);
        }
    }

    fn work(&mut self, messages: Number) {
        if self.begun == self.done {
            self.begun = self.queued.min(self.done + messages);
            if self.begun == self.done {
                return;
            }
            self.members.begin_walk(self.done + 1, self.begun);
        }
        let mut receivers = Receivers::new();
        let slice = self.members.next_slice(&mut receivers);
        self.remembered -= slice.forgotten;
        for member in receivers.of_all {
            self.receive(*member, self.done, self.begun);
        }
        for partial in receivers.of_some {
            let (after, up_to) = (partial.after.max(self.done), partial.up_to.min(self.begun));
            self.receive(*partial.member, after, up_to);
        }
        if slice.is_last {
            let messages = usize::try_from(self.begun - self.done).unwrap();
            drop(self.members.end_walk(messages));
            self.done = self.begun;
        }
    }

    fn receive(&mut self, who: usize, after: Number, up_to: Number) {
        let received = self.received.entry(who).or_default();
        received.extend(after + 1..=up_to);
    }

    /// Delivers everything, and compares.
    fn finish(mut self) {
        while self.done < self.queued {
            self.work(3);
        }
        for received in self.received.values_mut() {
            assert!(received.is_sorted(), "each gets them in order, and once");
        }
        self.received.retain(|_, received| !received.is_empty());
        assert_eq!(self.received, self.due);
        assert_eq!(self.remembered, 0);
        assert!(self.members.waiting.is_none(), "nothing is kept");
        assert_eq!(self.members.len(), self.present.len());
        assert!(self.crowd <= self.members.len());
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Join(who) => self.join(usize::from(who % 8)),
            Event::Leave(who) => self.leave(usize::from(who % 8)),
            Event::End(who) => self.end(usize::from(who % 8)),
            Event::Queue => self.queue(),
            Event::Work(messages) => self.work(messages.into()),
        }
    }
}

proptest! {
    #[test]
    fn a_message_reaches_exactly_the_members_of_its_moment(
        crowd in prop_oneof![Just(0_usize), Just(100), Just(1020)],
        events in events(),
    ) {
        let mut world = World::new(crowd);
        events.into_iter().for_each(|event| world.play(event));
        world.finish();
    }
}

#[test]
fn one_who_joined_gets_later_messages_with_all_others_however_long_messages_wait() {
    let mut members = Members::new();
    for number in 1..100 {
        members.on_queued(number);
        let newcomer = Arc::new(number);
        members.insert(address_hash(&newcomer), newcomer, address_hash);
        if number > 1 {
            // Something waits all the time.
            members.begin_walk(number - 1, number - 1);
            let mut receivers = Receivers::new();
            while !members.next_slice(&mut receivers).is_last {}
            assert!(receivers.of_some.is_empty());
            assert_eq!(receivers.of_all.len() as Number, number - 2);
            assert!(members.end_walk(1).is_none());
            assert!(members.waiting.as_ref().unwrap().joined.len() <= 2);
        }
    }
}

#[test]
fn a_slice_is_small_whatever_the_size() {
    let mut members = Members::new();
    for i in 0..60_000 {
        let member = Arc::new(i);
        members.insert(address_hash(&member), member, address_hash);
    }
    members.on_queued(1);
    members.begin_walk(1, 1);
    let (mut receivers, mut all) = (Receivers::new(), 0);
    loop {
        let slice = members.next_slice(&mut receivers);
        assert!(receivers.of_all.len() < 500, "{}", receivers.of_all.len());
        all += receivers.of_all.len();
        receivers.clear();
        if slice.is_last {
            break;
        }
    }
    assert_eq!(all, 60_000);
}

#[test]
fn copies_in_slices_are_complete() {
    let mut members = Members::new();
    let count = 5_000;
    for i in 0..count {
        let member = Arc::new(i);
        members.insert(address_hash(&member), member, address_hash);
    }
    let (mut copied, mut next) = (Vec::new(), Some(0));
    while let Some(part) = next {
        next = members.copy_slice(part, &mut copied);
    }
    let copied: BTreeSet<_> = copied.into_iter().map(|member| *member).collect();
    assert!(copied.into_iter().eq(0..count));
}

#[test]
fn a_member_is_copied_once_even_if_the_table_is_split_meanwhile() {
    let mut members = Members::new();
    let grow = |members: &mut Members<usize>, numbers: std::ops::Range<usize>| {
        for member in numbers.map(Arc::new) {
            members.insert(address_hash(&member), member, address_hash);
        }
    };
    grow(&mut members, 0..1024);
    let mut copied = Vec::new();
    let mut next = members.copy_slice(0, &mut copied);
    grow(&mut members, 1024..2000);
    while let Some(part) = next {
        next = members.copy_slice(part, &mut copied);
    }
    copied.retain(|member| **member < 1024);
    assert_eq!(copied.len(), 1024);
}
