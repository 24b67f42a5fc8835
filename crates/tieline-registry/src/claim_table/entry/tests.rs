//! Every event in every state.
//!
//! A state is three letters: desired (`-` nothing, `F`resh, e`X`clusive, `H`eld), registered (`n`o, `?`
//! unknown, `y`es), in progress (`.` no, `>` yes, `*` yes, then recheck).

use super::*;

/// The connection and the arrival of every state that desires something.
const CONNECTION: u32 = 1;
const STAMP: Stamp = Stamp(10);

type Entry = ClaimEntry<u32>;

/// For each kind of state: a pattern (`_` is any letter), the state after the event (`=` is the letter
/// before it), and what the event returns.
type Transitions<'a, R> = &'a [(&'a str, &'a str, R)];

fn entry(state: [char; 3]) -> Entry {
    let kind = match state[0] {
        '-' => None,
        'F' => Some(ClaimKind::Fresh),
        'X' => Some(ClaimKind::Exclusive),
        'H' => Some(ClaimKind::Held),
        other => panic!("unknown letter {other}"),
    };
    Entry {
        desired: kind.map(|kind| Desired {
            connection: CONNECTION,
            kind,
        }),
        registered: match state[1] {
            'n' => Registered::No,
            '?' => Registered::Unknown,
            'y' => Registered::Yes,
            other => panic!("unknown letter {other}"),
        },
        in_progress: match state[2] {
            '.' => InProgress::No,
            '>' => InProgress::Yes,
            '*' => InProgress::YesThenRecheck,
            other => panic!("unknown letter {other}"),
        },
        stamp: STAMP,
        to_refill: false,
    }
}

fn states() -> impl Iterator<Item = [char; 3]> {
    "-FXH".chars().flat_map(|desired| {
        "n?y".chars().flat_map(move |registered| {
            let progress = ".>*".chars();
            progress.map(move |progress| [desired, registered, progress])
        })
    })
}

/// Plays an event in each state: exactly one rule must apply, and foretell what happens.
fn check<R: PartialEq + std::fmt::Debug + Clone>(
    event: impl Fn(&mut Entry) -> R,
    rules: Transitions<'_, R>,
) {
    for state in states() {
        let matches = |pattern: &str| {
            let mut letters = pattern.chars().zip(state);
            letters.all(|(letter, now)| letter == '_' || letter == now)
        };
        let mut rules = rules.iter().filter(|(pattern, ..)| matches(pattern));
        let (_, after, result) = rules.next().unwrap_or_else(|| panic!("{state:?}: no rule"));
        assert_eq!(rules.next(), None, "{state:?}: two rules");
        let mut letters = after
            .chars()
            .zip(state)
            .map(|(letter, before)| match letter {
                '=' => before,
                letter => letter,
            });
        let wanted = std::array::from_fn(|_| letters.next().unwrap());
        let mut entry = entry(state);
        assert_eq!(event(&mut entry), *result, "{state:?}");
        assert_eq!(entry, self::entry(wanted), "{state:?}");
    }
}

#[test]
fn connect_replaces_what_was_desired() {
    let connect = |exclusive| move |entry: &mut Entry| entry.connect(CONNECTION, STAMP, exclusive);
    check(connect(false), &[("___", "F==", ())]);
    check(connect(true), &[("___", "X==", ())]);
}

#[test]
fn disconnect_ends_the_newest_connection_and_its_recheck() {
    let rules: Transitions<'_, bool> = &[
        ("-__", "===", false),
        ("F_.", "-=.", true),
        ("X_.", "-=.", true),
        ("H_.", "-=.", true),
        ("F_>", "-=>", true),
        ("X_>", "-=>", true),
        ("H_>", "-=>", true),
        ("F_*", "-=>", true),
        ("X_*", "-=>", true),
        ("H_*", "-=>", true),
    ];
    check(|entry| entry.disconnect(|it| *it == CONNECTION), rules);
    check(
        |entry| entry.disconnect(|_| false),
        &[("___", "===", false)],
    );
}

#[test]
fn recheck_claims_again_now_or_after_the_request_in_progress() {
    let rules: Transitions<'_, bool> = &[
        ("-__", "===", false),
        ("F_.", "=?.", true),
        ("X_.", "=?.", true),
        ("H_.", "=?.", true),
        ("F_>", "==*", false),
        ("X_>", "==*", false),
        ("H_>", "==*", false),
        ("F_*", "===", false),
        ("X_*", "===", false),
        ("H_*", "===", false),
    ];
    check(Entry::recheck, rules);
}

#[test]
fn sweep_releases_what_nothing_here_wants() {
    let rules: Transitions<'_, bool> = &[
        ("-_.", "=?.", true),
        ("-_>", "===", false),
        ("-_*", "===", false),
        ("F__", "===", false),
        ("X__", "===", false),
        ("H__", "===", false),
    ];
    check(|entry| entry.sweep(Stamp(1)), rules);
}

#[test]
fn begin_replaces_a_recheck() {
    check(Entry::begin, &[("___", "==>", ())]);
}

#[test]
fn granted_registers_unless_a_recheck_is_due() {
    let rules: Transitions<'_, bool> = &[
        ("-_.", "=y.", false),
        ("-_>", "=y.", false),
        ("-_*", "=?.", false),
        ("F_.", "Hy.", true),
        ("F_>", "Hy.", true),
        ("F_*", "H?.", true),
        ("X_.", "Hy.", true),
        ("X_>", "Hy.", true),
        ("X_*", "H?.", true),
        ("H_.", "=y.", false),
        ("H_>", "=y.", false),
        ("H_*", "=?.", false),
    ];
    check(|entry| entry.on_granted(STAMP), rules);
}

#[test]
fn a_grant_to_an_older_connection_leaves_the_newest_to_be_claimed() {
    let rules: Transitions<'_, bool> = &[
        ("__.", "=y.", false),
        ("__>", "=y.", false),
        ("__*", "=?.", false),
    ];
    check(|entry| entry.on_granted(Stamp(1)), rules);
}

#[test]
fn taken_refuses_the_connection_that_was_claimed_for() {
    let rules: Transitions<'_, Option<u32>> = &[
        ("-__", "=n.", None),
        ("F__", "-n.", Some(CONNECTION)),
        ("X__", "-n.", Some(CONNECTION)),
        ("H__", "-n.", Some(CONNECTION)),
    ];
    check(|entry| entry.on_taken(STAMP), rules);
    let older: Transitions<'_, Option<u32>> = &[("___", "=n.", None)];
    check(|entry| entry.on_taken(Stamp(1)), older);
}

#[test]
fn released_and_no_reply_end_the_request() {
    check(Entry::on_released, &[("___", "=n.", ())]);
    check(Entry::on_no_reply, &[("___", "=?.", ())]);
}

#[test]
fn the_next_operation_follows_from_the_state() {
    let claim = |kind| Some(Operation::Claim(STAMP, kind));
    let (fresh, exclusive) = (claim(ClaimKind::Fresh), claim(ClaimKind::Exclusive));
    let held = claim(ClaimKind::Held);
    let rules = |audited| {
        [
            ("-n_", "===", None),
            ("-?_", "===", Some(Operation::Release(STAMP))),
            ("-y_", "===", Some(Operation::Release(STAMP))),
            ("F__", "===", fresh),
            ("X__", "===", exclusive),
            ("Hn_", "===", held),
            ("H?_", "===", held),
            ("Hy_", "===", audited),
        ]
    };
    check(|entry| entry.next_operation(false), &rules(None));
    check(|entry| entry.next_operation(true), &rules(held));
}

#[test]
fn an_entry_is_obsolete_when_nothing_is_desired_registered_or_in_progress() {
    for state in states() {
        let obsolete = state == ['-', 'n', '.'];
        assert_eq!(entry(state).is_obsolete(), obsolete, "{state:?}");
        assert_eq!(entry(state).is_desired(), state[0] != '-', "{state:?}");
        assert_eq!(entry(state).is_registered(), state[1] == 'y', "{state:?}");
        assert_eq!(entry(state).is_in_progress(), state[2] != '.', "{state:?}");
    }
    assert!(Entry::default().is_obsolete());
}

#[test]
fn a_release_names_the_stamp_of_its_own_entry() {
    let mut entry = Entry::default();
    entry.connect(CONNECTION, STAMP, false);
    entry.begin();
    entry.on_granted(STAMP);
    entry.disconnect(|_| true);
    assert_eq!(entry.next_operation(false), Some(Operation::Release(STAMP)));

    let mut swept = Entry::default();
    assert!(swept.sweep(Stamp(7)));
    assert_eq!(
        swept.next_operation(false),
        Some(Operation::Release(Stamp(7)))
    );
}

#[test]
fn a_rejoin_is_refilled_by_a_grant_that_is_not_outdated() {
    for state in states() {
        let mut entry = entry(state);
        entry.rejoin();
        assert_eq!(entry.is_to_refill(), state[0] != '-', "{state:?}");
        let in_progress = entry.is_in_progress();
        entry.on_granted(STAMP);
        assert_eq!(
            entry.is_to_refill(),
            state[0] != '-' && in_progress,
            "{state:?}: the reply of a request from before the rejoin proves nothing"
        );
        entry.begin();
        entry.on_granted(STAMP);
        assert!(!entry.is_to_refill(), "{state:?}");
    }
    let mut ended = entry(['H', 'y', '.']);
    ended.rejoin();
    ended.disconnect(|_| true);
    assert!(!ended.is_to_refill(), "nothing is left to refill");
}
