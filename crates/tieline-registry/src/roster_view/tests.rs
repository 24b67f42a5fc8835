use std::{sync::Arc, time::Duration};

use super::{Fetch, RosterView, Update};
use crate::{
    roster::{
        BeatReply, JournalEntry, JournalReply, Member, Position, Pulse, RosterKind, RosterName,
        RosterPage, RosterReply, TransitionKind,
    },
    types::Cursor,
};

const LEASE: Duration = Duration::from_secs(10);
const NOW: Duration = Duration::ZERO;

fn lobby() -> RosterName {
    RosterName::new(RosterKind::Members, "lobby")
}

fn members(users: &[&str]) -> Vec<Member> {
    let member = |user: &&str| Member {
        user: (*user).into(),
        info: Arc::default(),
    };
    users.iter().map(member).collect()
}

fn roster(tail: &str, users: &[&str]) -> RosterReply {
    RosterReply {
        tail: Position::new(tail),
        count: users.len() as u64,
        members: Some(members(users)),
    }
}

/// Transitions such as `+ada`, each at a place.
fn entries(told: &[(&str, &str)]) -> JournalReply {
    let entry = |(place, told): &(&str, &str)| JournalEntry {
        position: Position::new(*place),
        kind: match told.as_bytes()[0] {
            b'+' => TransitionKind::Joined,
            b'-' => TransitionKind::Left,
            _ => TransitionKind::Changed,
        },
        roster: lobby(),
        user: told[1..].into(),
        info: Arc::default(),
        count: 0,
    };
    let entries: Vec<_> = told.iter().map(entry).collect();
    let last = entries.last().expect("something is told");
    JournalReply::Entries {
        reached: last.position.clone(),
        entries,
    }
}

fn beat(tail: &str, hold: Duration) -> BeatReply {
    BeatReply::Renewed(Pulse {
        stands: 0,
        tail: Position::new(tail),
        entries: None,
        hold,
    })
}

/// What is told, in words.
fn told(view: &mut RosterView) -> Vec<String> {
    let mut words = Vec::new();
    for (_, update) in view.take_updates() {
        match update {
            Update::Snapshot(members) => {
                let users: Vec<_> = members.iter().map(|one| &*one.user).collect();
                words.push(format!("={}", users.join(",")));
            }
            Update::Transitions(transitions) => words.extend(transitions.iter().map(|one| {
                let sign = match one.kind {
                    TransitionKind::Joined => '+',
                    TransitionKind::Left => '-',
                    TransitionKind::Changed => '~',
                };
                format!("{sign}{}", one.member.user)
            })),
        }
    }
    words
}

/// A view that has told ada, and is at the place 5.
fn following() -> RosterView {
    let mut view = RosterView::new(LEASE);
    view.follow(&lobby());
    assert_eq!(view.next_fetch(), Some(Fetch::Roster(lobby())));
    view.on_roster(&lobby(), roster("5", &["ada"]));
    assert_eq!(view.next_fetch(), None);
    assert_eq!(told(&mut view), ["=ada"]);
    view
}

#[test]
fn what_follows_a_snapshot_is_told_once() {
    let mut view = following();
    view.on_read(entries(&[("6", "+grace"), ("7", "-ada")]), NOW);
    assert_eq!(told(&mut view), ["+grace", "-ada"]);
    assert!(told(&mut view).is_empty());
    assert_eq!(view.position(), Some(&Position::new("7")));
    assert_eq!(view.shown(&lobby()), Some(members(&["grace"])));
    view.unfollow(&lobby());
    assert_eq!((view.position(), view.shown(&lobby())), (None, None));
}

#[test]
fn who_comes_and_goes_while_nothing_is_read_is_forgotten() {
    let mut view = following();
    let hall = RosterName::new(RosterKind::Members, "hall");
    view.follow(&hall);
    for number in 0..100 {
        let name = RosterName::new(RosterKind::Members, &number.to_string());
        for name in [&name, &hall] {
            view.follow(name);
            view.unfollow(name);
        }
    }
    assert!(view.next_fetches(64).is_empty());
    view.follow(&hall);
    assert_eq!(view.next_fetches(64), [Fetch::Roster(hall)]);
}

#[test]
fn pages_are_told_once_the_end_of_each_is_met() {
    let mut view = RosterView::new(LEASE);
    view.follow(&lobby());
    let many = RosterReply {
        members: None,
        ..roster("5", &[])
    };
    view.on_roster(&lobby(), many);
    let page = |tail: &str, users: &[&str], next: Option<Cursor>| RosterPage {
        tail: Position::new(tail),
        members: members(users),
        next,
    };
    view.on_page(&lobby(), page("5", &["ada", "joan"], Some(Cursor(vec![1]))));
    assert_eq!(
        view.next_fetch(),
        Some(Fetch::Page(lobby(), Cursor(vec![1])))
    );
    // Joan, who was on the first page, has gone before the second was read.
    view.on_page(&lobby(), page("7", &["grace"], None));
    assert!(told(&mut view).is_empty(), "the reader is at 5");
    view.on_read(
        entries(&[("6", "-joan"), ("7", "+grace"), ("8", "+mary")]),
        NOW,
    );
    assert_eq!(told(&mut view), ["=ada,grace,mary"]);
}

#[test]
fn a_snapshot_whose_end_is_never_met_is_read_again() {
    let mut view = following();
    let hall = RosterName::new(RosterKind::Members, "hall");
    view.follow(&hall);
    view.on_roster(&hall, roster("9", &["joan"]));
    assert_eq!(view.next_fetch(), None);
    view.on_read(entries(&[("6", "+grace")]), NOW);
    assert_eq!(
        told(&mut view),
        ["+grace"],
        "hall is of a journal that is lost"
    );
    assert_eq!(view.next_fetch(), Some(Fetch::Roster(hall)));
}

#[test]
fn after_a_break_nobody_goes_before_everybody_could_enter_again() {
    let mut view = following();
    assert!(view.on_read(JournalReply::Broken, NOW));
    assert!(view.is_settling() && view.position().is_none());
    view.on_roster(&lobby(), roster("20", &["grace"]));
    assert_eq!(told(&mut view), ["+grace"], "ada may only be missing");
    assert_eq!(view.shown(&lobby()).map(|all| all.len()), Some(2));
    // Who is removed meanwhile may be somewhere else.
    view.on_read(entries(&[("21", "-grace")]), NOW);
    assert!(told(&mut view).is_empty());
    assert!(!view.wants_beat(NOW), "a lease has not passed");
    assert!(view.wants_beat(LEASE));
    view.on_beat(&beat("23", Duration::from_secs(1)));
    assert!(view.wants_beat(LEASE), "the registry holds");
    view.on_beat(&beat("23", Duration::ZERO));
    assert!(view.is_settling(), "the reader is at 21");
    view.on_read(entries(&[("22", "+ada"), ("23", "+joan")]), LEASE);
    assert!(!view.is_settling());
    assert_eq!(told(&mut view), ["+joan", "-grace"]);
    assert_eq!(view.shown(&lobby()), Some(members(&["ada", "joan"])));
}
