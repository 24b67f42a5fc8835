mod other_nodes;

use proptest::prelude::*;

use super::*;

const HOLD: Duration = Duration::from_secs(3);

fn subject(member: &str) -> Subject {
    Subject {
        hub: "chat".into(),
        channel: "presence-a".into(),
        member: (!member.is_empty()).then(|| member.into()),
    }
}

fn receipt() -> Arc<()> {
    Arc::new(())
}

fn popped(holds: &mut Holds<()>, now: Instant) -> Vec<Subject> {
    std::iter::from_fn(|| holds.pop(now))
        .map(|(subject, _)| subject)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_return_in_time_is_not_told_and_a_later_one_is() {
    let (mut holds, start, ada) = (Holds::default(), Instant::now(), subject("ada"));
    assert!(holds.come(&ada));
    assert_eq!(holds.go(ada.clone(), start + HOLD, receipt()), None);
    assert!(!holds.come(&ada), "within the time");
    assert!(holds.pop(start + HOLD).is_none() && holds.next_due().is_none());
    holds.go(ada.clone(), start + HOLD, receipt());
    assert!(holds.pop(start + HOLD - Duration::from_millis(1)).is_none());
    assert_eq!(popped(&mut holds, start + HOLD), std::slice::from_ref(&ada));
    assert!(holds.come(&ada), "after the time");
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_unnoticed_is_told_to_come_again() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let [ada, bob] = ["ada", "bob"].map(subject);
    assert!(holds.come(&ada) && holds.come(&bob));
    holds.go(bob.clone(), start + HOLD, receipt());
    for subject in [&ada, &bob] {
        holds.forget(subject);
    }
    assert!(holds.next_due().is_none());
    assert!(holds.come(&ada) && holds.come(&bob));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_there_before_is_told_to_go() {
    let (mut holds, start, ada) = (Holds::default(), Instant::now(), subject("ada"));
    holds.go(ada.clone(), start + HOLD, receipt());
    assert_eq!(popped(&mut holds, start + HOLD), [ada]);
}

#[tokio::test(start_paused = true)]
async fn the_difference_is_told_after_a_reset() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let [channel, ada, bob, joan] = ["", "ada", "bob", "joan"].map(subject);
    for subject in [&channel, &ada, &bob] {
        assert!(holds.come(subject));
    }
    holds.go(bob.clone(), start + HOLD, receipt());
    let there = [channel.clone(), bob.clone(), joan.clone()];
    let told = holds.reset(&there, (start, HOLD * 4), &receipt());
    assert_eq!(told, [joan], "Bob has returned, and the channel is known");
    assert_eq!(holds.next_due(), Some(start + HOLD * 4));
    assert!(!holds.come(&bob), "known, if it comes as a change too");
    assert_eq!(popped(&mut holds, start + HOLD * 4), [ada]);
}

#[tokio::test(start_paused = true)]
async fn members_go_before_their_channel_after_a_reset() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let [channel, ada] = ["", "ada"].map(subject);
    holds.come(&channel);
    holds.come(&ada);
    holds.reset(&[], (start, HOLD), &receipt());
    assert_eq!(popped(&mut holds, start + HOLD), [ada, channel]);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_may_have_told_is_told_again() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let [ada, bob, joan] = ["ada", "bob", "joan"].map(subject);
    for subject in [&ada, &bob, &joan] {
        holds.come(subject);
    }
    holds.go(joan.clone(), start + HOLD, receipt());
    holds.suspend();
    assert!(holds.next_due().is_none(), "another node tells of Joan");
    let told = holds.reset(std::slice::from_ref(&ada), (start, HOLD), &receipt());
    assert_eq!(told, std::slice::from_ref(&ada));
    assert_eq!(popped(&mut holds, start + HOLD), [joan, bob]);

    holds.suspend();
    assert!(holds.come(&ada), "she may have gone and have come again");
    assert!(!holds.come(&ada));
}

#[tokio::test(start_paused = true)]
async fn a_return_is_told_if_another_node_may_have_told_the_going() {
    let (mut holds, start, ada) = (Holds::default(), Instant::now(), subject("ada"));
    assert!(holds.come(&ada));
    holds.suspend();
    assert_eq!(holds.reset(&[], (start, HOLD), &receipt()), []);
    assert!(holds.come(&ada), "after a reset");
    assert!(holds.next_due().is_none());

    holds.suspend();
    holds.go(ada.clone(), start + HOLD, receipt());
    assert!(holds.come(&ada), "where the other node was");

    let joan = subject("joan");
    holds.go(joan.clone(), start + HOLD, receipt());
    assert!(holds.come(&joan), "of whom this node has told nothing");
}

#[tokio::test(start_paused = true)]
async fn a_going_that_was_not_told_any_more_is_told_after_a_reset() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let [ada, bob] = ["ada", "bob"].map(subject);
    for subject in [&ada, &bob] {
        holds.come(subject);
        holds.go(subject.clone(), start, receipt());
    }
    let being_told = holds.pop(start).unwrap();
    drop(holds.pop(start).unwrap());
    holds.suspend();
    drop(being_told);
    holds.reset(&[], (start, HOLD), &receipt());
    assert_eq!(popped(&mut holds, start + HOLD), [ada], "Bob's was told");
}

#[tokio::test(start_paused = true)]
async fn all_have_time_to_return_after_a_reset_however_many_they_are() {
    let (mut holds, start) = (Holds::default(), Instant::now());
    let all = MAX_HELD + 1;
    let subjects = (0..all).map(|number| subject(&number.to_string()));
    assert!(subjects.into_iter().all(|subject| holds.come(&subject)));
    holds.reset(&[], (start, HOLD), &receipt());
    // A second one gives all the same time again.
    holds.reset(&[], (start + HOLD, HOLD), &receipt());
    assert_eq!(popped(&mut holds, start + HOLD), []);
    assert_eq!(popped(&mut holds, start + HOLD * 2).len(), all);
}

#[derive(Debug, Clone)]
enum Step {
    Come(usize),
    Go(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize).prop_map(Step::Come),
        (0..3usize).prop_map(Step::Go),
        (1..5000u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// A model that keeps the whole history: a going is told if no coming follows within the time, and a coming if
    /// the going before it was told. So what is told alternates, and at rest is what holds.
    #[test]
    fn what_is_told_is_what_lasts(steps in prop::collection::vec(step(), 0..100)) {
        let subjects = ["", "ada", "bob"].map(subject);
        let start = Instant::now();
        let (mut holds, mut passed) = (Holds::default(), Duration::ZERO);
        let (mut is_there, mut told) = ([false; 3], [false; 3]);
        let mut gone_at = [Duration::ZERO; 3];
        for step in steps.into_iter().chain([Step::Pass(5000)]) {
            match step {
                Step::Come(n) if !is_there[n] => {
                    is_there[n] = true;
                    prop_assert_eq!(holds.come(&subjects[n]), !told[n]);
                    told[n] = true;
                }
                Step::Go(n) if is_there[n] => {
                    is_there[n] = false;
                    gone_at[n] = passed;
                    prop_assert!(holds.go(subjects[n].clone(), start + passed + HOLD, receipt()).is_none());
                }
                Step::Pass(milliseconds) => {
                    passed += Duration::from_millis(milliseconds);
                    let mut expected: Vec<_> = (0..3)
                        .filter(|n| told[*n] && !is_there[*n] && gone_at[*n] + HOLD <= passed)
                        .collect();
                    expected.iter().for_each(|n| told[*n] = false);
                    let gone = popped(&mut holds, start + passed);
                    let times = gone.iter().map(|subject| {
                        gone_at[subjects.iter().position(|one| one == subject).unwrap()]
                    });
                    prop_assert!(times.is_sorted(), "in the order in which they went");
                    let index = |subject| subjects.iter().position(|one| one == subject).unwrap();
                    let mut gone: Vec<_> = gone.iter().map(index).collect();
                    gone.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(gone, expected);
                }
                Step::Come(_) | Step::Go(_) => {}
            }
        }
        prop_assert_eq!(is_there, told);
    }
}
