use std::{collections::HashMap, sync::Arc};

use proptest::prelude::*;

use super::{Added, Line, Ready};

type TestLine = Line<(u8, u32), u32, bool>;

fn id(client: u8) -> Arc<str> {
    format!("client {client}").into()
}

/// What left, in order.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Left {
    One(u8, u32),
    Many(u32),
}

fn dispatch(line: &TestLine, left: &mut Vec<Left>) {
    line.dispatch(|ready| match ready {
        Ready::Ones(ones, _) => left.extend(ones.into_iter().map(|(c, n)| Left::One(c, n))),
        Ready::Many(n) => left.push(Left::Many(n)),
    });
}

#[test]
fn nothing_waits_where_nothing_is_before_it() {
    let line = TestLine::new(1000);
    assert!(line.is_idle());
    assert_eq!(line.add(&id(1), (1, 0), 1, true), Added::Free((1, 0)));
    assert_eq!(line.add_many(1), Some(1));
}

#[test]
fn one_look_up_serves_all_that_wait_for_it() {
    let line = TestLine::new(1000);
    assert_eq!(line.add(&id(1), (1, 0), 1, false), Added::Look);
    assert_eq!(line.add(&id(1), (1, 1), 1, false), Added::Waits);
    // Its route became known meanwhile; it waits all the same.
    assert_eq!(line.add(&id(1), (1, 2), 1, true), Added::Waits);
    assert_eq!(line.add(&id(2), (2, 3), 1, true), Added::Free((2, 3)));
    let mut left = Vec::new();
    line.found(&id(1), &true);
    dispatch(&line, &mut left);
    assert_eq!(left, [Left::One(1, 0), Left::One(1, 1), Left::One(1, 2)]);
    assert!(line.is_idle());
}

#[test]
fn a_message_to_many_is_a_barrier() {
    let line = TestLine::new(1000);
    assert_eq!(line.add(&id(1), (1, 0), 1, false), Added::Look);
    assert_eq!(line.add_many(1), None);
    assert_eq!(line.add(&id(2), (2, 2), 1, true), Added::Look);
    let mut left = Vec::new();
    line.found(&id(2), &true);
    dispatch(&line, &mut left);
    assert_eq!(left, []);
    line.found(&id(1), &true);
    dispatch(&line, &mut left);
    assert_eq!(left, [Left::One(1, 0), Left::Many(1), Left::One(2, 2)]);
}

#[test]
fn what_came_back_goes_before_what_was_added_since() {
    let line = TestLine::new(1000);
    assert!(line.add_returned(&id(1), (1, 0), 1));
    assert_eq!(line.add(&id(1), (1, 2), 1, true), Added::Waits);
    assert!(!line.add_returned(&id(1), (1, 1), 1));
    let mut left = Vec::new();
    line.found(&id(1), &true);
    dispatch(&line, &mut left);
    assert_eq!(left, [], "more may come back");
    line.returned_all(&id(1));
    dispatch(&line, &mut left);
    assert_eq!(left, [Left::One(1, 0), Left::One(1, 1), Left::One(1, 2)]);
}

#[test]
fn too_much_is_refused_and_room_comes_back() {
    let line = TestLine::new(10);
    assert_eq!(
        line.add(&id(1), (1, 0), 100, false),
        Added::Look,
        "one always fits"
    );
    assert_eq!(line.add(&id(2), (2, 1), 1, false), Added::Full((2, 1)));
    line.found(&id(1), &true);
    dispatch(&line, &mut Vec::new());
    assert_eq!(line.add(&id(2), (2, 2), 1, false), Added::Look);
}

#[test]
fn what_is_added_while_others_are_dispatched_does_not_overtake_them() {
    let line = TestLine::new(1000);
    line.add(&id(1), (1, 0), 1, false);
    line.found(&id(1), &true);
    let mut left = Vec::new();
    line.dispatch(|ready| {
        if let Ready::Ones(ones, _) = ready {
            for (client, n) in ones {
                if n == 0 {
                    assert_eq!(line.add(&id(1), (1, 1), 1, true), Added::Waits);
                }
                left.push((client, n));
            }
        }
    });
    assert_eq!(left, [(1, 0), (1, 1)]);
    assert!(line.is_idle());
}

#[derive(Debug, Clone)]
enum Step {
    One(u8, bool),
    Many,
    Found(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u8, any::<bool>()).prop_map(|(client, routed)| Step::One(client, routed)),
        1 => Just(Step::Many),
        3 => (0..4u8).prop_map(Step::Found),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Each client sees its messages, and those to many, in the order of the calls.
    #[test]
    fn order_is_kept_for_every_client(steps in steps()) {
        let line = TestLine::new(100_000);
        let (mut left, mut sent) = (Vec::new(), Vec::new());
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::One(client, routed) => {
                    sent.push(Left::One(client, n));
                    match line.add(&id(client), (client, n), 1, routed) {
                        Added::Free((c, n)) => left.push(Left::One(c, n)),
                        Added::Look if routed => line.found(&id(client), &true),
                        Added::Look | Added::Waits => {}
                        Added::Full(_) => prop_assert!(false, "full"),
                    }
                }
                Step::Many => {
                    sent.push(Left::Many(n));
                    left.extend(line.add_many(n).map(Left::Many));
                }
                Step::Found(client) => line.found(&id(client), &true),
            }
            dispatch(&line, &mut left);
        }
        // Every look-up ends.
        for _ in 0..2 {
            (0..4).for_each(|client| line.found(&id(client), &true));
            dispatch(&line, &mut left);
        }
        prop_assert!(line.is_idle());
        for client in 0..4 {
            let seen = |left: &[Left]| left.iter().copied().filter(|l| match l {
                Left::One(c, _) => *c == client,
                Left::Many(_) => true,
            }).collect::<Vec<_>>();
            prop_assert_eq!(seen(&left), seen(&sent));
        }
        let mut counts = HashMap::new();
        left.iter().for_each(|l| *counts.entry(format!("{l:?}")).or_insert(0) += 1);
        prop_assert!(counts.values().all(|count| *count == 1));
    }
}

#[test]
fn a_client_that_may_be_sent_messages_back_is_waited_for() {
    let line = TestLine::new(1000);
    assert!(!line.waits("client 1"));
    line.await_returns(&id(1));
    assert!(line.waits("client 1") && !line.waits("client 2"));
    assert_eq!(line.add(&id(1), (1, 1), 1, true), Added::Waits);
    line.found(&id(1), &true);
    let mut left = Vec::new();
    dispatch(&line, &mut left);
    assert_eq!(left, []);
    line.add_returned(&id(1), (1, 0), 1);
    line.returned_all(&id(1));
    line.returned_all(&id(1));
    line.found(&id(1), &true);
    dispatch(&line, &mut left);
    assert_eq!(left, [Left::One(1, 0), Left::One(1, 1)]);
    assert!(line.is_idle() && !line.waits("client 1"));
}

#[test]
fn what_came_back_and_was_overtaken_is_taken_out() {
    let line = TestLine::new(10);
    for n in [3, 5, 7] {
        line.add_returned(&id(1), (1, n), 4);
    }
    assert_eq!(
        line.overtaken("client 1", |(_, n)| *n < 6),
        [(1, 3), (1, 5)]
    );
    assert_eq!(line.overtaken("client 2", |_| true), []);
    line.returned_all(&id(1));
    line.found(&id(1), &true);
    let mut left = Vec::new();
    dispatch(&line, &mut left);
    assert_eq!(left, [Left::One(1, 7)]);
    // Their room is free again.
    assert_eq!(line.add(&id(2), (2, 8), 10, false), Added::Look);
}
