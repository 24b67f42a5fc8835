//! What receivers know after any order of changes, of other nodes in the place, and of losses of the registry's data.

use proptest::{prelude::*, sample::Index};

use super::*;

const SUBJECTS: usize = 3;

/// How long all have to come again after a loss.
const RETURN: Duration = Duration::from_secs(12);

#[derive(Debug, Clone, Copy)]
enum Step {
    Come(usize),
    Go(usize),
    /// Time passes, and what was being told has arrived.
    Pass(u64),
    /// The place is lost, and so many of those that are being told do not arrive any more.
    Suspend(Index),
    /// The place is taken again: another node has told up to the first change, and noted the second at most.
    Resume(Index, Index),
    /// The registry has lost its data. Another node in the place has told up to this change. These have come again
    /// already; the others do so next.
    Reset(Index, [bool; SUBJECTS]),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SUBJECTS).prop_map(Step::Come),
        4 => (0..SUBJECTS).prop_map(Step::Go),
        4 => (1..5000u64).prop_map(Step::Pass),
        1 => any::<Index>().prop_map(Step::Suspend),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(told, noted)| Step::Resume(told, noted)),
        1 => (any::<Index>(), any::<[bool; SUBJECTS]>()).prop_map(|(told, there)| Step::Reset(told, there)),
    ]
}

/// A change: who, and whether it has come.
type Change = (usize, bool);

/// Numbers of changes, as receipts.
type Receipt = Arc<usize>;

struct World {
    holds: Holds<usize>,
    now: Instant,
    is_there: [bool; SUBJECTS],
    /// What receivers know.
    view: [bool; SUBJECTS],
    /// Whether this node has taken a change of it since it began to tell that it had gone, or has not told that.
    is_known: [bool; SUBJECTS],
    journal: Vec<Change>,
    /// Of the changes that were taken, by their number.
    receipts: Vec<Weak<usize>>,
    /// From where on this node has taken the changes; `None` while it has not the place.
    from: Option<usize>,
    /// Those of the last reset and of all before it: until all are done, whoever takes the place begins with a reset.
    until_reset: Vec<Weak<usize>>,
    /// No node is done with the last reset.
    is_reset_due: bool,
    being_told: Vec<(Change, Receipt)>,
}

impl World {
    fn new() -> Self {
        Self {
            holds: Holds::default(),
            now: Instant::now(),
            is_there: [false; SUBJECTS],
            view: [false; SUBJECTS],
            is_known: [false; SUBJECTS],
            journal: Vec::new(),
            receipts: Vec::new(),
            from: Some(0),
            until_reset: Vec::new(),
            is_reset_due: false,
            being_told: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Come(n) => self.change((n, true)),
            Step::Go(n) => self.change((n, false)),
            Step::Pass(milliseconds) => self.pass(Duration::from_millis(milliseconds)),
            Step::Suspend(arrive) => self.suspend(arrive),
            Step::Resume(..) if self.is_reset_due => self.reset([true; SUBJECTS]),
            Step::Resume(told, noted) if self.from.is_none() => {
                let told = self.another_tells(told);
                self.resume_at(noted.index(told + 1));
            }
            Step::Reset(told, has_returned) => {
                if self.from.is_none() && !self.is_reset_due {
                    self.another_tells(told);
                }
                self.reset(has_returned);
            }
            Step::Resume(..) => {}
        }
    }

    fn change(&mut self, (n, comes): Change) {
        if self.is_there[n] != comes {
            self.is_there[n] = comes;
            self.journal.push((n, comes));
            if self.from.is_some() {
                self.take(self.journal.len() - 1);
            }
        }
    }

    fn take(&mut self, number: usize) {
        let receipt = Arc::new(number);
        self.receipts.push(Arc::downgrade(&receipt));
        self.take_change(self.journal[number], receipt);
    }

    fn take_change(&mut self, (n, comes): Change, receipt: Receipt) {
        self.is_known[n] = true;
        if comes {
            if self.holds.come(&number(n)) {
                self.being_told.push(((n, true), receipt));
            }
        } else {
            let told = self.holds.go(number(n), self.now + HOLD, receipt);
            assert!(told.is_none());
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.arrive(self.being_told.len());
        while let Some((subject, receipt)) = self.holds.pop(self.now) {
            let n = (0..SUBJECTS).find(|n| number(*n) == subject).unwrap();
            self.is_known[n] = false;
            self.being_told.push(((n, false), receipt));
        }
    }

    fn arrive(&mut self, count: usize) {
        for ((n, comes), _receipt) in self.being_told.drain(..count) {
            self.view[n] = comes;
        }
    }

    fn suspend(&mut self, arrive: Index) {
        let Some(from) = self.from.take() else { return };
        self.arrive(arrive.index(self.being_told.len() + 1));
        let is_open = |receipt: &Weak<usize>| receipt.strong_count() > 0;
        let done = self.receipts.iter().position(is_open);
        let done = done.unwrap_or(self.receipts.len());
        self.is_reset_due = self.until_reset.iter().any(is_open);
        self.holds.suspend();
        for ((n, _), _receipt) in self.being_told.drain(..) {
            self.is_known[n] = true;
        }
        // Another node begins there.
        self.journal.drain(..from + done);
        self.receipts.clear();
    }

    /// At most all that has happened. Up to which change.
    fn another_tells(&mut self, told: Index) -> usize {
        let told = told.index(self.journal.len() + 1);
        for (n, comes) in &self.journal[..told] {
            self.view[*n] = *comes;
        }
        told
    }

    fn resume_at(&mut self, from: usize) {
        self.from = Some(from);
        (from..self.journal.len()).for_each(|number| self.take(number));
    }

    fn reset(&mut self, has_returned: [bool; SUBJECTS]) {
        (self.from, self.is_reset_due) = (Some(0), false);
        self.journal.clear();
        self.until_reset.append(&mut self.receipts);
        for n in 0..SUBJECTS {
            // Nothing says that another node told of it, and that it has gone.
            self.view[n] &= self.is_there[n] || self.is_known[n];
        }
        let [returned, others]: [Vec<_>; 2] = [true, false].map(|has| {
            let all = 0..SUBJECTS;
            all.filter(|n| self.is_there[*n] && has_returned[*n] == has)
                .collect()
        });
        let there: Vec<_> = returned.iter().copied().map(number).collect();
        let receipt = Arc::new(0);
        self.until_reset.push(Arc::downgrade(&receipt));
        let told = self.holds.reset(&there, (self.now, RETURN), &receipt);
        for n in returned {
            self.is_known[n] = true;
            if told.contains(&number(n)) {
                self.being_told.push(((n, true), Arc::clone(&receipt)));
            }
        }
        for n in others {
            self.journal.push((n, true));
            self.take(self.journal.len() - 1);
        }
    }
}

fn number(n: usize) -> Subject {
    subject(["", "ada", "bob"][n])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Of all that this node has told, and of all who are there, receivers know the truth after a quiet time.
    #[test]
    fn receivers_know_the_truth_in_the_end(
        steps in prop::collection::vec(step(), 0..60),
        (told, noted) in any::<(Index, Index)>(),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.step(Step::Resume(told, noted));
        world.pass(RETURN);
        world.pass(Duration::ZERO);
        prop_assert_eq!(world.view, world.is_there);
    }
}
