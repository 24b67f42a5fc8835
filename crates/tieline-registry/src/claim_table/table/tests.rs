use super::*;

fn id(n: u32) -> ClientId {
    ClientId::new(n.to_string()).unwrap()
}

fn session() -> Session {
    Session {
        address: "a.test:7000".into(),
        process: uuid::Uuid::nil(),
        ttl: std::time::Duration::from_secs(10),
        lease: 0,
        fence: 0,
    }
}

#[test]
fn connections_of_an_outage_are_not_remembered() {
    let mut slots = Slots::default();
    slots.connect(&id(0), Stamp(1), 0, false);
    for n in 1..100_000 {
        slots.connect(&id(n), Stamp(u64::from(n) + 1), n, false);
        slots.disconnect(&id(n), |connection| *connection == n);
        // The one that stays connects again and again.
        slots.connect(&id(0), Stamp(u64::from(n) + 1), 0, false);
        assert!(slots.urgent.len() <= 2 * slots.len() + SPARE);
    }
    assert_eq!(slots.len(), 1);
    slots.joined(session());
    let requests = slots.take(Pace::Urgent, Stamp(200_000), 10_000);
    let [Request { work, .. }] = requests.as_slice() else {
        panic!("one claim is to be made: {requests:?}")
    };
    assert_eq!(work.ids().collect::<Vec<_>>(), [&id(0)]);
}

#[test]
fn audits_that_overtake_each_other_do_not_pile_up() {
    let mut slots = Slots::default();
    slots.joined(session());
    let connections = 0..2_000;
    for n in connections.clone() {
        slots.connect(&id(n), Stamp(1), n, false);
    }
    let [request] = slots
        .take(Pace::Urgent, Stamp(2), 2_000)
        .try_into()
        .expect("all claims in one request");
    let granted = Verdict::Granted { displaced: None };
    let verdicts = Claimed::Verdicts(vec![granted; connections.len()]);
    slots.answered(request, Answered::Claims(verdicts));
    assert_eq!(slots.mine(), 2_000);
    for _ in 0..10 {
        slots.audit();
        assert!(slots.paced.len() <= 2 * slots.len() + SPARE);
    }
    let audited = slots.take(Pace::Slow, Stamp(3), 10_000);
    assert_eq!(audited[0].work.ids().count(), 2_000, "all of them, once");
}
