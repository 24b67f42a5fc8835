mod full;

use std::{sync::Arc, time::Duration};

use super::{RosterTable, Settled, Verdict};
use crate::roster::{
    BeatReply, ItemOutcome, Position, Pulse, Put, PutOp, PutReply, RosterKind, RosterName, Term,
};

const NOW: Duration = Duration::from_secs(100);
const LATER: Duration = Duration::from_secs(200);

fn lobby() -> RosterName {
    RosterName::new(RosterKind::Members, "lobby")
}

fn opened() -> RosterTable {
    let mut table = RosterTable::new(None);
    open(&mut table);
    table
}

fn open(table: &mut RosterTable) {
    table.on_opened(Term::new(Duration::from_secs(10), Duration::ZERO), 0);
}

/// What is put next, in words.
fn next(table: &mut RosterTable, now: Duration) -> (Vec<String>, Option<Put>) {
    let put = table.next_put(now, usize::MAX);
    let words = put.iter().flat_map(|put| &put.items).map(|item| {
        let sign = match item.op {
            PutOp::Enter => '+',
            PutOp::Reenter => '=',
            PutOp::Leave => '-',
        };
        format!("{sign}{}{}", item.user, item.info)
    });
    (words.collect(), put)
}

fn done(put: &Put) -> PutReply {
    PutReply::Done {
        stands: put.number,
        outcomes: vec![ItemOutcome::Done; put.items.len()],
    }
}

/// Puts everything, and is answered. What was put.
fn flush(table: &mut RosterTable, now: Duration) -> Vec<String> {
    let mut all = Vec::new();
    while let (words, Some(put)) = next(table, now) {
        all.extend(words);
        table.on_reply(Some(done(&put)), now);
    }
    all
}

fn pulse(stands: u64, hold: Duration) -> BeatReply {
    BeatReply::Renewed(Pulse {
        stands,
        tail: Position::new("1"),
        entries: None,
        hold,
    })
}

#[test]
fn only_the_first_and_the_last_connection_are_put() {
    let mut table = opened();
    assert!(!table.enter(&lobby(), "ada", ""));
    assert_eq!(flush(&mut table, NOW), ["+ada"]);
    assert!(table.enter(&lobby(), "ada", ""), "it stands already");
    table.exit(&lobby(), "ada", NOW);
    assert!(flush(&mut table, NOW).is_empty());
    assert_eq!(table.connections(&lobby(), "ada"), 1);
    table.exit(&lobby(), "ada", NOW);
    assert_eq!(flush(&mut table, NOW), ["-ada"]);
    assert!(table.is_empty());
    table.exit(&lobby(), "nobody", NOW);
    assert!(flush(&mut table, NOW).is_empty());
}

#[test]
fn who_returns_within_the_grace_costs_nothing() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.exit(&lobby(), "ada", LATER);
    assert!(flush(&mut table, NOW).is_empty());
    assert_eq!(table.next_due(), Some(LATER));
    assert!(table.enter(&lobby(), "ada", ""));
    assert!(flush(&mut table, LATER).is_empty());
    table.exit(&lobby(), "ada", LATER);
    assert_eq!(flush(&mut table, LATER), ["-ada"]);
}

#[test]
fn a_put_without_an_answer_is_put_again_with_a_higher_number() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    let (_, first) = next(&mut table, NOW);
    assert!(next(&mut table, NOW).1.is_none(), "one at a time");
    table.exit(&lobby(), "ada", NOW);
    table.on_reply(None, NOW);
    // It may stand, so it is removed.
    let (words, second) = next(&mut table, NOW);
    assert_eq!(words, ["-ada"]);
    assert!(second.unwrap().number > first.unwrap().number);
}

#[test]
fn who_was_acknowledged_is_entered_again_without_the_limit() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.enter(&lobby(), "grace", "");
    let (_, put) = next(&mut table, NOW);
    assert!(put.is_some());
    table.on_reply(Some(PutReply::Lost), NOW);
    assert!(table.term().is_none() && table.old_term().is_none());
    open(&mut table);
    let mut words = flush(&mut table, NOW);
    words.sort_unstable();
    assert_eq!(words, ["+grace", "=ada"]);
}

#[test]
fn lost_writes_keep_the_old_term_until_everybody_is_entered() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.on_beat(&pulse(0, Duration::ZERO), NOW);
    let old = table.old_term().cloned();
    assert!(old.is_some());
    open(&mut table);
    assert_eq!(table.take_ended(), None, "ada is not entered yet");
    assert_eq!(flush(&mut table, NOW), ["=ada"]);
    assert_eq!(table.take_ended(), old);
}

#[test]
fn who_stays_while_the_registry_holds_goes_after_that() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.exit(&lobby(), "ada", NOW);
    let (_, put) = next(&mut table, NOW);
    let stands = put.unwrap().number;
    let outcomes = vec![ItemOutcome::Later];
    table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    table.on_beat(&pulse(stands, Duration::from_secs(1)), NOW);
    assert!(flush(&mut table, NOW).is_empty());
    table.on_beat(&pulse(stands, Duration::ZERO), NOW);
    assert_eq!(flush(&mut table, NOW), ["-ada"]);
}

#[test]
fn who_returns_while_nobody_may_go_is_told() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.exit(&lobby(), "ada", NOW);
    let (words, put) = next(&mut table, NOW);
    assert_eq!(words, ["-ada"]);
    assert!(!table.enter(&lobby(), "ada", ""), "the entry may go");
    let (stands, outcomes) = (put.unwrap().number, vec![ItemOutcome::Later]);
    let settled = table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    assert_eq!(settled, [Settled::new(lobby(), "ada", Verdict::Entered)]);
    assert!(flush(&mut table, NOW).is_empty());
}

#[test]
fn who_comes_with_a_wider_limit_is_judged_by_it() {
    let mut table = opened();
    table.enter_limited(&lobby(), ("ada", ""), Some(1));
    let (_, put) = next(&mut table, NOW);
    table.enter_limited(&lobby(), ("ada", ""), Some(2));
    let (stands, outcomes) = (put.unwrap().number, vec![ItemOutcome::Full]);
    let settled = table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    assert!(settled.is_empty(), "it is asked again: {settled:?}");
    let (words, put) = next(&mut table, NOW);
    let put = put.unwrap();
    assert_eq!((words.join(" "), put.limit), ("+ada".into(), Some(2)));
    // Both have waited, and a narrower one that comes last narrows nothing.
    table.enter_limited(&lobby(), ("ada", ""), Some(1));
    let (stands, outcomes) = (put.number, vec![ItemOutcome::Full]);
    let settled = table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    assert_eq!(settled, [Settled::new(lobby(), "ada", Verdict::Full)]);
    assert!(next(&mut table, NOW).1.is_none());
}

#[test]
fn a_full_roster_settles_everybody_who_waits() {
    let mut table = RosterTable::new(Some(1));
    open(&mut table);
    table.enter(&lobby(), "ada", "");
    table.enter(&lobby(), "ada", "");
    let (_, put) = next(&mut table, NOW);
    let put = put.unwrap();
    assert_eq!(put.limit, Some(1));
    let (stands, outcomes) = (put.number, vec![ItemOutcome::Full]);
    let settled = table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    let verdicts: Vec<_> = settled.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Full]);
    assert!(next(&mut table, NOW).1.is_none(), "it is not asked again");
    for _ in 0..2 {
        assert!(!table.is_empty());
        table.exit(&lobby(), "ada", NOW);
    }
    assert!(table.is_empty());
}

#[test]
fn an_old_term_ends_beside_who_is_refused() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.on_beat(&pulse(0, Duration::ZERO), NOW);
    open(&mut table);
    flush(&mut table, NOW);
    table.enter(&lobby(), "grace", "");
    let (_, put) = next(&mut table, NOW);
    let (stands, outcomes) = (put.unwrap().number, vec![ItemOutcome::Full]);
    assert_eq!(table.take_ended(), None, "grace is not decided");
    table.on_reply(Some(PutReply::Done { stands, outcomes }), NOW);
    assert!(table.take_ended().is_some());
    // Another term does not ask again for her, another connection does.
    table.on_beat(&BeatReply::Lost, NOW);
    open(&mut table);
    assert_eq!(flush(&mut table, NOW), ["=ada"]);
    table.enter(&lobby(), "grace", "");
    assert_eq!(flush(&mut table, NOW), ["+grace"]);
    table.exit(&lobby(), "grace", NOW);
    assert_eq!(table.connections(&lobby(), "grace"), 1);
}

#[test]
fn a_put_has_the_limit_of_those_who_come_with_it() {
    let mut table = opened();
    for (user, limit) in [
        ("ada", Some(1)),
        ("joan", Some(2)),
        ("mary", Some(1)),
        ("grace", None),
    ] {
        table.enter_limited(&lobby(), (user, ""), limit);
    }
    let mut puts = Vec::new();
    while let (words, Some(put)) = next(&mut table, NOW) {
        puts.push((words.join(" "), put.limit));
        table.on_reply(Some(done(&put)), NOW);
    }
    let puts: Vec<_> = puts
        .iter()
        .map(|(words, limit)| (&**words, *limit))
        .collect();
    let expected = [
        ("+ada +mary", Some(1)),
        ("+joan", Some(2)),
        ("+grace", None),
    ];
    assert_eq!(puts, expected);
}

#[test]
fn who_comes_anew_instead_of_again_has_its_own_limit() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "");
    flush(&mut table, NOW);
    table.on_beat(&BeatReply::Lost, NOW);
    open(&mut table);
    assert!(table.has_again());
    table.exit(&lobby(), "ada", NOW);
    table.enter(&lobby(), "grace", "");
    table.enter_limited(&lobby(), ("ada", ""), Some(1));
    let mut puts = Vec::new();
    while let (words, Some(put)) = next(&mut table, NOW) {
        puts.push((words.join(" "), put.limit));
        table.on_reply(Some(done(&put)), NOW);
    }
    assert_eq!(
        puts,
        [("+grace".to_owned(), None), ("+ada".to_owned(), Some(1))]
    );
    assert!(!table.has_fresh() && !table.has_again());
}

#[test]
fn who_says_nothing_leaves_what_was_said() {
    let mut table = opened();
    table.enter(&lobby(), "ada", "1");
    assert_eq!(flush(&mut table, NOW), ["+ada1"]);
    assert!(table.enter(&lobby(), "ada", ""), "there is nothing new");
    table.exit(&lobby(), "ada", NOW);
    table.enter(&lobby(), "joan", "");
    assert_eq!(flush(&mut table, NOW), ["+joan"]);
    table.enter(&lobby(), "joan", "2");
    assert_eq!(flush(&mut table, NOW), ["+joan2"]);
}

#[test]
fn information_that_changed_meanwhile_is_put_again() {
    let mut table = opened();
    table.enter(&lobby(), "ada", ":1");
    let (words, put) = next(&mut table, NOW);
    assert_eq!(words, ["+ada:1"]);
    table.enter(&lobby(), "ada", ":2");
    table.on_reply(Some(done(&put.unwrap())), NOW);
    assert_eq!(flush(&mut table, NOW), ["+ada:2"]);
    // After a loss, who is there already keeps what is known, and then gets what is new.
    table.enter(&lobby(), "ada", ":3");
    table.on_beat(&BeatReply::Lost, NOW);
    open(&mut table);
    assert_eq!(flush(&mut table, NOW), ["=ada:3", "+ada:3"]);
}

#[test]
fn who_went_during_an_outage_goes_later() {
    let mut table = opened();
    for user in ["ada", "grace"] {
        table.enter(&lobby(), user, "");
    }
    flush(&mut table, NOW);
    table.exit(&lobby(), "ada", NOW);
    table.postpone(LATER);
    assert!(flush(&mut table, NOW).is_empty());
    assert_eq!(flush(&mut table, LATER), ["-ada"]);
    assert_eq!(table.len(), 1);
    assert!(!table.has_fresh() && !table.has_again());
    let user: Arc<str> = "grace".into();
    assert_eq!(table.connections(&lobby(), &user), 1);
}
