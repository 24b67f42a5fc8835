use super::*;
use crate::claim_table::request::StopReason;

fn id(n: u32) -> ClientId {
    ClientId::new(n.to_string()).unwrap()
}

fn session(fencing_token: i64) -> NodeSession {
    NodeSession {
        address: "a.test:7000".into(),
        process: uuid::Uuid::nil(),
        ttl: std::time::Duration::from_secs(10),
        lease_id: 0,
        fencing_token,
    }
}

/// A table that has joined.
fn joined() -> ClaimTable<u32> {
    let mut table = ClaimTable::default();
    table.on_joined(session(0));
    table
}

/// The only request of a lane.
fn request(table: &mut ClaimTable<u32>, lane: Lane) -> ClaimRequest {
    let requests = table.next_requests(lane, 10_000);
    let [request] = requests.try_into().expect("one request");
    request
}

fn granted(displaced: Option<&str>, count: usize) -> ClaimReply {
    let verdict = Verdict::Granted {
        displaced: displaced.map(Into::into),
    };
    ClaimReply::Claims(ClaimOutcomes::Verdicts(vec![verdict; count]))
}

fn taken() -> ClaimReply {
    let by = "b.test:7000".into();
    ClaimReply::Claims(ClaimOutcomes::Verdicts(vec![Verdict::Taken { by }]))
}

fn claim_of(request: &ClaimRequest) -> (Stamp, ClaimKind) {
    match &request.batch {
        ClaimBatch::Claims(claims) => (claims[0].stamp, claims[0].kind),
        ClaimBatch::Releases(releases) => panic!("not claims: {releases:?}"),
    }
}

#[test]
fn an_id_is_claimed_held_and_released() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let claim = request(&mut table, Lane::Urgent);
    assert_eq!(claim_of(&claim), (Stamp(1), ClaimKind::Fresh));
    let effects = table.on_reply(claim, granted(Some("b.test:7000"), 1));
    let evict = Effect::Evict("b.test:7000".into(), id(1));
    assert_eq!(effects, [Effect::Granted(Stamp(1)), evict]);
    assert_eq!(table.registered(), 1);

    table.audit();
    let audit = request(&mut table, Lane::Slow);
    assert_eq!(claim_of(&audit), (Stamp(1), ClaimKind::Held));
    assert_eq!(table.on_reply(audit, granted(None, 1)), []);

    table.disconnect(&id(1), |connection| *connection == 1);
    let release = request(&mut table, Lane::Urgent);
    assert!(matches!(release.batch, ClaimBatch::Releases(_)));
    let done = ClaimReply::Releases(ReleaseOutcome::Done);
    assert_eq!(table.on_reply(release, done), []);
    assert!(table.is_empty());
    assert_eq!(table.registered(), 0);
}

#[test]
fn a_connection_whose_id_is_taken_is_refused_and_forgotten() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, true);
    let claim = request(&mut table, Lane::Urgent);
    assert_eq!(claim_of(&claim), (Stamp(1), ClaimKind::Exclusive));
    let effects = table.on_reply(claim, taken());
    assert_eq!(effects, [Effect::Refused(1, Stamp(1))]);
    assert!(table.is_empty());
}

#[test]
fn a_verdict_about_an_older_connection_claims_for_the_newer_one() {
    for reply in [taken(), granted(None, 1)] {
        let mut table = joined();
        table.connect(&id(1), Stamp(1), 1, false);
        let older = request(&mut table, Lane::Urgent);
        table.connect(&id(1), Stamp(2), 2, false);
        assert_eq!(table.on_reply(older, reply), []);
        let newer = request(&mut table, Lane::Urgent);
        assert_eq!(claim_of(&newer), (Stamp(2), ClaimKind::Fresh));
    }
}

#[test]
fn a_grant_after_the_end_of_the_connection_evicts_nobody() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let claim = request(&mut table, Lane::Urgent);
    table.disconnect(&id(1), |_| true);
    assert_eq!(table.on_reply(claim, granted(Some("b.test:7000"), 1)), []);
    let release = request(&mut table, Lane::Urgent);
    assert!(matches!(release.batch, ClaimBatch::Releases(_)));
}

#[test]
fn a_recheck_during_a_claim_claims_again() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let claim = request(&mut table, Lane::Urgent);
    table.recheck(&id(1));
    table.on_reply(claim, granted(None, 1));
    assert_eq!(table.registered(), 0, "the grant may be outdated");
    let again = request(&mut table, Lane::Urgent);
    assert_eq!(claim_of(&again), (Stamp(1), ClaimKind::Held));
    table.on_reply(again, granted(None, 1));
    assert_eq!(table.registered(), 1);
    table.recheck(&id(2));
    assert_eq!(table.len(), 1, "an unknown id is not remembered");
}

#[test]
fn a_missing_reply_or_a_lost_session_stops_the_table_until_it_joins() {
    let lost = ClaimReply::Claims(ClaimOutcomes::Lost);
    let cases = [
        (ClaimReply::NoReply, StopReason::NoReply),
        (granted(None, 2), StopReason::NoReply),
        (lost, StopReason::SessionLost),
    ];
    for (reply, reason) in cases {
        let mut table = joined();
        table.connect(&id(1), Stamp(1), 1, false);
        let claim = request(&mut table, Lane::Urgent);
        assert_eq!(table.on_reply(claim, reply), [Effect::Stopped(reason)]);
        assert!(!table.is_joined() && !table.has_queued(Lane::Urgent));
        assert_eq!(table.next_requests(Lane::Urgent, 9), []);
        table.on_resumed(session(1));
        let again = request(&mut table, Lane::Urgent);
        assert_eq!(claim_of(&again), (Stamp(1), ClaimKind::Fresh));
    }
}

#[test]
fn a_missing_reply_of_an_earlier_session_does_not_stop_the_current_one() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let late = request(&mut table, Lane::Urgent);
    table.on_resumed(session(1));
    assert_eq!(table.on_reply(late, ClaimReply::NoReply), []);
    assert!(table.is_joined());
}

#[test]
fn a_join_claims_slowly_what_was_held_and_at_once_what_was_not() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let claim = request(&mut table, Lane::Urgent);
    table.on_reply(claim, granted(None, 1));
    table.stop();
    table.connect(&id(2), Stamp(2), 2, false);
    table.on_joined(session(1));
    assert_eq!(table.registered(), 0);
    assert_eq!(
        claim_of(&request(&mut table, Lane::Urgent)),
        (Stamp(2), ClaimKind::Fresh)
    );
    assert_eq!(
        claim_of(&request(&mut table, Lane::Slow)),
        (Stamp(1), ClaimKind::Held)
    );
}

#[test]
fn a_sweep_releases_unknown_ids_and_spares_connections() {
    let mut table = joined();
    table.connect(&id(1), Stamp(1), 1, false);
    let released = table.sweep([(id(1), Stamp(1)), (id(2), Stamp(5))]);
    assert_eq!(released, 1);
    let release = request(&mut table, Lane::Slow);
    let (id, up_to) = (id(2), Stamp(5));
    assert_eq!(
        release.batch,
        ClaimBatch::Releases(vec![Release { id, up_to }])
    );
}

#[test]
fn connections_of_an_outage_are_not_remembered() {
    let mut table = ClaimTable::default();
    table.connect(&id(0), Stamp(1), 0, false);
    for n in 1..100_000 {
        table.connect(&id(n), Stamp(u64::from(n) + 1), n, false);
        table.disconnect(&id(n), |connection| *connection == n);
        // The one that stays connects again and again.
        table.connect(&id(0), Stamp(u64::from(n) + 1), 0, false);
        assert!(table.queue_len(Lane::Urgent) <= 2 * table.len() + 1024);
    }
    assert_eq!(table.len(), 1);
    table.on_joined(session(0));
    let ClaimRequest { batch, .. } = request(&mut table, Lane::Urgent);
    assert_eq!(batch.ids().collect::<Vec<_>>(), [&id(0)]);
}

#[test]
fn audits_that_overtake_each_other_do_not_pile_up() {
    let mut table = joined();
    let connections = 0..2_000;
    for n in connections.clone() {
        table.connect(&id(n), Stamp(1), n, false);
    }
    let claims = request(&mut table, Lane::Urgent);
    table.on_reply(claims, granted(None, connections.len()));
    assert_eq!(table.registered(), 2_000);
    for _ in 0..10 {
        table.audit();
        assert!(table.queue_len(Lane::Slow) <= 2 * table.len() + 1024);
    }
    let audit = request(&mut table, Lane::Slow);
    assert_eq!(audit.batch.ids().count(), 2_000, "all of them, once");
}

#[test]
fn a_join_is_refilled_when_everything_is_claimed_again() {
    let mut table = joined();
    for n in 1..=2 {
        table.connect(&id(n), Stamp(u64::from(n)), n, false);
    }
    let claims = request(&mut table, Lane::Urgent);
    table.on_reply(claims, granted(None, 2));
    assert_eq!(table.to_refill(), 0, "a first join has nothing to refill");

    table.on_joined(session(1));
    assert_eq!(table.to_refill(), 2);
    table.connect(&id(3), Stamp(3), 3, false);
    request(&mut table, Lane::Urgent);
    assert_eq!(table.to_refill(), 2, "a later connection has lost nothing");
    table.disconnect(&id(1), |_| true);
    assert_eq!(table.to_refill(), 1);
    let release = request(&mut table, Lane::Urgent);
    assert!(matches!(release.batch, ClaimBatch::Releases(_)));
    let claims = request(&mut table, Lane::Slow);
    table.on_reply(claims, granted(None, 1));
    assert_eq!(table.to_refill(), 0);
}
