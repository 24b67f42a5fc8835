//! Notes: rendered once for each dialect, numbered for each receiver.

use tieline::{Config, Note};

use crate::{Counted, count, echo, frame, harness::Harness};

const JSON: usize = 1;
const NUMBERED: usize = 3;

/// Broadcasts of notes to clients of these dialects in turn.
fn notes(receivers: usize, dialects: &[usize]) -> Counted {
    const ROUNDS: usize = 32;
    let harness = Harness::start(echo, Config::default(), None);
    let clients = dialects.iter().cycle().enumerate().take(receivers);
    let mut clients: Vec<_> = clients
        .map(|(i, dialect)| harness.client(&format!("id=r{i}&dialect={dialect}"), ""))
        .collect();
    let counted = count(ROUNDS, |rounds| {
        harness.run(async {
            for _ in 0..rounds {
                let reached = harness.hub.broadcast(Note::text("to everyone")).await;
                assert_eq!(reached.delivered, receivers as u64);
            }
        });
    });
    for (client, &dialect) in clients.iter_mut().zip(dialects.iter().cycle()) {
        for n in 1..=4 * ROUNDS {
            let expected = match dialect {
                NUMBERED => format!(r#"{{"n":{n},"text":"to everyone"}}"#),
                JSON => r#"{"text":"to everyone"}"#.to_owned(),
                _ => "to everyone".to_owned(),
            };
            assert_eq!(frame(client), (false, expected.into_bytes()));
        }
    }
    counted
}

#[test]
fn a_delivery_of_a_note_allocates_nothing() {
    for dialects in [&[0][..], &[JSON], &[0, JSON]] {
        assert_eq!(notes(30, dialects), notes(10, dialects), "{dialects:?}");
        assert_eq!(notes(210, dialects), notes(60, dialects), "{dialects:?}");
    }
}

#[test]
fn a_number_that_is_written_at_once_allocates_nothing() {
    assert_eq!(notes(210, &[NUMBERED]), notes(60, &[NUMBERED]));
}

#[test]
fn a_number_that_waits_for_the_tick_allocates_twice() {
    let (more, fewer) = (notes(30, &[NUMBERED]), notes(10, &[NUMBERED]));
    assert!(
        more.times - fewer.times <= 2 * 32 * 20,
        "{more:?}, {fewer:?}"
    );
}
