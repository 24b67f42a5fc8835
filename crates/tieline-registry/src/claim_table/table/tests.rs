use super::*;

fn id(n: u32) -> ClientId {
    ClientId::new(n.to_string()).unwrap()
}

fn session() -> NodeSession {
    NodeSession {
        address: "a.test:7000".into(),
        process: uuid::Uuid::nil(),
        ttl: std::time::Duration::from_secs(10),
        lease: 0,
        fence: 0,
    }
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
        assert!(table.urgent.len() <= 2 * table.len() + SPARE);
    }
    assert_eq!(table.len(), 1);
    table.joined(session());
    let requests = table.take(Lane::Urgent, Stamp(200_000), 10_000);
    let [Request { batch, .. }] = requests.as_slice() else {
        panic!("one claim is to be made: {requests:?}")
    };
    assert_eq!(batch.ids().collect::<Vec<_>>(), [&id(0)]);
}

#[test]
fn audits_that_overtake_each_other_do_not_pile_up() {
    let mut table = ClaimTable::default();
    table.joined(session());
    let connections = 0..2_000;
    for n in connections.clone() {
        table.connect(&id(n), Stamp(1), n, false);
    }
    let [request] = table
        .take(Lane::Urgent, Stamp(2), 2_000)
        .try_into()
        .expect("all claims in one request");
    let granted = Verdict::Granted { displaced: None };
    let verdicts = ClaimOutcomes::Verdicts(vec![granted; connections.len()]);
    table.answered(request, ClaimReply::Claims(verdicts));
    assert_eq!(table.mine(), 2_000);
    for _ in 0..10 {
        table.audit();
        assert!(table.paced.len() <= 2 * table.len() + SPARE);
    }
    let audited = table.take(Lane::Slow, Stamp(3), 10_000);
    assert_eq!(audited[0].batch.ids().count(), 2_000, "all of them, once");
}
