use tieline_registry::Stamp;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::cluster::pending::Membership;
use crate::{
    cluster::outcome::ResultSender,
    delivery::Reached,
    hub::ClientOp,
    link::{Link, LinkConfig, PeerSecurity},
    receipt::Receipt,
};

const ASKED_AFTER: Duration = Duration::from_millis(10);

/// What a decision sees; the client's connection at this node is a number.
struct FakeView {
    now: Instant,
    presence: Presence<u32>,
}

impl FakeView {
    /// `after` the unicast started.
    fn at(unicast: &Unicast, after: Duration) -> Self {
        Self {
            now: unicast.started + after,
            presence: Presence::Absent,
        }
    }

    fn soon(unicast: &Unicast) -> Self {
        Self::at(unicast, Duration::from_millis(20))
    }
}

impl View for FakeView {
    type Connection = u32;

    fn now(&self) -> Instant {
        self.now
    }

    fn own_address(&self) -> Option<&str> {
        Some("self:1")
    }

    fn presence(&self, _id: &str) -> Presence<u32> {
        self.presence.clone()
    }
}

fn unicast() -> Box<Unicast> {
    let (sender, _) = Receipt::channel();
    let op = ClientOp::Join("group".into());
    Unicast::new("client", 7, op, ResultSender::Delivery(sender))
}

/// A route whose link is never polled, so that it stays as it starts.
fn route(address: &str, stamp: Option<u64>) -> Route {
    let config = LinkConfig::new(Uuid::nil(), "ws", &PeerSecurity::default()).unwrap();
    let link = Link::start(address.into(), None, Arc::new(config), &TaskTracker::new());
    Route {
        peer: Arc::new(Peer::new(address.into(), link, Membership::Known)),
        stamp: stamp.map(Stamp),
    }
}

fn entry(address: &str, stamp: u64, leased: bool) -> Entry {
    let stamp = Stamp(stamp);
    Entry {
        address: address.into(),
        owner: Owner::Node { stamp, leased },
    }
}

fn legacy_entry(address: &str) -> Entry {
    Entry {
        address: address.into(),
        owner: Owner::Foreign,
    }
}

/// An answer to a request that was made after the unicast had started.
fn answer(unicast: &Unicast, entry: Option<Entry>) -> LookupResult {
    LookupResult::Answered {
        located: entry.map_or(Located::Nowhere, Located::At),
        asked: unicast.started + ASKED_AFTER,
    }
}

/// An answer to a request that was made before.
fn old_answer(unicast: &Unicast, entry: Option<Entry>) -> LookupResult {
    LookupResult::Answered {
        located: entry.map_or(Located::Nowhere, Located::At),
        asked: unicast.started - ASKED_AFTER,
    }
}

fn place(address: &str, stamp: Option<u64>) -> Place {
    Place {
        address: address.into(),
        stamp: stamp.map(Stamp),
    }
}

/// Each result of a lookup of a client on another node.
fn results(unicast: &Unicast) -> Vec<LookupResult> {
    vec![
        LookupResult::Cached(route("peer:1", Some(7))),
        answer(unicast, Some(entry("peer:1", 7, true))),
        answer(unicast, Some(entry("self:1", 7, true))),
        answer(unicast, Some(legacy_entry("legacy:1"))),
        answer(unicast, None),
        old_answer(unicast, None),
        LookupResult::Failed,
    ]
}

fn assert_finished<C: std::fmt::Debug>(step: &NextStep<C>, expected: OpResult) {
    assert!(
        matches!(step, NextStep::Finish(result) if *result == expected),
        "{step:?} instead of {expected:?}"
    );
}

#[tokio::test]
async fn a_connection_of_this_node_comes_first_whatever_the_look_up_says() {
    for n in 0..7 {
        let mut unicast = unicast();
        (unicast.hops, unicast.missed) = (MAX_HOPS, Some(place("self:1", None)));
        let mut view = FakeView::soon(&unicast);
        view.presence = Presence::Here(5);
        let result = &results(&unicast)[n];
        let step = unicast.on_lookup(result, &view);
        assert!(matches!(step, NextStep::Local(5)), "{result:?}: {step:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_its_admission_here_is_waited_for_unless_another_node_has_it() {
    for n in 0..7 {
        let mut unicast = unicast();
        let mut view = FakeView::soon(&unicast);
        view.presence = Presence::Claimed;
        let result = &results(&unicast)[n];
        // A cached route, an entry of a peer, one of a legacy node.
        let is_elsewhere = [0, 1, 3].contains(&n);
        let step = unicast.on_lookup(result, &view);
        let waits = matches!(step, NextStep::LookUp(LookupReason::Claimed));
        assert_eq!(waits, !is_elsewhere, "{result:?}: {step:?}");
        assert_eq!((unicast.hops > 0, &unicast.missed), (waits, &None));
    }
}

#[tokio::test]
async fn a_client_that_waits_here_is_waited_for_if_its_other_place_is_dead_or_missed_it() {
    let mut unicast = unicast();
    let mut view = FakeView::soon(&unicast);
    view.presence = Presence::Claimed;
    for leased in [false, true] {
        unicast.missed = leased.then(|| place("peer:1", Some(7)));
        let entry = answer(&unicast, Some(entry("peer:1", 7, leased)));
        let step = unicast.on_lookup(&entry, &view);
        assert!(matches!(step, NextStep::LookUp(LookupReason::Claimed)));
    }
    let moved = answer(&unicast, Some(entry("peer:1", 8, true)));
    let step = unicast.on_lookup(&moved, &view);
    assert!(matches!(step, NextStep::Connect { .. }), "{step:?}");
}

#[tokio::test]
async fn nothing_is_forwarded_too_often() {
    for n in 0..7 {
        let mut unicast = unicast();
        unicast.hops = MAX_HOPS;
        let (result, view) = (&results(&unicast)[n], FakeView::soon(&unicast));
        assert_finished(&unicast.on_lookup(result, &view), OpResult::Unreachable);
    }
}

#[tokio::test]
async fn nothing_is_sent_too_late_even_here() {
    for n in 0..7 {
        let mut unicast = unicast();
        let mut view = FakeView::at(&unicast, MAX_WAIT);
        view.presence = Presence::Here(5);
        let result = &results(&unicast)[n];
        assert_finished(&unicast.on_lookup(result, &view), OpResult::Unreachable);
    }
}

#[tokio::test]
async fn a_cached_route_is_taken() {
    let mut unicast = unicast();
    let cached = route("peer:1", Some(7));
    let view = FakeView::soon(&unicast);
    let step = unicast.on_lookup(&LookupResult::Cached(cached.clone()), &view);
    match step {
        NextStep::Forward { route, is_cached } => assert!(is_cached && route.is_same(&cached)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_entry_of_another_node_is_followed() {
    let cases = [
        (entry("peer:1", 7, true), place("peer:1", Some(7)), true),
        (entry("peer:1", 7, false), place("peer:1", Some(7)), false),
        (legacy_entry("legacy:1"), place("legacy:1", None), true),
    ];
    for (entry, expected, alive) in cases {
        let mut unicast = unicast();
        let (result, view) = (answer(&unicast, Some(entry)), FakeView::soon(&unicast));
        match unicast.on_lookup(&result, &view) {
            NextStep::Connect { place, is_leased } => {
                assert_eq!((place, is_leased), (expected, alive));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_newer_entry_of_the_node_that_missed_is_followed() {
    let mut unicast = unicast();
    unicast.missed = Some(place("peer:1", Some(7)));
    let result = answer(&unicast, Some(entry("peer:1", 8, true)));
    let view = FakeView::soon(&unicast);
    let step = unicast.on_lookup(&result, &view);
    assert!(matches!(step, NextStep::Connect { .. }), "{step:?}");
}

#[tokio::test]
async fn an_entry_of_the_place_that_missed_means_that_nobody_has_the_client() {
    for address in ["peer:1", "self:1"] {
        let mut unicast = unicast();
        unicast.missed = Some(place(address, Some(7)));
        let view = FakeView::soon(&unicast);
        let entry = entry(address, 7, true);
        let old = old_answer(&unicast, Some(entry.clone()));
        let step = unicast.on_lookup(&old, &view);
        assert!(
            matches!(step, NextStep::LookUp(LookupReason::OldAnswer)),
            "{step:?}"
        );
        let new = answer(&unicast, Some(entry));
        let not_here = OpResult::Code(OutcomeCode::NotHere);
        assert_finished(&unicast.on_lookup(&new, &view), not_here);
    }
}

#[tokio::test]
async fn an_entry_of_this_node_is_reported_once() {
    let mut unicast = unicast();
    let result = answer(&unicast, Some(entry("self:1", 7, true)));
    let view = FakeView::soon(&unicast);
    let step = unicast.on_lookup(&result, &view);
    assert!(
        matches!(step, NextStep::LookUp(LookupReason::NamesThisNode)),
        "{step:?}"
    );
    assert_eq!(unicast.hops, 1);
    let not_here = OpResult::Code(OutcomeCode::NotHere);
    assert_finished(&unicast.on_lookup(&result, &view), not_here);
}

#[tokio::test]
async fn no_entry_means_offline_unless_entries_were_lost_or_the_answer_is_old() {
    let mut unicast = unicast();
    let view = FakeView::soon(&unicast);
    let (old, new) = (old_answer(&unicast, None), answer(&unicast, None));
    let step = unicast.on_lookup(&old, &view);
    assert!(
        matches!(step, NextStep::LookUp(LookupReason::OldAnswer)),
        "{step:?}"
    );
    let step = unicast.on_lookup(&new, &view);
    assert_finished(&step, OpResult::Code(OutcomeCode::NotHere));
    let lost = LookupResult::Answered {
        located: Located::Unknown,
        asked: unicast.started + ASKED_AFTER,
    };
    let step = unicast.on_lookup(&lost, &view);
    assert_finished(&step, OpResult::Code(OutcomeCode::Unknown));
}

#[tokio::test]
async fn a_registry_that_does_not_answer_makes_the_client_unreachable() {
    let mut unicast = unicast();
    let view = FakeView::soon(&unicast);
    let step = unicast.on_lookup(&LookupResult::Failed, &view);
    assert_finished(&step, OpResult::Unreachable);
}

#[tokio::test]
async fn a_dead_node_has_nobody() {
    let (dead, place) = (route("peer:1", None), place("peer:1", Some(7)));
    let step = on_peer::<u32>(Arc::clone(&dead.peer), &place, false);
    assert_finished(&step, OpResult::Code(OutcomeCode::NotHere));
    match on_peer::<u32>(dead.peer, &place, true) {
        NextStep::Forward { route, is_cached } => {
            assert!(!is_cached);
            assert_eq!(route.place(), place);
        }
        other => panic!("{other:?}"),
    }
}

fn assert_ended(step: &AfterOutcome, expected: OpResult) {
    assert!(
        matches!(step, AfterOutcome::Finish(result) if *result == expected),
        "{step:?} instead of {expected:?}"
    );
}

/// A unicast that was sent over a route.
fn forwarded(is_cached: bool) -> (Box<Unicast>, Route) {
    let (mut unicast, route) = (unicast(), route("peer:1", Some(7)));
    unicast.on_forward(route.clone(), is_cached);
    assert_eq!(unicast.hops, 1);
    (unicast, route)
}

#[tokio::test]
async fn a_node_that_does_not_have_the_client_causes_another_look_up() {
    let not_here = Outcome::Code(OutcomeCode::NotHere);
    let outcomes = [&not_here, &Outcome::NotSent(NotSent::NoNamespaces)];
    for (is_cached, outcome) in [true, false].into_iter().zip(outcomes) {
        let (mut unicast, sent) = forwarded(is_cached);
        let view = FakeView::soon(&unicast);
        match unicast.on_outcome(outcome, &view) {
            AfterOutcome::LookUp(LookupReason::NotThere(route)) => assert!(route.is_same(&sent)),
            other => panic!("{other:?}"),
        }
        assert_eq!(unicast.missed, Some(place("peer:1", Some(7))));
        let view = FakeView::at(&unicast, MAX_WAIT);
        let step = unicast.on_outcome(outcome, &view);
        assert_ended(&step, OpResult::Unreachable);
    }
}

#[tokio::test]
async fn a_link_that_refuses_is_replaced_only_if_its_route_was_cached() {
    let refused = Outcome::NotSent(NotSent::Unreachable);
    let just_in_time = MAX_WAIT.mul_f64(0.99);
    for (is_cached, after, again) in [
        (true, just_in_time, true),
        (true, MAX_WAIT, false),
        (false, just_in_time, false),
        (false, MAX_WAIT, false),
    ] {
        let (mut unicast, sent) = forwarded(is_cached);
        let view = FakeView::at(&unicast, after);
        match unicast.on_outcome(&refused, &view) {
            AfterOutcome::LookUp(LookupReason::NotSent(route)) if again => {
                assert!(route.is_same(&sent));
            }
            step if !again => assert_ended(&step, OpResult::Unreachable),
            other => panic!("{other:?}"),
        }
        assert_eq!(unicast.missed, None, "it was not asked");
    }
}

#[tokio::test]
async fn every_other_outcome_ends_it() {
    let unknown = OpResult::Code(OutcomeCode::Unknown);
    let listing = Outcome::Listing {
        names: Vec::new(),
        more: false,
    };
    let mut cases = vec![
        (
            Outcome::NotSent(NotSent::QueueFull),
            OpResult::Code(OutcomeCode::QueueFull),
        ),
        (Outcome::Unknown, unknown),
        (Outcome::Reached(Reached::default()), unknown),
        (listing, unknown),
    ];
    for code in [
        OutcomeCode::Delivered,
        OutcomeCode::Refused,
        OutcomeCode::QueueFull,
        OutcomeCode::Unknown,
        OutcomeCode::Unchanged,
        OutcomeCode::TooMany,
        OutcomeCode::Invalid,
    ] {
        cases.push((Outcome::Code(code), OpResult::Code(code)));
    }
    for is_cached in [true, false] {
        for (outcome, expected) in &cases {
            let (mut unicast, _) = forwarded(is_cached);
            let view = FakeView::soon(&unicast);
            assert_ended(&unicast.on_outcome(outcome, &view), *expected);
        }
    }
}
